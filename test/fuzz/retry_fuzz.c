/*
 * test/fuzz/retry_fuzz.c
 *		client/retry: when a request is made again, whatever the times.
 *
 * Input: the limit, then for each attempt its kind, how long it took, and what
 * Retry-After said; times in ms, of four bytes.
 */
#include "client/retry.h"

#include <string.h>

#include "fuzz.h"

#define DAY_MS		((int64_t) 24 * 60 * 60 * 1000)

static int64_t
input_ms(Input *input)
{
	uint32_t	ms = 0;

	for (int i = 0; i < 4; i++)
		ms = ms << 8 | input_byte(input);
	return ms;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	int64_t		limit_ms = input_ms(&input) % (DAY_MS + 1);
	VeltRetry	retry = {0};
	bool		again = true;

	while (again && input.left > 0)
	{
		uint8_t		byte = input_byte(&input);
		int64_t		attempt_ms = input_ms(&input);
		int64_t		after_ms = input_ms(&input) & INT32_MAX;	/* as told */
		int64_t		wait_ms = -1;
		VeltError	error = {.kind = VELT_ERROR_UNAVAILABLE};

		if (byte & 1)
			error.kind = VELT_ERROR_CONNECT;
		error.transient = (byte & 2) != 0;
		memset(error.detail, 'x', byte & 4 ? sizeof(error.detail) - 1 : 5);
		again = velt_retry_again(&retry, attempt_ms, after_ms, limit_ms,
								 &wait_ms, &error);
		must(memchr(error.detail, '\0', sizeof(error.detail)) != NULL);
		must(!again || (wait_ms > 0 && retry.spent_ms <= limit_ms));
		must(!again || wait_ms == after_ms ||
			 (after_ms == 0 && wait_ms >= 1000 && wait_ms <= 30000));
		must(!again || error.transient);
		must(retry.connect_attempts <= 3);
	}
	return 0;
}
