/*
 * client/attempt_log.c
 *		A record of attempts, until somebody reads it.
 */
#include "client/attempt_log.h"

#include <stdlib.h>

/* It is read after each step, which can end so many at the most. */
#define MAX_ATTEMPTS		256

void
velt_attempt_log_enable(VeltAttemptLog *log, bool enable)
{
	/* without memory for it there is no record, and no harm */
	if (enable && log->attempts == NULL)
		log->attempts = calloc(MAX_ATTEMPTS, sizeof(VeltAttempt));
	if (enable)
		return;
	free(log->attempts);
	log->attempts = NULL;
	log->length = 0;
}

void
velt_attempt_log_add(VeltAttemptLog *log, const VeltAttempt *attempt)
{
	if (log->attempts == NULL || log->length == MAX_ATTEMPTS)
		return;
	log->attempts[(log->first + log->length) % MAX_ATTEMPTS] = *attempt;
	log->length++;
}

bool
velt_attempt_log_take(VeltAttemptLog *log, VeltAttempt *attempt)
{
	if (log->length == 0)
		return false;
	*attempt = log->attempts[log->first];
	log->first = (log->first + 1) % MAX_ATTEMPTS;
	log->length--;
	return true;
}
