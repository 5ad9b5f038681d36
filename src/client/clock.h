/*
 * client/clock.h
 *		The clock of deadlines, which stands still while nobody drives.
 *
 * The time between two calls, in which a query does something else or a
 * cursor is not fetched from, is nobody's delay.  But who has announced a
 * wait and did not come back in time did not wait either: a process that was
 * stopped, or a machine that slept.  Knows nothing of transfers.
 */
#ifndef VELT_CLIENT_CLOCK_H
#define VELT_CLIENT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct VeltClock
{
	int			fd;				/* readable once something has happened */
	int64_t		behind_ms;		/* how far behind velt_event_loop_now */
	int64_t		stopped_ms;		/* since when it stands still; 0: it runs */
	int64_t		started_ms;		/* since when it runs */
} VeltClock;

/* It stands still at first. */
extern void velt_clock_init(VeltClock *clock, int fd);

extern int64_t velt_clock_now(const VeltClock *clock);

/* A time of this clock on that of velt_event_loop_now, VELT_NEVER included. */
extern int64_t velt_clock_to_real(const VeltClock *clock, int64_t at_ms);

/* ... and back. */
extern int64_t velt_clock_from_real(const VeltClock *clock, int64_t real_ms);

/*
 * Somebody drives, or waits.  True if something has happened that nobody saw
 * for so long that the other side may have given a connection up.
 */
extern bool velt_clock_start(VeltClock *clock);

/*
 * Nobody drives or waits any more, on a clock that runs.  Who waited was to
 * be woken when something was due (VELT_NEVER: nothing was).  True if that
 * was long ago, and so the clock has been put back to then.
 */
extern bool velt_clock_stop(VeltClock *clock, int64_t due_ms);

static inline bool
velt_clock_runs(const VeltClock *clock)
{
	return clock->stopped_ms == 0;
}

#endif							/* VELT_CLIENT_CLOCK_H */
