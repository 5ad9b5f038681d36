/*
 * test/unit/faults.h
 *		Calls of the client that fail on demand, and its clock.
 *
 * faults.symbols renames what the client's objects call; faults.c passes the
 * calls on, but for those that are to fail.  The client's clock and timers are
 * among them: time passes for it when a test says so.
 */
#ifndef VELT_UNIT_FAULTS_H
#define VELT_UNIT_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * From now on "pass" calls go well, then one fails, or all if "forever".
 * Negative: none fails.
 */
extern void faults_arm(long pass, bool forever);

/* Whether one has failed since. */
extern bool faults_struck(void);

/*
 * So much time passes at once, in ms, on top of what passes by itself.  What
 * libcurl does by its own clock hears nothing of it.
 */
extern void faults_pass_time(int64_t ms);

/* The time on the client's clock, in ms. */
extern int64_t faults_now_ms(void);

#endif							/* VELT_UNIT_FAULTS_H */
