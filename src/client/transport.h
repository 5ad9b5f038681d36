/*
 * client/transport.h
 *		Bodies out, bytes back: the connections of one session.
 *
 * A transfer is one exchange with the API: queued until there is room, then
 * attempted, and attempted again after a failure that may pass.  Nothing in
 * here blocks: what is to be waited for stands behind one descriptor, and
 * velt_transport_drive does what can be done now.
 *
 * Time counts, against deadlines and between retries, only while somebody
 * waits, from velt_transport_enter to velt_transport_leave: a cursor that
 * nobody fetches from does not run out of time.
 *
 * Knows neither JSON nor resources nor page tokens.
 */
#ifndef VELT_CLIENT_TRANSPORT_H
#define VELT_CLIENT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/attempt_log.h"
#include "client/config.h"
#include "client/error.h"
#include "client/sink.h"

typedef struct VeltTransport VeltTransport;

/* A request that is going to be made again, later. */
typedef struct VeltNotice
{
	int64_t		wait_ms;
	VeltError	cause;
} VeltNotice;

extern VeltTransport *velt_transport_create(const VeltTransportConfig *config,
											VeltError *error);

/* Ends transfers that are left without telling their owners. */
extern void velt_transport_destroy(VeltTransport *transport);

/*
 * Queues a POST of the body (malloc'd; taken over, also on failure) to a path
 * below the base URL.  NULL on failure.  The transfer is the transport's; the
 * owner may cancel it until it is done.
 */
extern VeltTransfer *velt_transport_submit(VeltTransport *transport,
										   const char *path, char *body,
										   const VeltSink *sink, void *owner,
										   VeltError *error);

/* Ends a transfer at once; its owner hears nothing more of it. */
extern void velt_transfer_cancel(VeltTransfer *transfer);

/* The caller is about to wait for the descriptor; or is through with that. */
extern void velt_transport_enter(VeltTransport *transport);
extern void velt_transport_leave(VeltTransport *transport);

/* Does what can be done without waiting. */
extern bool velt_transport_drive(VeltTransport *transport, VeltError *error);

/*
 * Whether velt_transport_drive has something to do at once: a transfer ended
 * as it was submitted, or one was cancelled that others wait for to end, and
 * no descriptor tells of that.
 */
extern bool velt_transport_has_work(const VeltTransport *transport);

/* Readable when velt_transport_drive has something to do otherwise. */
extern int	velt_transport_fd(const VeltTransport *transport);

extern VeltPhase velt_transport_phase(const VeltTransport *transport);
extern VeltTransportStats velt_transport_stats(const VeltTransport *transport);

/* The longest wait before a retry that began since the last call, if any. */
extern bool velt_transport_take_notice(VeltTransport *transport,
									   VeltNotice *notice);

/* The record of its attempts, which is the caller's to enable and to read. */
extern VeltAttemptLog *velt_transport_log(VeltTransport *transport);

/* The transport's own copy. */
extern const VeltCredentials *velt_transport_credentials(const VeltTransport *transport);

/* "libcurl/8.1 ..." for velt_fdw_version(). */
extern const char *velt_transport_library(void);

#endif							/* VELT_CLIENT_TRANSPORT_H */
