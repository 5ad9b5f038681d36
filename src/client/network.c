/*
 * client/network.c
 *		The event loop and the descriptors that all transports share.
 *
 * A transport is busy while it has transfers, else idle.  Driving runs the
 * event loop, ends attempts that are finished or overdue, and starts queued
 * ones, of all busy transports in turn.
 */
#include "client/network.h"

#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include "client/network_state.h"

#if VELT_NETWORK_DESCRIPTORS != VELT_EVENT_LOOP_DESCRIPTORS
#error "the network's descriptors are those of its event loop"
#endif

/* One call to drive does not go on forever. */
#define MAX_ROUNDS			8

/*
 * A connection that was not driven for longer than this may have been given
 * up by the other side.
 */
#define LONG_GAP_MS			1000

/*
 * Descriptors of an attempt that connects: the pair of a look-up and then a
 * socket, or two sockets, as curl tries both address families side by side.
 */
#define CONNECT_DESCRIPTORS	3
#define SECOND_SOCKET		1

/* ----------
 * Creation
 * ----------
 */

VeltNetwork *
velt_network_create(void)
{
	VeltNetwork *network = calloc(1, sizeof(VeltNetwork));

	if (network == NULL)
		return NULL;
	network->loop = velt_event_loop_create();
	if (network->loop == NULL)
	{
		free(network);
		return NULL;
	}
	TAILQ_INIT(&network->busy);
	TAILQ_INIT(&network->idle);
	network->granted = network->most = INT_MAX;
	network->stopped_ms = velt_event_loop_now();
	return network;
}

void
velt_network_destroy(VeltNetwork *network)
{
	if (network == NULL)
		return;
	velt_network_close(network);
	velt_event_loop_destroy(network->loop);
	velt_attempt_log_enable(&network->log, false);
	free(network);
}

void
velt_network_block_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
}

void
velt_network_restore_signals(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

bool
velt_network_open(VeltNetwork *network, VeltError *error)
{
	sigset_t	saved;
	bool		ok;

	velt_network_block_signals(&saved);
	ok = velt_event_loop_open(network->loop, error);
	velt_network_restore_signals(&saved);
	return ok;
}

bool
velt_network_is_open(const VeltNetwork *network)
{
	return velt_event_loop_is_open(network->loop);
}

bool
velt_network_is_unused(VeltNetwork *network)
{
	return TAILQ_EMPTY(&network->busy) &&
		velt_event_loop_sockets(network->loop, NULL) == 0;
}

void
velt_network_close(VeltNetwork *network)
{
	sigset_t	saved;

	velt_network_block_signals(&saved);
	velt_event_loop_close(network->loop);
	velt_network_restore_signals(&saved);
}

/* ----------
 * Descriptors
 * ----------
 */

void
velt_network_allow(VeltNetwork *network, int now, int most)
{
	network->granted = now;
	network->most = most;
}

/* Count those that attempts without a connection are about to use. */
static int
promised_descriptors(const VeltNetwork *network)
{
	const VeltTransport *transport;
	const VeltTransfer *transfer;
	int			n = 0;

	TAILQ_FOREACH(transport, &network->busy, link)
	{
		TAILQ_FOREACH(transfer, &transport->running, link)
		{
			if (transfer->connects && transfer->phase == VELT_PHASE_CONNECT)
				n += transfer->sockets[0] < 0 ?
					CONNECT_DESCRIPTORS : SECOND_SOCKET;
		}
	}
	return n;
}

int
velt_network_descriptors(VeltNetwork *network)
{
	int			base = velt_network_is_open(network) ?
	VELT_NETWORK_DESCRIPTORS : 0;

	return base + velt_event_loop_sockets(network->loop, NULL) +
		promised_descriptors(network);
}

int
velt_network_wants(const VeltNetwork *network)
{
	return network->wanted;
}

bool
velt_network_is_running(const VeltNetwork *network)
{
	return network->nrunning > 0;
}

bool
velt_network_may_connect(VeltNetwork *network)
{
	int			needed;

	if (network->granted == INT_MAX)
		return true;
	needed = velt_network_descriptors(network) + CONNECT_DESCRIPTORS;
	if (!velt_network_is_open(network))
		needed += VELT_NETWORK_DESCRIPTORS;
	return needed <= network->granted;
}

void
velt_network_want_connections(VeltNetwork *network, int n)
{
	if (network->wanted == 0)
	{
		network->wanted = velt_network_descriptors(network);
		if (!velt_network_is_open(network))
			network->wanted += VELT_NETWORK_DESCRIPTORS;
	}
	network->wanted += n * CONNECT_DESCRIPTORS;
}

void
velt_network_refuse(VeltNetwork *network)
{
	VeltTransport *transport = TAILQ_FIRST(&network->busy);
	VeltError	error;

	velt_error_set(&error, VELT_ERROR_DESCRIPTORS,
				   "All file descriptors that extensions may use in this session are in use.");
	network->wanted = 0;
	network->driving = true;
	while (transport != NULL)
	{
		VeltTransport *next = TAILQ_NEXT(transport, link);

		if (transport->starved)
			velt_transport_refuse(transport, &error);
		transport = next;
	}
	network->driving = false;
	/* the owners may have submitted others */
	network->has_work = true;
}

int
velt_network_share(const VeltNetwork *network)
{
	int			share;

	if (network->most == INT_MAX || network->nbusy == 0)
		return INT_MAX;
	share = (network->most - VELT_NETWORK_DESCRIPTORS) / network->nbusy;
	return share > 0 ? share : 1;
}

bool
velt_network_close_idle(VeltNetwork *network)
{
	VeltTransport *transport;

	TAILQ_FOREACH(transport, &network->idle, link)
	{
		if (velt_event_loop_sockets(network->loop, transport) > 0)
		{
			velt_transport_close_connections(transport);
			return true;
		}
	}
	return false;
}

/* ----------
 * The clock of deadlines
 *
 * It runs while the caller waits or drives.  The time between, in which a
 * query does something else or does not fetch, does not count.  Nor does the time in which a
 * caller that announced a wait did not wait: the process was stopped, or the
 * machine slept.
 * ----------
 */

int64_t
velt_network_from_real(const VeltNetwork *network, int64_t real_ms)
{
	return real_ms - network->behind_ms;
}

/* A time of the clock on that of velt_event_loop_now. */
static int64_t
to_real(const VeltNetwork *network, int64_t at_ms)
{
	return at_ms == VELT_NEVER ? at_ms : at_ms + network->behind_ms;
}

int64_t
velt_network_now(const VeltNetwork *network)
{
	return velt_network_from_real(network, network->stopped_ms != 0 ?
								  network->stopped_ms : velt_event_loop_now());
}

/* Return whether something has happened that was not driven yet. */
static bool
is_readable(const VeltNetwork *network)
{
	struct pollfd fd = {velt_event_loop_fd(network->loop), POLLIN, 0};

	return poll(&fd, 1, 0) > 0;
}

/*
 * Start the clock.  Return true if something happened so long ago, without
 * being looked at, that the other side may have given a connection up.
 */
static bool
start_clock(VeltNetwork *network)
{
	int64_t		now = velt_event_loop_now();
	int64_t		gap;

	/* a wait was announced long ago, and would have ended */
	if (network->stopped_ms == 0 &&
		now - network->started_ms >= LONG_GAP_MS && is_readable(network))
		network->stopped_ms = network->started_ms;
	network->started_ms = now;
	if (network->stopped_ms == 0)
		return false;
	gap = now - network->stopped_ms;
	network->behind_ms += gap;
	network->stopped_ms = 0;
	return gap >= LONG_GAP_MS && is_readable(network);
}

/*
 * Stop the clock.  A wait ends when something is due; if that was long ago
 * the caller has not waited since, the clock is put back to then, and the
 * result is true.
 */
static bool
stop_clock(VeltNetwork *network, int64_t due_ms)
{
	network->stopped_ms = velt_event_loop_now();
	if (due_ms == VELT_NEVER ||
		network->stopped_ms - LONG_GAP_MS <= to_real(network, due_ms))
		return false;
	network->stopped_ms = to_real(network, due_ms) - 1;
	return true;
}

/* When something is due that no socket will tell of. */
static int64_t
next_due(const VeltNetwork *network)
{
	const VeltTransport *transport;
	int64_t		earliest = VELT_NEVER;

	TAILQ_FOREACH(transport, &network->busy, link)
	{
		int64_t		due = velt_transport_next_due(transport);

		if (due < earliest)
			earliest = due;
	}
	return earliest;
}

void
velt_network_enter(VeltNetwork *network)
{
	VeltTransport *transport;
	VeltTransfer *transfer;

	if (!start_clock(network))
		return;
	/* a connection that is found lost may have been lost meanwhile */
	TAILQ_FOREACH(transport, &network->busy, link)
	{
		TAILQ_FOREACH(transfer, &transport->running, link)
			transfer->slept = transfer->resend_free = true;
	}
}

void
velt_network_leave(VeltNetwork *network)
{
	VeltTransport *transport;
	VeltTransfer *transfer;
	int64_t		now;

	if (network->stopped_ms != 0 || !stop_clock(network, next_due(network)))
		return;
	now = velt_network_now(network);
	TAILQ_FOREACH(transport, &network->busy, link)
	{
		TAILQ_FOREACH(transfer, &transport->running, link)
		{
			/* an attempt that began later counts from now on */
			if (transfer->started_ms > now)
				transfer->started_ms = now;
		}
	}
}

/* ----------
 * Driving
 * ----------
 */

void
velt_network_count_transfer(VeltTransport *transport, int change)
{
	VeltNetwork *network = transport->network;
	bool		was_busy = transport->ntransfers > 0;

	transport->ntransfers += change;
	if (was_busy == (transport->ntransfers > 0))
		return;
	if (was_busy)
	{
		TAILQ_REMOVE(&network->busy, transport, link);
		TAILQ_INSERT_TAIL(&network->idle, transport, link);
		network->nbusy--;
	}
	else
	{
		TAILQ_REMOVE(&network->idle, transport, link);
		TAILQ_INSERT_TAIL(&network->busy, transport, link);
		network->nbusy++;
	}
}

bool
velt_network_arm(VeltNetwork *network, VeltError *error)
{
	if (!velt_network_is_open(network))
		return true;
	return velt_event_loop_arm(network->loop,
							   to_real(network, next_due(network)), error);
}

bool
velt_network_wake(VeltNetwork *network, VeltError *error)
{
	return velt_event_loop_arm(network->loop, 0, error);
}

bool
velt_network_kick(VeltNetwork *network, VeltError *error)
{
	int			running = 0;
	int			nconnecting = network->nconnecting;

	network->nconnecting = 0;
	if (!velt_event_loop_kick(network->loop, nconnecting, &running, error))
		return false;
	network->has_work = running < network->nrunning;
	return velt_network_arm(network, error);
}

/* Note which attempts curl has ended; their bytes may wait to be processed. */
static void
note_delivered(VeltNetwork *network)
{
	CURLM	   *multi = velt_event_loop_multi(network->loop);
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		VeltTransfer *transfer;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		transfer->delivered = true;
		transfer->code = message->data.result;
	}
}

/*
 * Attempts that still run, with all processed that had come in a gap, were not
 * lost in it.
 */
static void
end_sleep(VeltTransport *transport)
{
	VeltTransfer *transfer;

	TAILQ_FOREACH(transfer, &transport->running, link)
		transfer->slept = transfer->slept && velt_transfer_is_behind(transfer);
}

/*
 * Process what has come, end what is overdue and start what is queued, of all
 * busy transports.
 */
static bool
run_transports(VeltNetwork *network, size_t *budget, bool *started,
			   VeltError *error)
{
	VeltTransport *transport = TAILQ_FIRST(&network->busy);

	network->wanted = 0;
	while (transport != NULL)
	{
		/* it may become idle, which moves none of the others */
		VeltTransport *next = TAILQ_NEXT(transport, link);

		if (!velt_transport_process(transport, budget))
			network->unprocessed = true;
		end_sleep(transport);
		velt_transport_end_overdue(transport);
		if (!velt_transport_start_queued(transport, started, error))
			return false;
		transport = next;
	}
	return true;
}

static bool
drive(VeltNetwork *network, VeltError *error)
{
	size_t		budget = VELT_SLICE_BYTES;
	bool		more = true;

	network->unprocessed = false;
	if (velt_network_is_open(network) &&
		!velt_event_loop_run(network->loop, error))
		return false;
	for (int round = 0; more && round < MAX_ROUNDS; round++)
	{
		more = false;
		if (velt_network_is_open(network))
			note_delivered(network);
		if (!run_transports(network, &budget, &more, error))
			return false;
		if (more && !velt_network_kick(network, error))
			return false;
	}
	network->has_work = more || network->unprocessed;
	return velt_network_arm(network, error);
}

/* Let the clock run from now on, also if nothing waited until now. */
static void
resume_clock(VeltNetwork *network)
{
	if (network->stopped_ms != 0)
		network->behind_ms += velt_event_loop_now() - network->stopped_ms;
	network->stopped_ms = 0;
}

bool
velt_network_drive(VeltNetwork *network, VeltError *error)
{
	sigset_t	saved;
	bool		ok;

	resume_clock(network);
	velt_network_block_signals(&saved);
	network->driving = true;
	ok = drive(network, error);
	network->driving = false;
	velt_network_restore_signals(&saved);
	network->stopped_ms = velt_event_loop_now();
	return ok;
}

/* ----------
 * State for the caller
 * ----------
 */

bool
velt_network_has_work(const VeltNetwork *network)
{
	return network->has_work;
}

int
velt_network_fd(const VeltNetwork *network)
{
	return velt_event_loop_fd(network->loop);
}

static bool
take_notice(VeltTransport *transport, VeltNotice *notice)
{
	if (transport->longest_wait_ms == 0)
		return false;
	notice->wait_ms = transport->longest_wait_ms;
	notice->cause = transport->wait_cause;
	notice->user = transport->user;
	transport->longest_wait_ms = 0;
	return true;
}

bool
velt_network_take_notice(VeltNetwork *network, VeltNotice *notice)
{
	VeltTransport *transport;

	TAILQ_FOREACH(transport, &network->busy, link)
	{
		if (take_notice(transport, notice))
			return true;
	}
	return false;
}

VeltAttemptLog *
velt_network_log(VeltNetwork *network)
{
	return &network->log;
}
