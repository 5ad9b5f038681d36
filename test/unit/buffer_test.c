/*
 * test/unit/buffer_test.c
 *		client/buffer: growth, refusal, giving memory back.
 */
#include "client/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "unit.h"

static void
test_growth(void)
{
	VeltBuffer	buffer = {0};
	bool		grown = true;
	bool		kept = true;

	for (int i = 0; i < 100000; i++)
	{
		char		c = 'a' + i % 26;

		grown = grown && velt_buffer_append(&buffer, &c, 1);
	}
	for (int i = 0; i < 100000; i++)
		kept = kept && buffer.data[i] == 'a' + i % 26;
	ok(grown, "100,000 single bytes are appended");
	ok(kept, "... and stay what they were");
	is_int(buffer.length, 100000, "... and are counted");
	ok(buffer.allocated < 300000, "... in at most thrice the memory");

	ok(velt_buffer_reserve(&buffer, 1000000), "room is made for much more");
	is_int(buffer.length, 100000, "... which does not count as used");
	ok(buffer.allocated - buffer.length >= 1000000, "... and is there");
	memset(buffer.data + buffer.length, 'x', 1000000);
	velt_buffer_free(&buffer);
	ok(buffer.data == NULL && buffer.length == 0 && buffer.allocated == 0,
	   "a freed buffer is as new");
	velt_buffer_free(&buffer);
}

static void
test_refusal(void)
{
	VeltBuffer	buffer = {0};
	VeltBuffer	before;

	ok(velt_buffer_append(&buffer, NULL, 0), "nothing is appended to nothing");
	ok(velt_buffer_append(&buffer, BYTES("abc\0def")), "a NUL is a byte");
	is_bytes(buffer.data, buffer.length, BYTES("abc\0def"),
			 "... among others");
	before = buffer;
	ok(!velt_buffer_reserve(&buffer, SIZE_MAX), "SIZE_MAX bytes are refused");
	ok(!velt_buffer_reserve(&buffer, SIZE_MAX - 7), "... and a few less");
	ok(!velt_buffer_reserve(&buffer, SIZE_MAX / 2), "... and half as many");
	ok(memcmp(&before, &buffer, sizeof(buffer)) == 0,
	   "a buffer that could not grow is unchanged");
	velt_buffer_free(&buffer);
}

static void
test_reset(void)
{
	VeltBuffer	buffer = {0};
	char	   *data;

	velt_buffer_reset(&buffer, 0);
	ok(buffer.data == NULL && buffer.length == 0, "an empty buffer is reset");
	(void) velt_buffer_append(&buffer, BYTES("abc"));
	data = buffer.data;
	velt_buffer_reset(&buffer, buffer.allocated);
	ok(buffer.data == data && buffer.length == 0,
	   "memory within the bound is kept");
	(void) velt_buffer_append(&buffer, BYTES("abc"));
	velt_buffer_reset(&buffer, buffer.allocated - 1);
	ok(buffer.data == NULL && buffer.length == 0 && buffer.allocated == 0,
	   "memory beyond the bound is given back");
}

void
test_buffer(void)
{
	test_growth();
	test_refusal();
	test_reset();
}
