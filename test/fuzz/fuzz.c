/*
 * test/fuzz/fuzz.c
 *		What the fuzz targets have in common.
 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/utf8.h"

void
fuzz_fail(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
	abort();
}

uint8_t
input_byte(Input *input)
{
	if (input->left == 0)
		return 0;
	input->left--;
	return *input->at++;
}

static size_t
field_length(const Input *input)
{
	const uint8_t *end = (input->left == 0 ? NULL :
						  memchr(input->at, 0xFF, input->left));

	return end == NULL ? input->left : (size_t) (end - input->at);
}

VeltString
input_field(Input *input)
{
	size_t		length = field_length(input);
	size_t		taken = length < input->left ? length + 1 : length;
	char	   *copy = malloc(length);

	if (length > 0)
		memcpy(copy, input->at, length);
	input->at += taken;
	input->left -= taken;
	return velt_string(copy, length);
}

char *
input_text(Input *input)
{
	VeltString	field = input_field(input);
	char	   *text = calloc(1, field.length + 1);
	char	   *to = text;

	for (size_t i = 0; i < field.length; i++)
	{
		if (field.bytes[i] != '\0')
			*to++ = field.bytes[i];
	}
	free((char *) field.bytes);
	return text;
}

bool
is_utf8(const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *) text;
	const unsigned char *end = length > 0 ? at + length : at;

	while (at < end)
	{
		unsigned char low;
		unsigned char high;
		int			left = velt_utf8_continuation(*at++, &low, &high);

		if (left < 0 || end - at < left)
			return false;
		for (; left > 0; left--, at++)
		{
			if (*at < low || *at > high)
				return false;
			low = 0x80;
			high = 0xBF;
		}
	}
	return true;
}

bool
has_bytes(VeltString text, const char *bytes)
{
	return text.length > 0 &&
		memmem(text.bytes, text.length, bytes, strlen(bytes)) != NULL;
}
