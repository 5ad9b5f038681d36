/*
 * client/retry.h
 *		Whether a failed request is made again, and when.
 *
 * Decides; waits for nothing and knows neither curl nor clocks.
 */
#ifndef VELT_CLIENT_RETRY_H
#define VELT_CLIENT_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "client/error.h"

/* What has become of one request so far. */
typedef struct VeltRetry
{
	int			attempts;		/* that have failed */
	int			connect_attempts;	/* of these, without a connection */
	int64_t		spent_ms;		/* in attempts and in waiting between them */
} VeltRetry;

/*
 * An attempt that took attempt_ms has failed.  True if there is to be another
 * one, after *wait_ms.  False if not: the error is final, and says so if the
 * time for retries (limit_ms, 0 for none at all) is used up.
 * retry_after_ms is how long the server wants to be left alone, or 0.
 */
extern bool velt_retry_again(VeltRetry *retry, int64_t attempt_ms,
							 int64_t retry_after_ms, int64_t limit_ms,
							 int64_t *wait_ms, VeltError *error);

#endif							/* VELT_CLIENT_RETRY_H */
