/*
 * client/transport.h
 *		Bodies out, bytes back: the requests of one session.
 *
 * A transfer is one exchange with the API: queued until there is room, then
 * attempted, and attempted again after a failure that may pass.  Nothing in
 * here blocks: the network (see network.h) waits for all transports together.
 *
 * Knows neither JSON nor resources nor page tokens.
 */
#ifndef VELT_CLIENT_TRANSPORT_H
#define VELT_CLIENT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/config.h"
#include "client/error.h"
#include "client/network.h"
#include "client/sink.h"

typedef struct VeltTransport VeltTransport;

/*
 * Create a transport of the network, which must outlive it.  It has no HTTP
 * connection yet.  "user" is an opaque pointer of the caller's.
 */
extern VeltTransport *velt_transport_create(const VeltTransportConfig *config,
											VeltNetwork *network, void *user,
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

/*
 * Count bytes of responses that the transport's owners hold, or do not hold
 * any more.  While there are more than twice max_response_bytes, only the
 * oldest attempt goes on receiving.
 */
extern void velt_transport_hold(VeltTransport *transport, size_t bytes);
extern void velt_transport_release(VeltTransport *transport, size_t bytes);

/* Let velt_network_has_work be true: an owner will go on after a drive. */
extern void velt_transport_drive_soon(VeltTransport *transport);

extern VeltPhase velt_transport_phase(const VeltTransport *transport);
extern VeltTransportStats velt_transport_stats(const VeltTransport *transport);

/* The transport's own copy. */
extern const VeltCredentials *velt_transport_credentials(const VeltTransport *transport);

/* "libcurl/8.1 ..." for velt_fdw_version(). */
extern const char *velt_transport_library(void);

#endif							/* VELT_CLIENT_TRANSPORT_H */
