/*
 * client/sink.h
 *		A transfer as its owner knows it, and the owner as a transfer does.
 */
#ifndef VELT_CLIENT_SINK_H
#define VELT_CLIENT_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/error.h"

/* One exchange with the API. */
typedef struct VeltTransfer VeltTransfer;

/* How a transfer ended. */
typedef struct VeltOutcome
{
	const VeltError *error;		/* NULL: well */
	int64_t		bytes_received; /* body bytes before decompression */
	const char *request_id;		/* as it came; "" if none did */
} VeltOutcome;

/*
 * The owner of a transfer, as the transport knows it.  None of these may
 * raise a PostgreSQL error; "begin" and "receive" are called from within
 * libcurl and may not call the transport.
 */
typedef struct VeltSink
{
	/* An attempt begins: what came of an earlier one is void. */
	void		(*begin) (void *owner);

	/*
	 * The response's headers say how long its body is, as sent, or at least
	 * (UINT64_MAX); false with *error ends the transfer.  Not every response
	 * does.
	 */
	bool		(*expect) (void *owner, uint64_t length, VeltError *error);

	/* The next bytes of the body; false with *error ends the transfer. */
	bool		(*receive) (void *owner, int http_status, const char *bytes,
							size_t length, VeltError *error);

	/* The response is there: whether it is an answer. */
	bool		(*check) (void *owner, int http_status, VeltError *error);

	/* The transfer has ended and is gone. */
	void		(*done) (void *owner, const VeltOutcome *outcome);
} VeltSink;

/* What the transport as a whole is waiting for; the least advanced first. */
typedef enum VeltPhase
{
	VELT_PHASE_IDLE,
	VELT_PHASE_BACKOFF,			/* until a request may be made (again) */
	VELT_PHASE_CONNECT,			/* look-up, TCP, TLS */
	VELT_PHASE_REQUEST,			/* until the first byte of the response */
	VELT_PHASE_RESPONSE
} VeltPhase;

typedef struct VeltTransportStats
{
	int64_t		requests;
	int64_t		retries;
	int64_t		bytes_received;
	int			open_connections;
} VeltTransportStats;

#endif							/* VELT_CLIENT_SINK_H */
