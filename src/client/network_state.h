/*
 * client/network_state.h
 *		Structures and functions that network.c and transport.c share.
 */
#ifndef VELT_CLIENT_NETWORK_STATE_H
#define VELT_CLIENT_NETWORK_STATE_H

#include <signal.h>
#include <sys/queue.h>

#include "client/event_loop.h"
#include "client/network.h"
#include "client/transfer.h"
#include "client/transport.h"

TAILQ_HEAD(VeltTransferList, VeltTransfer);
TAILQ_HEAD(VeltTransportList, VeltTransport);

struct VeltNetwork
{
	VeltEventLoop *loop;
	struct VeltTransportList busy;	/* with transfers */
	struct VeltTransportList idle;	/* the least recently used first */
	int			nbusy;
	int			nrunning;		/* attempts in flight */
	int			nconnecting;	/* attempts that the next kick connects */

	int			granted;		/* descriptors that may be used now */
	int			most;			/* ... that may ever be granted */
	int			wanted;			/* ... for a request that waits; 0: none */

	bool		driving;		/* within velt_network_drive */
	bool		unprocessed;	/* work is left for the next call to drive */
	bool		has_work;		/* see velt_network_has_work */
	VeltAttemptLog log;

	/* The clock of deadlines, which stands still while no caller waits. */
	int64_t		behind_ms;		/* lag behind velt_event_loop_now */
	int64_t		stopped_ms;		/* since when it stands still; 0: it runs */
	int64_t		started_ms;		/* since when it runs */
};

struct VeltTransport
{
	TAILQ_ENTRY(VeltTransport) link;	/* in one of the network's lists */
	VeltNetwork *network;
	VeltTransportConfig config; /* with its own strings */
	void	   *user;
	CURLSH	   *share;			/* TLS sessions and connections; may be NULL */
	struct curl_slist *headers;

	struct VeltTransferList queued; /* to be started, in this order */
	struct VeltTransferList delayed;	/* until their not_before_ms */
	struct VeltTransferList running;
	int			ntransfers;		/* in all three lists */
	int			nrunning;
	size_t		held;			/* bytes of responses, delivered and in pages */
	bool		paused;			/* an attempt waits for room for more */
	bool		starved;		/* the first queued one lacks a descriptor */
	bool		is_api;			/* it has replied as the API does */

	/* handles at rest, ready to be used again */
	CURL	  **handles;
	int			nhandles;

	/* on the clock of velt_event_loop_now: the server's time never stops */
	int64_t		paused_until_ms;	/* the server wants no request before */
	int64_t		next_start_ms;	/* for max_requests_per_minute */

	VeltTransportStats stats;
	int64_t		longest_wait_ms;	/* before a retry, not yet told; 0: none */
	VeltError	wait_cause;
};

/*
 * A thread that libcurl starts to look up a name inherits the signal mask,
 * and the process's handlers may not run on it: block signals around calls
 * that may start one.
 */
extern void velt_network_block_signals(sigset_t *saved);
extern void velt_network_restore_signals(const sigset_t *saved);

/* Return the time on the clock of deadlines. */
extern int64_t velt_network_now(const VeltNetwork *network);

/* A time of velt_event_loop_now on that clock. */
extern int64_t velt_network_from_real(const VeltNetwork *network,
									  int64_t real_ms);

/* Add or remove a transfer of the transport, which is busy or idle by that. */
extern void velt_network_count_transfer(VeltTransport *transport, int change);

/* Return whether the descriptors allow another HTTP connection. */
extern bool velt_network_may_connect(VeltNetwork *network);

/* Note that n requests wait for descriptors. */
extern void velt_network_want_connections(VeltNetwork *network, int n);

/* Return how many HTTP connections each busy transport may have. */
extern int	velt_network_share(const VeltNetwork *network);

/* Send what was added. */
extern bool velt_network_kick(VeltNetwork *network, VeltError *error);

/* Make the descriptor readable when something is due. */
extern bool velt_network_arm(VeltNetwork *network, VeltError *error);

/* When something is due that no socket will tell of. */
extern int64_t velt_transport_next_due(const VeltTransport *transport);

/* Start what there is room for; false only if that failed. */
extern bool velt_transport_start_queued(VeltTransport *transport,
										bool *started, VeltError *error);

/*
 * Return whether the transfer may add to the bytes that the transport holds:
 * up to max_response_size in all, and the oldest transfer beyond that, which
 * is as much again at most.
 */
extern bool velt_transport_may_hold_more(const VeltTransfer *transfer);

/*
 * Process bytes that libcurl has delivered, as long as *budget lasts.  False
 * if there are more.
 */
extern bool velt_transport_process(VeltTransport *transport, size_t *budget);

/* End attempts that have run out of time. */
extern void velt_transport_end_overdue(VeltTransport *transport);

/* End the queued transfers with an error. */
extern void velt_transport_refuse(VeltTransport *transport,
								  const VeltError *error);

/* Close the HTTP connections; no attempt may be in flight. */
extern void velt_transport_close_connections(VeltTransport *transport);

#endif							/* VELT_CLIENT_NETWORK_STATE_H */
