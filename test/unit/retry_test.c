/*
 * test/unit/retry_test.c
 *		client/retry: whether a failed request is made again, and when.
 */
#include "client/retry.h"

#include <stdio.h>
#include <string.h>

#include "tap.h"
#include "unit.h"

#define NO_LIMIT_MS		((int64_t) 1000 * 3600 * 24)

/* Jitter is random: what is true of so many is taken to be true of all. */
#define SAMPLES			500

static VeltError
failure(VeltErrorKind kind, bool transient)
{
	VeltError	error;

	velt_error_set(&error, kind, "It failed.");
	error.transient = transient;
	return error;
}

/* One more attempt fails, which took no time. */
static bool
again(VeltRetry *retry, VeltErrorKind kind, int64_t *wait_ms)
{
	VeltError	error = failure(kind, true);

	return velt_retry_again(retry, 0, 0, NO_LIMIT_MS, wait_ms, &error);
}

/* ----------
 * Which errors
 * ----------
 */

static void
test_kinds(void)
{
	for (int kind = VELT_ERROR_NONE + 1; kind < VELT_ERROR_KINDS; kind++)
	{
		VeltRetry	retry = {0};
		VeltError	error = failure(kind, false);
		int64_t		wait = 0;

		ok(!velt_retry_again(&retry, 0, 0, NO_LIMIT_MS, &wait, &error) &&
		   error.kind == (VeltErrorKind) kind &&
		   strcmp(error.detail, "It failed.") == 0,
		   "an error of kind %d that will not pass is final, as it is", kind);
		ok(again(&retry, kind, &wait), "... one that may is not");
	}
}

/* The kind alone decides nothing, nor does what the server wishes. */
static void
test_retry_after_of_the_permanent(void)
{
	VeltRetry	retry = {0};
	VeltError	error = failure(VELT_ERROR_EXHAUSTED, false);
	int64_t		wait = 0;

	ok(!velt_retry_again(&retry, 0, 1000, NO_LIMIT_MS, &wait, &error),
	   "what will not pass is not made again for a Retry-After");
	ok(strstr(error.detail, "Gave up") == NULL, "... and nobody gave up");
}

/* ----------
 * How long
 * ----------
 */

typedef struct BackoffCase
{
	int			attempt;		/* that failed */
	int64_t		least_ms;
	int64_t		most_ms;
} BackoffCase;

static const BackoffCase backoff_cases[] = {
	{1, 1000, 1500},
	{2, 2000, 3000},
	{3, 4000, 6000},
	{4, 8000, 12000},
	{5, 16000, 24000},
	{6, 20000, 30000},
	{7, 20000, 30000},
	{100, 20000, 30000},
	{1000000, 20000, 30000},
};

static void
test_backoff(const BackoffCase *c)
{
	int64_t		least = INT64_MAX;
	int64_t		most = 0;
	int64_t		middle = (c->least_ms + c->most_ms) / 2;
	int			nlow = 0;

	for (int i = 0; i < SAMPLES; i++)
	{
		VeltRetry	retry = {.attempts = c->attempt - 1};
		int64_t		wait = -1;

		if (!again(&retry, VELT_ERROR_UNAVAILABLE, &wait))
			break;
		nlow += wait < middle;
		least = wait < least ? wait : least;
		most = wait > most ? wait : most;
	}
	ok(least >= c->least_ms && most <= c->most_ms,
	   "after attempt %d the wait is between %d and %d ms", c->attempt,
	   (int) c->least_ms, (int) c->most_ms);
	if (least < c->least_ms || most > c->most_ms)
		diag("%d to %d ms", (int) least, (int) most);
	ok(nlow > SAMPLES / 4 && nlow < SAMPLES * 3 / 4,
	   "... and as likely short as long");
}

typedef struct RetryAfterCase
{
	int64_t		retry_after_ms;
	int			attempt;
	int64_t		least_ms;
	int64_t		most_ms;
} RetryAfterCase;

static const RetryAfterCase retry_after_cases[] = {
	{7000, 1, 7000, 7000},
	{1, 1, 1, 1},				/* also if it is short */
	{60000, 1, 60000, 60000},	/* also if a backoff never is as long */
	{7000, 9, 7000, 7000},
	{0, 1, 1000, 1500},
	{-1, 1, 1000, 1500},
};

static void
test_retry_after(const RetryAfterCase *c)
{
	VeltRetry	retry = {.attempts = c->attempt - 1};
	VeltError	error = failure(VELT_ERROR_EXHAUSTED, true);
	int64_t		wait = -1;

	ok(velt_retry_again(&retry, 0, c->retry_after_ms, NO_LIMIT_MS, &wait,
						&error) &&
	   wait >= c->least_ms && wait <= c->most_ms,
	   "Retry-After %d ms after attempt %d: %d ms", (int) c->retry_after_ms,
	   c->attempt, (int) wait);
	is_int(retry.spent_ms, wait, "... which is spent");
}

/* ----------
 * Until when
 * ----------
 */

typedef struct LimitCase
{
	const char *name;
	int64_t		spent_ms;
	int64_t		attempt_ms;
	int64_t		retry_after_ms;
	int64_t		limit_ms;
	bool		again;
	const char *detail;			/* when not */
} LimitCase;

static const LimitCase limit_cases[] = {
	{"no retries at all", 0, 10, 0, 0, false, "It failed."},
	{
		"no retries at all, whatever the server wishes", 0, 10, 1, 0, false,
		"It failed."
	},
	{"time enough", 0, 1000, 5000, 120000, true, NULL},
	{"just enough", 3000, 2000, 5000, 10000, true, NULL},
	{
		"not quite enough", 3000, 2001, 5000, 10000, false,
		"It failed. Gave up after 3 attempts in 5.0 s: the server asked to wait 5 s, which retry_timeout does not allow."
	},
	{
		"no time left", 9000, 1500, 0, 10000, false,
		"It failed. Gave up after 3 attempts in 10.5 s: another one would be later than retry_timeout allows."
	},
	{
		"an attempt longer than all the time", 0, 120000, 0, 10000, false,
		"It failed. Gave up after 3 attempts in 120.0 s: another one would be later than retry_timeout allows."
	},
	{
		"a wait beyond the limit, which fails at once", 0, 40, 121000, 120000,
		false,
		"It failed. Gave up after 3 attempts in 0.0 s: the server asked to wait 121 s, which retry_timeout does not allow."
	},
	{
		"a wait far beyond it", 0, 40, INT64_C(2147483646000), 120000, false,
		"It failed. Gave up after 3 attempts in 0.0 s: the server asked to wait 2147483646 s, which retry_timeout does not allow."
	},
	{
		"a wait of less than a second, which is one", 0, 999, 2, 1000, false,
		"It failed. Gave up after 3 attempts in 1.0 s: the server asked to wait 1 s, which retry_timeout does not allow."
	},
	{
		"a limit shorter than any backoff", 0, 0, 0, 999, false,
		"It failed. Gave up after 3 attempts in 0.0 s: another one would be later than retry_timeout allows."
	},
	{"a limit of the longest first backoff", 0, 0, 1500, 1500, true, NULL},
};

static void
test_limit(const LimitCase *c)
{
	VeltRetry	retry = {2, 0, c->spent_ms};
	VeltError	error = failure(VELT_ERROR_UNAVAILABLE, true);
	int64_t		wait = 0;
	bool		gave_up = c->detail && strstr(c->detail, "Gave up");

	is_int(velt_retry_again(&retry, c->attempt_ms, c->retry_after_ms,
							c->limit_ms, &wait, &error), c->again,
		   "%s: again or not", c->name);
	is_int(retry.attempts, 3, "... which is counted");
	is_int(retry.spent_ms, c->spent_ms + c->attempt_ms + (c->again ? wait : 0),
		   "... as is its time");
	is_int(error.kind, VELT_ERROR_UNAVAILABLE, "... of its own kind");
	is_int(error.gave_up, gave_up, "... marked or not");
	is_str(error.detail, c->detail ? c->detail : "It failed.",
		   "... in these words");
}

static void
test_first_attempt(void)
{
	VeltRetry	retry = {0};
	VeltError	error = failure(VELT_ERROR_EXHAUSTED, true);
	int64_t		wait = 0;

	error.http_status = 429;
	error.enveloped = true;
	strcpy(error.request_id, "r1");
	(void) velt_retry_again(&retry, 1234, 60000, 30000, &wait, &error);
	is_str(error.detail,
		   "It failed. Gave up after 1 attempt in 1.2 s: the server asked to wait 60 s, which retry_timeout does not allow.",
		   "one attempt is no attempts");
	ok(error.http_status == 429 && error.enveloped &&
	   strcmp(error.request_id, "r1") == 0,
	   "... and the rest of what was said stands");
}

/* The other side's words may lack their full stop. */
static void
test_full_stop(const char *said, const char *begins)
{
	VeltRetry	retry = {0};
	VeltError	error = failure(VELT_ERROR_UNAVAILABLE, true);
	int64_t		wait;

	strcpy(error.detail, said);
	(void) velt_retry_again(&retry, 0, 2, 1, &wait, &error);
	ok(strncmp(error.detail, begins, strlen(begins)) == 0,
	   "who gives up ends a sentence first: %s", error.detail);
}

/* The words are cut, and nothing is written behind them. */
static void
test_long_detail(void)
{
	struct
	{
		VeltError	error;
		char		behind[64];
	}			guarded;

	for (size_t length = VELT_DETAIL_BYTES - 160; length < VELT_DETAIL_BYTES;
		 length++)
	{
		VeltRetry	retry = {0};
		int64_t		wait;

		guarded.error = failure(VELT_ERROR_UNAVAILABLE, true);
		strcpy(guarded.error.request_id, "unharmed");
		memset(guarded.error.detail, 'd', length);
		guarded.error.detail[length] = '\0';
		(void) velt_retry_again(&retry, 0, 2, 1, &wait, &guarded.error);
		if (strlen(guarded.error.detail) >= length &&
			strlen(guarded.error.detail) < VELT_DETAIL_BYTES &&
			strcmp(guarded.error.request_id, "unharmed") == 0)
			continue;
		ok(false, "a detail of %zu bytes", length);
		return;
	}
	ok(true, "a detail without room for more is cut");
}

/* All attempts of a request that always fails at once. */
static void
test_whole_run(int64_t limit_ms, int least, int most)
{
	for (int i = 0; i < SAMPLES; i++)
	{
		VeltRetry	retry = {0};
		VeltError	error = failure(VELT_ERROR_UNAVAILABLE, true);
		int64_t		wait;

		while (velt_retry_again(&retry, 10, 0, limit_ms, &wait, &error))
			continue;
		if (retry.attempts >= least && retry.attempts <= most &&
			retry.spent_ms - 10 <= limit_ms &&
			error.kind == VELT_ERROR_UNAVAILABLE && error.gave_up)
			continue;
		ok(false, "%d attempts in %d ms", retry.attempts,
		   (int) retry.spent_ms);
		return;
	}
	ok(true, "%d ms are enough for %d to %d attempts, and never exceeded",
	   (int) limit_ms, least, most);
}

/* ----------
 * Connecting
 * ----------
 */

static void
test_connect(VeltErrorKind kind)
{
	VeltRetry	retry = {0};
	VeltError	error = failure(kind, true);
	int64_t		wait;

	ok(again(&retry, kind, &wait) &&
	   wait >= 1000 && wait <= 1500, "after no connection a second attempt");
	ok(again(&retry, kind, &wait) &&
	   wait >= 2000 && wait <= 3000, "... and a third");
	ok(!velt_retry_again(&retry, 0, 0, NO_LIMIT_MS, &wait, &error),
	   "... and no fourth");
	is_int(error.kind, kind, "... which stays its own kind");
	ok(!error.gave_up, "... as if there had been no retries");
	is_str(error.detail, "It failed.", "... in its own words");
}

static void
test_connect_among_others(void)
{
	VeltRetry	retry = {0};
	int64_t		wait;
	bool		good = true;

	for (int i = 0; i < 5; i++)
		good = good && again(&retry, VELT_ERROR_UNAVAILABLE, &wait);
	ok(good && again(&retry, VELT_ERROR_CONNECT, &wait) &&
	   again(&retry, VELT_ERROR_CONNECT, &wait),
	   "failures with a connection are not counted among those without");
	ok(!again(&retry, VELT_ERROR_CONNECT, &wait), "... of which three end it");
}

static void
test_connect_limit(void)
{
	VeltRetry	retry = {0};
	VeltError	error = failure(VELT_ERROR_CONNECT, true);
	int64_t		wait;

	ok(!velt_retry_again(&retry, 10000, 0, 10500, &wait, &error) &&
	   error.kind == VELT_ERROR_CONNECT && error.gave_up,
	   "a connection that takes all the time ends for that");
	error = failure(VELT_ERROR_CONNECT, true);
	memset(&retry, 0, sizeof(retry));
	ok(!velt_retry_again(&retry, 0, 0, 0, &wait, &error) &&
	   error.kind == VELT_ERROR_CONNECT && !error.gave_up,
	   "... and with no retries after the first attempt");
}

void
test_retry(void)
{
	test_kinds();
	test_retry_after_of_the_permanent();
	for (size_t i = 0; i < LENGTH_OF(backoff_cases); i++)
		test_backoff(&backoff_cases[i]);
	for (size_t i = 0; i < LENGTH_OF(retry_after_cases); i++)
		test_retry_after(&retry_after_cases[i]);
	for (size_t i = 0; i < LENGTH_OF(limit_cases); i++)
		test_limit(&limit_cases[i]);
	test_first_attempt();
	test_full_stop("Busy", "Busy. Gave up after");
	test_full_stop("Busy.", "Busy. Gave up after");
	test_full_stop("Busy!", "Busy! Gave up after");
	test_full_stop("", " Gave up after");
	test_long_detail();
	test_whole_run(120000, 7, 10);
	test_whole_run(5000, 2, 3);
	test_whole_run(900, 1, 1);
	test_connect(VELT_ERROR_CONNECT);
	test_connect(VELT_ERROR_TLS);
	test_connect_among_others();
	test_connect_limit();
}
