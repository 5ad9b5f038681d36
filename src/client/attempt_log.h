/*
 * client/attempt_log.h
 *		A record of attempts, until somebody reads it.
 */
#ifndef VELT_CLIENT_ATTEMPT_LOG_H
#define VELT_CLIENT_ATTEMPT_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* An attempt that has ended. */
typedef struct VeltAttempt
{
	const char *path;
	int			number;			/* of the request's attempts, from 1 */
	int			http_status;	/* 0: no response */
	int64_t		duration_ms;
	int64_t		bytes_received;
	bool		failed;
} VeltAttempt;

/* All zero: none is kept. */
typedef struct VeltAttemptLog
{
	VeltAttempt *attempts;		/* a ring */
	int			first;
	int			length;
} VeltAttemptLog;

/* Keeps a record from now on, or no more. */
extern void velt_attempt_log_enable(VeltAttemptLog *log, bool enable);

/* When it is full, what comes is lost. */
extern void velt_attempt_log_add(VeltAttemptLog *log,
								 const VeltAttempt *attempt);

/* Takes the oldest one; false when there is none. */
extern bool velt_attempt_log_take(VeltAttemptLog *log, VeltAttempt *attempt);

#endif							/* VELT_CLIENT_ATTEMPT_LOG_H */
