/*
 * client/transport.c
 *		Bodies out, bytes back: the requests of one session.
 *
 * A transfer is queued, then running, then done; one that failed for a reason
 * that may pass is delayed, then queued again, which is decided in one place,
 * end_attempt.  Owners are told from velt_network_drive, outside of libcurl.
 */
#include "client/transport.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/handle.h"
#include "client/network_state.h"

#define MINUTE_MS			60000

/*
 * Processor time that an overdue attempt may take for bytes that may have
 * arrived in time.
 */
#define GRACE_MS			10

/* ----------
 * Creation
 * ----------
 */

/* libcurl's own state is made once, and never taken down in a backend. */
static bool
initialize_library(VeltError *error)
{
	static bool initialized = false;
	sigset_t	saved;

	velt_network_block_signals(&saved);
	if (!initialized)
		initialized = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	velt_network_restore_signals(&saved);
	return initialized ||
		velt_error_set(error, VELT_ERROR_SYSTEM,
					   "Could not initialize libcurl.");
}

VeltTransport *
velt_transport_create(const VeltTransportConfig *config,
					  VeltNetwork *network, void *user, VeltError *error)
{
	VeltTransport *transport;

	if (!initialize_library(error))
		return NULL;
	transport = calloc(1, sizeof(VeltTransport));
	if (transport == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	TAILQ_INIT(&transport->queued);
	TAILQ_INIT(&transport->delayed);
	TAILQ_INIT(&transport->running);
	transport->network = network;
	transport->user = user;
	TAILQ_INSERT_TAIL(&network->idle, transport, link);
	transport->handles = calloc(config->max_concurrency, sizeof(CURL *));
	if (!velt_config_copy(&transport->config, config) ||
		transport->handles == NULL)
		velt_error_out_of_memory(error);
	else if ((transport->headers = velt_handle_headers(&transport->config,
													   error)) != NULL)
		return transport;
	velt_transport_destroy(transport);
	return NULL;
}

void
velt_transport_close_connections(VeltTransport *transport)
{
	sigset_t	saved;

	velt_network_block_signals(&saved);
	/* without memory for the array there are no handles */
	while (transport->handles != NULL && transport->nhandles > 0)
		curl_easy_cleanup(transport->handles[--transport->nhandles]);
	if (transport->share != NULL)
		curl_share_cleanup(transport->share);
	transport->share = NULL;
	velt_network_restore_signals(&saved);
}

void
velt_transport_destroy(VeltTransport *transport)
{
	VeltTransfer *transfer;

	if (transport == NULL)
		return;
	while ((transfer = TAILQ_FIRST(&transport->running)) != NULL ||
		   (transfer = TAILQ_FIRST(&transport->delayed)) != NULL ||
		   (transfer = TAILQ_FIRST(&transport->queued)) != NULL)
		velt_transfer_cancel(transfer);
	velt_transport_close_connections(transport);
	TAILQ_REMOVE(&transport->network->idle, transport, link);
	for (struct curl_slist *h = transport->headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(transport->headers);
	free(transport->handles);
	velt_config_free(&transport->config);
	free(transport);
}

/* ----------
 * Deadlines
 * ----------
 */

/* When the next request may leave, for all that the server and we allow. */
static int64_t
next_start(const VeltTransport *transport)
{
	return transport->paused_until_ms > transport->next_start_ms ?
		transport->paused_until_ms : transport->next_start_ms;
}

static int64_t
deadline(const VeltTransfer *transfer)
{
	return transfer->started_ms + velt_transfer_time_allowed(transfer);
}

/*
 * Return how many attempts may be in flight: max_concurrency, or fewer if the
 * busy transports have to share descriptors.
 */
static int
concurrency(const VeltTransport *transport)
{
	int			share = velt_network_share(transport->network);
	int			most = transport->config.max_concurrency;

	return most < share ? most : share;
}

int64_t
velt_transport_next_due(const VeltTransport *transport)
{
	int64_t		due = VELT_NEVER;
	const VeltTransfer *transfer;

	TAILQ_FOREACH(transfer, &transport->running, link)
	{
		if (deadline(transfer) < due)
			due = deadline(transfer);
	}
	TAILQ_FOREACH(transfer, &transport->delayed, link)
	{
		if (transfer->not_before_ms < due)
			due = transfer->not_before_ms;
	}
	if (!TAILQ_EMPTY(&transport->queued) && !transport->starved &&
		transport->nrunning < concurrency(transport))
	{
		int64_t		start = velt_network_from_real(transport->network,
												   next_start(transport));
		int64_t		now = velt_network_now(transport->network);

		/* what could start long ago is due now: nothing announced it then */
		if (start < now)
			start = now;
		if (start < due)
			due = start;
	}
	return due;
}

/* ----------
 * Starting
 * ----------
 */

static CURL *
take_handle(VeltTransport *transport, VeltError *error)
{
	CURL	   *easy;

	if (transport->nhandles > 0)
		return transport->handles[--transport->nhandles];
	if (transport->share == NULL &&
		(transport->share = velt_handle_share(error)) == NULL)
		return NULL;
	easy = velt_handle_create(&transport->config, transport->headers,
							  transport->share, transport->network->loop,
							  error);
	if (easy != NULL)
		velt_transfer_prepare(easy);
	return easy;
}

/* End the current attempt; its handle is at rest again. */
static void
release_handle(VeltTransfer *transfer)
{
	VeltTransport *transport = transfer->transport;
	VeltNetwork *network = transport->network;

	if (transfer->phase == VELT_PHASE_CONNECT)
		velt_event_loop_recount(network->loop);
	curl_multi_remove_handle(velt_event_loop_multi(network->loop),
							 transfer->easy);
	transport->handles[transport->nhandles++] = transfer->easy;
	transfer->easy = NULL;
	transfer->phase = VELT_PHASE_IDLE;
	TAILQ_REMOVE(&transport->running, transfer, link);
	transport->nrunning--;
	network->nrunning--;
}

/* Return how many queued transfers could start if they had connections. */
static int
count_startable(const VeltTransport *transport)
{
	int			most = concurrency(transport) - transport->nrunning;
	const VeltTransfer *transfer;
	int			n = 0;

	TAILQ_FOREACH(transfer, &transport->queued, link)
	{
		if (++n == most)
			break;
	}
	return n;
}

/*
 * Give the attempt a connection: one that is kept, or a new one if the
 * descriptors allow that.  False if they do not.
 */
static bool
find_connection(VeltTransfer *transfer)
{
	VeltTransport *transport = transfer->transport;
	VeltNetwork *network = transport->network;

	transfer->connects = transfer->fresh ||
		velt_event_loop_sockets(network->loop,
								transport) <= transport->nrunning;
	if (!transfer->connects || velt_network_may_connect(network))
		return true;
	velt_network_want_connections(network, count_startable(transport));
	transport->starved = true;
	return false;
}

/* Begin an attempt, which leaves with the next kick. */
static bool
start_attempt(VeltTransfer *transfer, VeltError *error)
{
	VeltTransport *transport = transfer->transport;
	VeltNetwork *network = transport->network;
	CURL	   *easy;

	if (!velt_event_loop_open(network->loop, error) ||
		(easy = take_handle(transport, error)) == NULL)
		return false;
	TAILQ_REMOVE(&transport->queued, transfer, link);
	TAILQ_INSERT_TAIL(&transport->running, transfer, link);
	transport->nrunning++;
	network->nrunning++;
	network->nconnecting += transfer->connects;
	transport->stats.requests++;
	if (transfer->retry.attempts > 0)
		transport->stats.retries++;
	/* with more connections than its share, a transport gives this one up */
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE,
					 velt_event_loop_sockets(network->loop, transport) >
					 velt_network_share(network) ? 1L : 0L);
	if (velt_transfer_begin(transfer, easy, velt_network_now(network)) &&
		curl_multi_add_handle(velt_event_loop_multi(network->loop),
							  easy) == CURLM_OK)
		return true;
	release_handle(transfer);
	TAILQ_INSERT_HEAD(&transport->queued, transfer, link);
	return velt_error_out_of_memory(error);
}

/* Spreads max_requests_per_minute evenly, without saving up idle time. */
static void
pace(VeltTransport *transport, int64_t now)
{
	int			rate = transport->config.max_requests_per_minute;

	if (rate > 0)
		transport->next_start_ms = now + (MINUTE_MS + rate - 1) / rate;
}

/* Puts first in the queue what has been delayed for long enough. */
static void
end_delays(VeltTransport *transport)
{
	int64_t		now = velt_network_now(transport->network);
	VeltTransfer *transfer;
	VeltTransfer *next;

	/* the last one first, so that the first one is first in the queue */
	for (transfer = TAILQ_LAST(&transport->delayed, VeltTransferList);
		 transfer != NULL; transfer = next)
	{
		next = TAILQ_PREV(transfer, VeltTransferList, link);
		if (transfer->not_before_ms > now)
			continue;
		TAILQ_REMOVE(&transport->delayed, transfer, link);
		transfer->not_before_ms = 0;
		TAILQ_INSERT_HEAD(&transport->queued, transfer, link);
	}
}

bool
velt_transport_start_queued(VeltTransport *transport, bool *started,
							VeltError *error)
{
	VeltTransfer *transfer;

	transport->starved = false;
	end_delays(transport);
	while (transport->nrunning < concurrency(transport) &&
		   (transfer = TAILQ_FIRST(&transport->queued)) != NULL)
	{
		int64_t		now = velt_event_loop_now();

		if (next_start(transport) > now || !find_connection(transfer))
			break;
		if (!start_attempt(transfer, error))
			return false;
		pace(transport, now);
		*started = true;
	}
	return true;
}

VeltTransfer *
velt_transport_submit(VeltTransport *transport, const char *path, char *body,
					  const VeltSink *sink, void *owner, VeltError *error)
{
	VeltNetwork *network = transport->network;
	VeltTransfer *transfer = velt_transfer_create(&transport->config,
												  &transport->stats, path,
												  body, sink, owner, error);
	sigset_t	saved;
	bool		started = false;
	bool		ok;

	if (transfer == NULL)
		return NULL;
	transfer->transport = transport;
	transfer->loop = network->loop;
	TAILQ_INSERT_TAIL(&transport->queued, transfer, link);
	velt_network_count_transfer(transport, 1);
	if (network->driving)
		return transfer;		/* which starts it */

	velt_network_block_signals(&saved);
	ok = velt_transport_start_queued(transport, &started, error) &&
		(started ? velt_network_kick(network, error) :
		 velt_network_arm(network, error));
	velt_network_restore_signals(&saved);
	if (ok)
		return transfer;
	velt_transfer_cancel(transfer);
	return NULL;
}

void
velt_transfer_cancel(VeltTransfer *transfer)
{
	VeltTransport *transport = transfer->transport;
	VeltNetwork *network = transport->network;
	sigset_t	saved;

	if (transfer->easy != NULL)
	{
		velt_network_block_signals(&saved);
		release_handle(transfer);
		velt_network_restore_signals(&saved);
		/* its place is free, and no descriptor tells of that */
		if (!TAILQ_EMPTY(&transport->queued) || network->wanted > 0)
			network->has_work = true;
	}
	else if (transfer->not_before_ms > 0)
		TAILQ_REMOVE(&transport->delayed, transfer, link);
	else
		TAILQ_REMOVE(&transport->queued, transfer, link);
	velt_network_count_transfer(transport, -1);
	velt_transfer_free(transfer);
}

/* ----------
 * The end of an attempt
 * ----------
 */

static void
log_attempt(VeltTransfer *transfer, int64_t bytes, bool failed)
{
	VeltNetwork *network = transfer->transport->network;
	VeltAttempt attempt = {
		.path = transfer->path,
		.number = transfer->retry.attempts + 1,
		.http_status = velt_transfer_http_status(transfer),
		.duration_ms = velt_network_now(network) - transfer->started_ms,
		.bytes_received = bytes,
		.failed = failed
	};

	velt_attempt_log_add(&network->log, &attempt);
}

/* The request is to be made again after so long. */
static void
delay(VeltTransfer *transfer, int64_t wait_ms, const VeltError *error)
{
	VeltTransport *transport = transfer->transport;

	transfer->not_before_ms = velt_network_now(transport->network) + wait_ms;
	TAILQ_INSERT_TAIL(&transport->delayed, transfer, link);
	/* a limit on requests is one on all of them */
	if (error->kind == VELT_ERROR_EXHAUSTED &&
		velt_event_loop_now() + wait_ms > transport->paused_until_ms)
		transport->paused_until_ms = velt_event_loop_now() + wait_ms;
	if (wait_ms > transport->longest_wait_ms)
	{
		transport->longest_wait_ms = wait_ms;
		transport->wait_cause = *error;
	}
}

/* It is curl's, and gone with the handle. */
static void
copy_request_id(const VeltTransfer *transfer, char *request_id)
{
	const char *id = velt_transfer_request_id(transfer);
	size_t		length = strnlen(id, VELT_REQUEST_ID_BYTES - 1);

	memcpy(request_id, id, length);
	request_id[length] = '\0';
}

/*
 * Who has replied as the API does is the API, also where another reply could
 * be anybody's.
 */
static void
note_api(VeltTransport *transport, VeltError *error)
{
	if (error == NULL || error->enveloped)
		transport->is_api = true;
	else if (transport->is_api && error->kind == VELT_ERROR_NO_ENVELOPE)
		error->kind = VELT_ERROR_PROTOCOL;
}

/*
 * The attempt at hand has ended: well (error NULL), or not.  What died while
 * nobody was looking starts anew, and is not held against the request.
 */
static void
end_attempt(VeltTransfer *transfer, VeltError *error)
{
	VeltTransport *transport = transfer->transport;
	VeltOutcome outcome = {error, 0, ""};
	int64_t		duration = velt_network_now(transport->network) -
	transfer->started_ms;
	int64_t		retry_after = velt_transfer_retry_after_ms(transfer);
	int64_t		wait;
	char		request_id[VELT_REQUEST_ID_BYTES];
	curl_off_t	bytes = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
	outcome.bytes_received = bytes;
	copy_request_id(transfer, request_id);
	outcome.request_id = request_id;
	transport->stats.bytes_received += bytes;
	log_attempt(transfer, bytes, error != NULL);
	release_handle(transfer);
	note_api(transport, error);
	if (error != NULL && transfer->died && transfer->slept &&
		error->transient)
	{
		TAILQ_INSERT_HEAD(&transport->queued, transfer, link);
		return;
	}
	if (error != NULL &&
		velt_retry_again(&transfer->retry, duration, retry_after,
						 transport->config.retry_timeout_ms, &wait, error))
	{
		delay(transfer, wait, error);
		return;
	}
	transfer->sink->done(transfer->owner, &outcome);
	velt_network_count_transfer(transport, -1);
	velt_transfer_free(transfer);
}

void
velt_transport_refuse(VeltTransport *transport, const VeltError *error)
{
	VeltOutcome outcome = {error, 0, ""};
	VeltTransfer *transfer;

	transport->starved = false;
	while ((transfer = TAILQ_FIRST(&transport->queued)) != NULL)
	{
		TAILQ_REMOVE(&transport->queued, transfer, link);
		transfer->sink->done(transfer->owner, &outcome);
		velt_network_count_transfer(transport, -1);
		velt_transfer_free(transfer);
	}
}

static void
finish(VeltTransfer *transfer, CURLcode code)
{
	VeltError	error;
	bool		ok = velt_transfer_judge(transfer, code, &error);

	end_attempt(transfer, ok ? NULL : &error);
}

/* ----------
 * Bytes that have come
 * ----------
 */

void
velt_transport_hold(VeltTransport *transport, size_t bytes)
{
	transport->held += bytes;
}

void
velt_transport_release(VeltTransport *transport, size_t bytes)
{
	transport->held -= bytes;
	if (transport->paused)
		transport->network->has_work = true;
}

bool
velt_transport_may_hold_more(const VeltTransfer *transfer)
{
	const VeltTransport *transport = transfer->transport;
	size_t		most = transport->config.max_response_bytes;

	return most == 0 || transport->held < most ||
		transfer == TAILQ_FIRST(&transport->running);
}

/* Return whether there is input, or its end, that may be processed now. */
static bool
can_advance(VeltTransfer *transfer)
{
	if (!velt_transfer_has_input(transfer))
		return transfer->delivered;
	/* decompressed it is more than what is held already */
	if (!transfer->compressed || velt_transport_may_hold_more(transfer))
		return true;
	transfer->transport->paused = true;
	return false;
}

/* Process a slice of the transfer's input, or its end. */
static void
advance(VeltTransfer *transfer, size_t *budget)
{
	size_t		bytes;

	if (!velt_transfer_has_input(transfer))
	{
		finish(transfer, transfer->code);
		return;
	}
	if (!velt_transfer_process(transfer, &bytes))
		finish(transfer, CURLE_WRITE_ERROR);
	*budget -= bytes < *budget ? bytes : *budget;
}

bool
velt_transport_process(VeltTransport *transport, size_t *budget)
{
	VeltTransfer *transfer = TAILQ_FIRST(&transport->running);

	transport->paused = false;
	while (transfer != NULL)
	{
		if (!velt_transfer_resume(transfer))
		{
			finish(transfer, CURLE_WRITE_ERROR);
			transfer = TAILQ_FIRST(&transport->running);
			continue;
		}
		transport->paused |= transfer->paused;
		if (!can_advance(transfer))
		{
			transfer = TAILQ_NEXT(transfer, link);
			continue;
		}
		if (*budget == 0)
			return false;
		advance(transfer, budget);
		/* an owner may have ended others: look again from the start */
		transfer = TAILQ_FIRST(&transport->running);
	}
	return true;
}

/* Return the processor time that this thread has used. */
static int64_t
processor_ms(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return (int64_t) used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/*
 * Return whether an overdue attempt may go on: a response that has arrived in
 * time counts, but reading it takes several calls.
 */
static bool
has_grace(VeltTransfer *transfer)
{
	if (!velt_transfer_is_behind(transfer) ||
		!velt_transport_may_hold_more(transfer))
		return false;
	if (transfer->grace_ends_ms == 0)
		transfer->grace_ends_ms = processor_ms() + GRACE_MS;
	return processor_ms() < transfer->grace_ends_ms;
}

void
velt_transport_end_overdue(VeltTransport *transport)
{
	int64_t		now = velt_network_now(transport->network);
	VeltTransfer *transfer = TAILQ_FIRST(&transport->running);

	while (transfer != NULL)
	{
		VeltError	error;

		if (deadline(transfer) > now || has_grace(transfer))
		{
			transfer = TAILQ_NEXT(transfer, link);
			continue;
		}
		velt_transfer_time_out(transfer, &error);
		end_attempt(transfer, &error);
		/* others may have room for more by that */
		if (transport->paused)
			velt_transport_drive_soon(transport);
		/* its owner may have ended others: look again from the start */
		transfer = TAILQ_FIRST(&transport->running);
	}
}

/* ----------
 * What others may know
 * ----------
 */

void
velt_transport_drive_soon(VeltTransport *transport)
{
	transport->network->unprocessed = transport->network->has_work = true;
}

VeltPhase
velt_transport_phase(const VeltTransport *transport)
{
	VeltPhase	phase = VELT_PHASE_BACKOFF;
	const VeltTransfer *transfer = TAILQ_FIRST(&transport->running);

	if (TAILQ_EMPTY(&transport->delayed) && TAILQ_EMPTY(&transport->queued))
		phase = VELT_PHASE_IDLE;
	if (transfer != NULL)
		phase = transfer->phase;
	TAILQ_FOREACH(transfer, &transport->running, link)
	{
		if (transfer->phase < phase)
			phase = transfer->phase;
	}
	return phase;
}

VeltTransportStats
velt_transport_stats(const VeltTransport *transport)
{
	VeltTransportStats stats = transport->stats;

	stats.open_connections = velt_event_loop_sockets(transport->network->loop,
													 transport);
	return stats;
}

const VeltCredentials *
velt_transport_credentials(const VeltTransport *transport)
{
	return &transport->config.credentials;
}

const char *
velt_transport_library(void)
{
	return curl_version();
}
