/*
 * client/network.h
 *		The event loop and the descriptors that all transports share.
 *
 * A process has one network.  Its transports wait behind one descriptor, and
 * a wait for one transport drives all of them.  While no HTTP connection is
 * open and no request unfinished, the network holds no descriptor at all.
 *
 * The caller decides how many descriptors may be used: it grants some, and
 * grants more when a request waits for them.  A transport that needs a
 * connection beyond that waits until another one is closed.
 *
 * Time counts, against deadlines and between retries, only while the caller
 * drives or waits, from velt_network_enter to velt_network_leave: a query that
 * does not fetch does not run out of time.
 */
#ifndef VELT_CLIENT_NETWORK_H
#define VELT_CLIENT_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "client/attempt_log.h"
#include "client/error.h"

typedef struct VeltNetwork VeltNetwork;

/* A request that will be retried later. */
typedef struct VeltNotice
{
	int64_t		wait_ms;
	VeltError	cause;
	void	   *user;			/* of the transport; see velt_transport_create */
} VeltNotice;

/* Create a network without descriptors; NULL when memory is out. */
extern VeltNetwork *velt_network_create(void);

/* All transports must have been destroyed. */
extern void velt_network_destroy(VeltNetwork *network);

/*
 * Allow the network that many descriptors now, and at most so many ever: the
 * transports that are busy share those evenly.  Without a call the number is
 * not limited.
 */
extern void velt_network_allow(VeltNetwork *network, int now, int most);

/* Return the number of descriptors in use or about to be used. */
extern int	velt_network_descriptors(VeltNetwork *network);

/*
 * Return the number of descriptors, in all, with which the requests could start
 * that wait for descriptors; 0 if none does.  Fewer let some of them start.
 */
extern int	velt_network_wants(const VeltNetwork *network);

/* Return whether an attempt is in flight: its end frees a descriptor. */
extern bool velt_network_is_running(const VeltNetwork *network);

/* End the requests that wait for a descriptor with an error. */
extern void velt_network_refuse(VeltNetwork *network);

/*
 * Close the idle HTTP connections of the least recently used transport that
 * has any and does nothing.  Return false if no transport has any.
 */
extern bool velt_network_close_idle(VeltNetwork *network);

/*
 * Open what a wait needs, VELT_NETWORK_DESCRIPTORS; or close that, which is
 * possible when no HTTP connection is open and no request unfinished.
 */
#define VELT_NETWORK_DESCRIPTORS	4

extern bool velt_network_open(VeltNetwork *network, VeltError *error);
extern bool velt_network_is_open(const VeltNetwork *network);
extern bool velt_network_is_unused(VeltNetwork *network);
extern void velt_network_close(VeltNetwork *network);

/* The caller is about to wait for the descriptor, or has stopped waiting. */
extern void velt_network_enter(VeltNetwork *network);
extern void velt_network_leave(VeltNetwork *network);

/*
 * Do what can be done without waiting, and with at most 64 kB of what has
 * come: there may be more work afterwards.
 */
extern bool velt_network_drive(VeltNetwork *network, VeltError *error);

/*
 * Return whether velt_network_drive has something to do at once, which the
 * descriptor does not tell: bytes are left to process, or a transfer ended as
 * it was submitted, or was cancelled, so that another can start.
 */
extern bool velt_network_has_work(const VeltNetwork *network);

/* Return the descriptor, readable when there is something to do otherwise. */
extern int	velt_network_fd(const VeltNetwork *network);

/* Make that descriptor readable at once. */
extern bool velt_network_wake(VeltNetwork *network, VeltError *error);

/*
 * Take the longest wait before a retry that has begun at a transport since
 * the last call; false when no transport has any left.
 */
extern bool velt_network_take_notice(VeltNetwork *network,
									 VeltNotice *notice);

/* Return the record of attempts, which the caller enables and reads. */
extern VeltAttemptLog *velt_network_log(VeltNetwork *network);

#endif							/* VELT_CLIENT_NETWORK_H */
