/*
 * foreign/wait.c
 *		The one place that waits, and the descriptors that waiting needs.
 *
 * fd.c lets all extensions together have a third of max_files_per_process.
 * Descriptors are acquired there before the network opens them.  When there
 * are no more, idle HTTP connections are closed, those of the least recently
 * used session first; then requests wait for each other's connections.
 */
#include "postgres.h"

#include "foreign/report.h"
#include "foreign/wait.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/latch.h"

/* Retry waits longer than this are announced with a NOTICE. */
#define NOTICE_WAIT_MS			5000

/* The share of fd.c's budget for extensions that this one may use. */
#define BUDGET_PART				2

/* Enough for one request, however small the budget is. */
#define MIN_DESCRIPTORS			(VELT_NETWORK_DESCRIPTORS + 4)

static VeltNetwork *network = NULL;
static WaitEventSet *events = NULL; /* NULL while the network is closed */
static int	acquired = 0;		/* descriptors, from fd.c */

/* ----------
 * Descriptors
 * ----------
 */

/* Return how many descriptors the network may use, see AcquireExternalFD. */
static int
most_descriptors(void)
{
	return Max(max_safe_fds / 3 / BUDGET_PART, MIN_DESCRIPTORS);
}

VeltNetwork *
velt_wait_network(void)
{
	if (network == NULL)
	{
		network = velt_network_create();
		if (network == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		velt_network_allow(network, 0, most_descriptors());
	}
	return network;
}

void
velt_wait_release_descriptors(void)
{
	int			used;

	if (network == NULL)
		return;
	if (velt_network_is_unused(network))
	{
		if (events)
			FreeWaitEventSet(events);
		events = NULL;
		velt_network_close(network);
	}
	used = velt_network_descriptors(network);
	while (acquired > used)
	{
		ReleaseExternalFD();
		acquired--;
	}
	velt_network_allow(network, acquired, most_descriptors());
}

/*
 * Acquire descriptors until the network may have n of them in all, or as many
 * as there are.  Those of idle HTTP connections are taken where fd.c has none
 * left.  Return whether there are n.
 */
static bool
acquire(int n)
{
	while (acquired < n)
	{
		int			before;

		if (acquired < most_descriptors() && AcquireExternalFD())
		{
			acquired++;
			continue;
		}
		before = velt_network_descriptors(network);
		if (!velt_network_close_idle(network))
			break;
		n -= before - velt_network_descriptors(network);
	}
	velt_network_allow(network, acquired, most_descriptors());
	return acquired >= n;
}

/* Acquire what waiting requests need; false if none can start by that. */
static bool
acquire_wanted(void)
{
	int			wanted = velt_network_wants(network);
	int			before = acquired - velt_network_descriptors(network);

	return wanted > 0 &&
		(acquire(wanted) ||
		 acquired - velt_network_descriptors(network) > before);
}

static void
report_no_descriptor(const VeltSession *session)
{
	VeltError	error;

	velt_error_set(&error, VELT_ERROR_DESCRIPTORS,
				   "All file descriptors that extensions may use in this session are in use.");
	velt_report_fetch(&error, NULL, velt_session_server_name(session));
}

/* Let requests fail that wait for a descriptor which nothing will free. */
static void
refuse_hopeless(void)
{
	if (velt_network_wants(network) > 0 && !velt_network_is_running(network))
		velt_network_refuse(network);
}

static void
open_network(VeltSession *session)
{
	VeltError	error;

	if (velt_network_is_open(network))
		return;
	if (!acquire(velt_network_descriptors(network) + VELT_NETWORK_DESCRIPTORS))
		report_no_descriptor(session);
	if (!velt_network_open(network, &error))
		velt_report_fetch(&error, NULL, velt_session_server_name(session));
}

/* The set has a descriptor of its own, for which it asks fd.c itself. */
static void
open_events(VeltSession *session)
{
	WaitEventSet *set;

	open_network(session);
	if (events)
		return;
	while (!AcquireExternalFD())
	{
		if (!velt_network_close_idle(network))
			report_no_descriptor(session);
		velt_wait_release_descriptors();
	}
	ReleaseExternalFD();
	set = velt_compat_wait_event_set(3);
	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	/* single-user mode has no postmaster */
	if (IsUnderPostmaster)
		AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL,
						  NULL);
	AddWaitEventToSet(set, WL_SOCKET_READABLE, velt_network_fd(network), NULL,
					  NULL);
	events = set;
}

/* ----------
 * Driving
 * ----------
 */

static void
log_attempts(void)
{
	VeltAttempt attempt;

	while (velt_attempt_log_take(velt_network_log(network), &attempt))
		ereport(DEBUG1,
				(errmsg_internal("velt_fdw: POST %s, attempt %d: %s, HTTP %d, %d ms, %lld bytes",
								 attempt.path, attempt.number,
								 attempt.failed ? "failed" : "done",
								 attempt.http_status,
								 (int) attempt.duration_ms,
								 (long long) attempt.bytes_received)));
}

static void
announce_waits(void)
{
	VeltNotice	notice;

	while (velt_network_take_notice(network, &notice))
	{
		if (notice.wait_ms >= NOTICE_WAIT_MS)
			ereport(NOTICE,
					(errmsg("retrying request to foreign server \"%s\" in %d seconds",
							velt_session_server_name(notice.user),
							(int) (notice.wait_ms / 1000)),
					 errdetail_internal("%s",
										velt_report_detail(&notice.cause))));
	}
}

static void
drive(VeltSession *session)
{
	VeltError	error;

	velt_attempt_log_enable(velt_network_log(network),
							message_level_is_interesting(DEBUG1));
	do
	{
		if (!velt_network_drive(network, &error))
			velt_report_fetch(&error, NULL, velt_session_server_name(session));
	} while (acquire_wanted());
	refuse_hopeless();
	velt_wait_release_descriptors();
	log_attempts();
	velt_session_log_filter_limit(session);
	announce_waits();
}

void
velt_wait_drive(VeltSession *session)
{
	drive(session);
	CHECK_FOR_INTERRUPTS();
}

void
velt_wait_start_requests(VeltSession *session)
{
	if (acquire_wanted())
		velt_wait_drive(session);
}

/* ----------
 * Waiting
 * ----------
 */

int
velt_wait_begin(VeltSession *session)
{
	velt_wait_start_requests(session);
	refuse_hopeless();
	open_network(session);
	if (velt_network_has_work(network))
		velt_wait_wake(session);
	velt_network_enter(network);
	return velt_network_fd(network);
}

void
velt_wait_wake(VeltSession *session)
{
	VeltError	error;

	if (!velt_network_wake(network, &error))
		velt_report_fetch(&error, NULL, velt_session_server_name(session));
}

void
velt_wait_end(VeltSession *session)
{
	velt_network_leave(network);
	velt_wait_drive(session);
}

void
velt_wait(VeltSession *session)
{
	WaitEvent	event;
	uint32		wait_event;

	if (velt_network_has_work(network) || acquire_wanted())
	{
		velt_wait_drive(session);
		return;
	}
	refuse_hopeless();
	if (velt_network_has_work(network))
		return;
	open_events(session);
	/* may raise an error: not while the clock of deadlines runs */
	wait_event = velt_compat_wait_event(velt_transport_phase(velt_session_transport(session)));
	velt_network_enter(network);
	(void) WaitEventSetWait(events, -1, &event, 1, wait_event);
	velt_network_leave(network);
	if (event.events & WL_LATCH_SET)
		ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (event.events & WL_SOCKET_READABLE)
		drive(session);
	CHECK_FOR_INTERRUPTS();
}
