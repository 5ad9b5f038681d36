/*
 * client/clock.c
 *		The clock of deadlines, which stands still while nobody drives.
 */
#include "client/clock.h"

#include <poll.h>

#include "client/event_loop.h"

/*
 * A connection that was not looked after for longer than this may have been
 * given up by the other side.
 */
#define LONG_GAP_MS			1000

void
velt_clock_init(VeltClock *clock, int fd)
{
	clock->fd = fd;
	clock->behind_ms = 0;
	clock->stopped_ms = velt_event_loop_now();
	clock->started_ms = 0;
}

int64_t
velt_clock_now(const VeltClock *clock)
{
	return velt_clock_from_real(clock, velt_clock_runs(clock) ?
								velt_event_loop_now() : clock->stopped_ms);
}

int64_t
velt_clock_to_real(const VeltClock *clock, int64_t at_ms)
{
	return at_ms == VELT_NEVER ? at_ms : at_ms + clock->behind_ms;
}

int64_t
velt_clock_from_real(const VeltClock *clock, int64_t real_ms)
{
	return real_ms - clock->behind_ms;
}

/* Whether something has happened that nobody has looked at. */
static bool
has_news(const VeltClock *clock)
{
	struct pollfd fd = {clock->fd, POLLIN, 0};

	return poll(&fd, 1, 0) > 0;
}

/*
 * A wait was announced, and now another one is.  If something has happened
 * already, long after the first one began, nobody was there to see it.
 */
static bool
nobody_waited(const VeltClock *clock, int64_t now)
{
	return now - clock->started_ms >= LONG_GAP_MS && has_news(clock);
}

bool
velt_clock_start(VeltClock *clock)
{
	int64_t		now = velt_event_loop_now();
	int64_t		gap;

	if (velt_clock_runs(clock) && nobody_waited(clock, now))
		clock->stopped_ms = clock->started_ms;
	clock->started_ms = now;
	if (velt_clock_runs(clock))
		return false;
	gap = now - clock->stopped_ms;
	clock->behind_ms += gap;
	clock->stopped_ms = 0;
	return gap >= LONG_GAP_MS && has_news(clock);
}

/*
 * Who waits is woken when something is due, and comes here.  If that was long
 * ago, nobody has waited since, whatever was announced.
 */
bool
velt_clock_stop(VeltClock *clock, int64_t due_ms)
{
	clock->stopped_ms = velt_event_loop_now();
	if (due_ms == VELT_NEVER ||
		clock->stopped_ms - LONG_GAP_MS <= velt_clock_to_real(clock, due_ms))
		return false;
	clock->stopped_ms = velt_clock_to_real(clock, due_ms) - 1;
	return true;
}
