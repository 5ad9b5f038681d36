/*
 * client/retry.c
 *		Whether a failed request is made again, and when.
 */
#include "client/retry.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The API's published advice is to begin with a second. */
#define FIRST_BACKOFF_MS	1000

/* With its jitter a backoff is never longer than 30 s. */
#define MAX_BACKOFF_MS		20000
#define JITTER_PART			2	/* up to one half is added */

/* Who refuses a connection three times is not there. */
#define CONNECT_ATTEMPTS	3

/*
 * Doubles with each attempt.  What is added at random keeps clients that
 * failed together from coming back together.
 */
static int64_t
backoff_ms(int attempts)
{
	int64_t		backoff = FIRST_BACKOFF_MS;
	uint32_t	random;

	while (--attempts > 0 && backoff < MAX_BACKOFF_MS)
		backoff *= 2;
	if (backoff > MAX_BACKOFF_MS)
		backoff = MAX_BACKOFF_MS;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = 0;
	return backoff + random % (backoff / JITTER_PART);
}

static void append_detail(VeltError *error, const char *format,...)
			__attribute__((format(printf, 2, 3)));

static void
append_detail(VeltError *error, const char *format,...)
{
	size_t		length = strlen(error->detail);
	va_list		args;

	va_start(args, format);
	vsnprintf(error->detail + length, sizeof(error->detail) - length, format,
			  args);
	va_end(args);
}

/*
 * The cause may pass, but not within the time that is left.  The server's
 * wish, if it had one, may be the only reason, and no time has passed at all.
 */
static void
give_up(const VeltRetry *retry, int64_t retry_after_ms, VeltError *error)
{
	size_t		length = strlen(error->detail);

	/* the other side's words may lack their full stop */
	if (length > 0 && strchr(".!?", error->detail[length - 1]) == NULL)
		append_detail(error, ".");
	error->gave_up = true;
	append_detail(error, " Gave up after %d attempt%s in %.1f s: ",
				  retry->attempts, retry->attempts == 1 ? "" : "s",
				  (double) retry->spent_ms / 1000);
	if (retry_after_ms > 0)
		append_detail(error,
					  "the server asked to wait %" PRId64 " s, which retry_timeout does not allow.",
					  (retry_after_ms + 999) / 1000);
	else
		append_detail(error,
					  "another one would be later than retry_timeout allows.");
}

bool
velt_retry_again(VeltRetry *retry, int64_t attempt_ms,
				 int64_t retry_after_ms, int64_t limit_ms, int64_t *wait_ms,
				 VeltError *error)
{
	retry->attempts++;
	retry->spent_ms += attempt_ms;
	if (!error->transient || limit_ms == 0)
		return false;
	if (velt_error_in_connecting(error->kind) &&
		++retry->connect_attempts >= CONNECT_ATTEMPTS)
		return false;

	*wait_ms = retry_after_ms > 0 ? retry_after_ms :
		backoff_ms(retry->attempts);
	if (*wait_ms > limit_ms - retry->spent_ms)
	{
		give_up(retry, retry_after_ms, error);
		return false;
	}
	retry->spent_ms += *wait_ms;
	return true;
}
