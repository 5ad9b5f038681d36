/*
 * client/transfer.h
 *		One exchange with the API: the attempt at hand, as curl sees it.
 *
 * Internal to the transport, which decides when attempts begin and what
 * becomes of them.
 */
#ifndef VELT_CLIENT_TRANSFER_H
#define VELT_CLIENT_TRANSFER_H

#include <curl/curl.h>
#include <sys/queue.h>

#include "client/buffer.h"
#include "client/config.h"
#include "client/event_loop.h"
#include "client/gunzip.h"
#include "client/retry.h"
#include "client/sink.h"

/*
 * curl tries addresses of both families side by side, so one of the latest
 * two sockets is the one that an attempt goes on with.
 */
#define VELT_SOCKETS_NOTED	2

struct VeltTransfer
{
	TAILQ_ENTRY(VeltTransfer) link;
	struct VeltTransport *transport;
	VeltEventLoop *loop;
	const VeltTransportConfig *config;
	VeltTransportStats *stats;
	const VeltSink *sink;
	void	   *owner;
	const char *path;			/* the caller's */
	char	   *url;
	char	   *body;
	VeltRetry	retry;
	int64_t		not_before_ms;	/* when a backoff ends; 0: none */
	bool		slept;			/* it ran while nobody drove */
	bool		resend_free;	/* ... and its connection may be lost for that */
	bool		fresh;			/* the next attempt needs a new connection */

	/* of the attempt at hand */
	CURL	   *easy;			/* NULL while queued */
	VeltPhase	phase;
	int64_t		started_ms;
	int64_t		grace_ends_ms;	/* in processor time; 0: not overdue yet */
	size_t		header_bytes;
	bool		headers_complete;
	bool		connects;		/* it needs a new connection */
	bool		retry_after;	/* the response has such a header */
	bool		chunked;		/* ... and is sent in chunks */
	bool		compressed;		/* ... and is gzip data */
	bool		has_length;		/* ... and a Content-Length: */
	uint64_t	length;
	int			sockets[VELT_SOCKETS_NOTED];	/* opened for it; -1: none */
	bool		died;			/* the exchange broke off */

	/* bytes of the body that libcurl has delivered */
	VeltBuffer	input;
	size_t		input_start;	/* bytes of it that were processed */
	bool		paused;			/* libcurl holds back more */
	bool		delivered;		/* libcurl has ended the attempt ... */
	CURLcode	code;			/* ... with this code */
	VeltGunzip *gunzip;			/* NULL: the body is not compressed */

	VeltError	error;			/* why a callback ended it, or kind NONE */
	char		curl_message[CURL_ERROR_SIZE];
};

/* Takes the body over, also on failure; the rest is borrowed. */
extern VeltTransfer *velt_transfer_create(const VeltTransportConfig *config,
										  VeltTransportStats *stats,
										  const char *path, char *body,
										  const VeltSink *sink, void *owner,
										  VeltError *error);
extern void velt_transfer_free(VeltTransfer *transfer);

/* Sets what all transfers have in common, once for a handle. */
extern void velt_transfer_prepare(CURL *easy);

/* Set the handle up for an attempt that begins now. */
extern bool velt_transfer_begin(VeltTransfer *transfer, CURL *easy,
								int64_t now_ms);

/* Return whether delivered bytes are waiting to be processed. */
extern bool velt_transfer_has_input(const VeltTransfer *transfer);

/* Return whether there may be more in the socket than was processed. */
extern bool velt_transfer_is_behind(const VeltTransfer *transfer);

/*
 * Decompress and hand over the next delivered bytes: at most a slice, of which
 * *bytes is the size.  False with the transfer's error set if the response
 * need not go on.
 */
#define VELT_SLICE_BYTES	((size_t) 64 * 1024)

extern bool velt_transfer_process(VeltTransfer *transfer, size_t *bytes);

/*
 * Let libcurl deliver again, if it was paused and there is room.  False when
 * that failed, of which libcurl says nothing later: the attempt must be ended.
 */
extern bool velt_transfer_resume(VeltTransfer *transfer);

/* How long the attempt may take, as far as it has come, in ms. */
extern int	velt_transfer_time_allowed(const VeltTransfer *transfer);

/* The attempt has run out of time. */
extern void velt_transfer_time_out(const VeltTransfer *transfer,
								   VeltError *error);

/*
 * curl has ended the attempt with that code.  True if the response is an
 * answer.
 */
extern bool velt_transfer_judge(VeltTransfer *transfer, CURLcode code,
								VeltError *error);

/* How long the server wants to be left alone, or 0. */
extern int64_t velt_transfer_retry_after_ms(const VeltTransfer *transfer);

/* How the server calls the exchange, as it came; "" if it does not. */
extern const char *velt_transfer_request_id(const VeltTransfer *transfer);

extern int	velt_transfer_http_status(const VeltTransfer *transfer);

#endif							/* VELT_CLIENT_TRANSFER_H */
