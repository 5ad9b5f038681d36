/*
 * client/transport.c
 *		Bodies out, bytes back: the connections of one session.
 *
 * A transfer is queued, then running, then done; one that failed for a reason
 * that may pass is delayed, then queued again, which is decided in one place,
 * end_attempt.  Owners are told from velt_transport_drive, outside of
 * libcurl.
 */
#include "client/transport.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "client/clock.h"
#include "client/event_loop.h"
#include "client/handle.h"
#include "client/transfer.h"

/* A transport that is driven once does not go on forever. */
#define MAX_ROUNDS			8

#define MINUTE_MS			60000

typedef struct TransferList TransferList;

TAILQ_HEAD(TransferList, VeltTransfer);

struct VeltTransport
{
	VeltTransportConfig config; /* strings are ours */
	VeltEventLoop *loop;
	CURLSH	   *share;
	struct curl_slist *headers;

	TransferList queued;		/* to be started, in this order */
	TransferList delayed;		/* until their not_before_ms */
	TransferList running;
	int			nrunning;
	bool		driving;		/* within velt_transport_drive */
	bool		has_work;		/* something has ended that nobody looked at */
	bool		is_api;			/* it has replied as the API does */

	/* handles at rest, ready to be used again */
	CURL	  **idle;
	int			nidle;

	VeltClock	clock;			/* of deadlines */

	/* on the clock of velt_event_loop_now: the server's time never stops */
	int64_t		paused_until_ms;	/* it wants to be left alone */
	int64_t		next_start_ms;	/* for max_requests_per_minute */

	VeltTransportStats stats;
	VeltNotice	notice;			/* wait_ms 0: none */
	VeltAttemptLog log;
};

/* ----------
 * libcurl's threads and the signals of the process
 * ----------
 */

/*
 * A thread that libcurl starts to look up a name inherits the signal mask,
 * and the process's handlers may not run on it.
 */
static void
block_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, saved);
}

static void
restore_signals(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

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

	block_signals(&saved);
	if (!initialized)
		initialized = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
	restore_signals(&saved);
	return initialized ||
		velt_error_set(error, VELT_ERROR_SYSTEM,
					   "libcurl could not be initialized.");
}

VeltTransport *
velt_transport_create(const VeltTransportConfig *config, VeltError *error)
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
	transport->idle = calloc(config->max_concurrency, sizeof(CURL *));
	if (!velt_config_copy(&transport->config, config) || transport->idle == NULL)
		velt_error_out_of_memory(error);
	else if ((transport->share = velt_handle_share(error)) != NULL &&
			 (transport->headers = velt_handle_headers(&transport->config,
													   error)) != NULL &&
			 (transport->loop = velt_event_loop_create(config->max_concurrency,
													   error)) != NULL)
	{
		velt_clock_init(&transport->clock,
						velt_event_loop_fd(transport->loop));
		return transport;
	}
	velt_transport_destroy(transport);
	return NULL;
}

void
velt_transport_destroy(VeltTransport *transport)
{
	VeltTransfer *transfer;
	sigset_t	saved;

	if (transport == NULL)
		return;
	while ((transfer = TAILQ_FIRST(&transport->running)) != NULL ||
		   (transfer = TAILQ_FIRST(&transport->delayed)) != NULL ||
		   (transfer = TAILQ_FIRST(&transport->queued)) != NULL)
		velt_transfer_cancel(transfer);
	block_signals(&saved);
	while (transport->nidle > 0)
		curl_easy_cleanup(transport->idle[--transport->nidle]);
	velt_event_loop_destroy(transport->loop);
	if (transport->share != NULL)
		curl_share_cleanup(transport->share);
	restore_signals(&saved);
	for (struct curl_slist *h = transport->headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(transport->headers);
	free(transport->idle);
	velt_attempt_log_enable(&transport->log, false);
	velt_config_free(&transport->config);
	free(transport);
}

/* ----------
 * What is due
 * ----------
 */

static int64_t
clock_now(const VeltTransport *transport)
{
	return velt_clock_now(&transport->clock);
}

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

/* When something is due that no socket will tell of. */
static int64_t
next_due(const VeltTransport *transport)
{
	int64_t		due = VELT_NEVER;
	VeltTransfer *transfer;

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
	if (!TAILQ_EMPTY(&transport->queued) &&
		transport->nrunning < transport->config.max_concurrency)
	{
		int64_t		start = velt_clock_from_real(&transport->clock,
												 next_start(transport));
		int64_t		now = clock_now(transport);

		/* what could start long ago is due now: nobody announced it then */
		if (start < now)
			start = now;
		if (start < due)
			due = start;
	}
	return due;
}

void
velt_transport_enter(VeltTransport *transport)
{
	VeltTransfer *transfer;

	if (!velt_clock_start(&transport->clock))
		return;
	/* what is to be found dead may have died meanwhile; later is no excuse */
	TAILQ_FOREACH(transfer, &transport->running, link)
		transfer->slept = transfer->resend_free = true;
}

void
velt_transport_leave(VeltTransport *transport)
{
	VeltTransfer *transfer;
	int64_t		now;

	if (!velt_clock_runs(&transport->clock) ||
		!velt_clock_stop(&transport->clock, next_due(transport)))
		return;
	now = clock_now(transport);
	TAILQ_FOREACH(transfer, &transport->running, link)
	{
		/* what has begun since then begins now */
		if (transfer->started_ms > now)
			transfer->started_ms = now;
	}
}

/* ----------
 * Starting
 * ----------
 */

static CURL *
take_handle(VeltTransport *transport, VeltError *error)
{
	CURL	   *easy;

	if (transport->nidle > 0)
		return transport->idle[--transport->nidle];
	easy = velt_handle_create(&transport->config, transport->headers,
							  transport->share, transport->loop, error);
	if (easy != NULL)
		velt_transfer_prepare(easy);
	return easy;
}

/* Ends the attempt at hand; its handle is at rest again. */
static void
release_handle(VeltTransfer *transfer)
{
	VeltTransport *transport = transfer->transport;

	curl_multi_remove_handle(velt_event_loop_multi(transport->loop),
							 transfer->easy);
	transport->idle[transport->nidle++] = transfer->easy;
	transfer->easy = NULL;
	transfer->phase = VELT_PHASE_IDLE;
	TAILQ_REMOVE(&transport->running, transfer, link);
	transport->nrunning--;
}

/* The attempt leaves with the next kick. */
static bool
start_attempt(VeltTransfer *transfer, VeltError *error)
{
	VeltTransport *transport = transfer->transport;
	CURL	   *easy = take_handle(transport, error);

	if (easy == NULL)
		return false;
	TAILQ_REMOVE(&transport->queued, transfer, link);
	TAILQ_INSERT_TAIL(&transport->running, transfer, link);
	transport->nrunning++;
	transport->stats.requests++;
	if (transfer->retry.attempts > 0)
		transport->stats.retries++;
	if (velt_transfer_begin(transfer, easy, clock_now(transport)) &&
		curl_multi_add_handle(velt_event_loop_multi(transport->loop),
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
	int64_t		now = clock_now(transport);
	VeltTransfer *transfer;
	VeltTransfer *next;

	/* the last one first, so that the first one is first in the queue */
	for (transfer = TAILQ_LAST(&transport->delayed, TransferList);
		 transfer != NULL; transfer = next)
	{
		next = TAILQ_PREV(transfer, TransferList, link);
		if (transfer->not_before_ms > now)
			continue;
		TAILQ_REMOVE(&transport->delayed, transfer, link);
		transfer->not_before_ms = 0;
		TAILQ_INSERT_HEAD(&transport->queued, transfer, link);
	}
}

/* Starts what there is room for; false only if that failed. */
static bool
start_queued(VeltTransport *transport, bool *started, VeltError *error)
{
	VeltTransfer *transfer;

	end_delays(transport);
	while (transport->nrunning < transport->config.max_concurrency &&
		   (transfer = TAILQ_FIRST(&transport->queued)) != NULL)
	{
		int64_t		now = velt_event_loop_now();

		if (next_start(transport) > now)
			break;
		if (!start_attempt(transfer, error))
			return false;
		pace(transport, now);
		*started = true;
	}
	return true;
}

static bool
arm_timer(VeltTransport *transport, VeltError *error)
{
	int64_t		due = velt_clock_to_real(&transport->clock,
										 next_due(transport));

	return velt_event_loop_arm(transport->loop, due, error);
}

/* Sends what was added. */
static bool
kick(VeltTransport *transport, VeltError *error)
{
	int			running = 0;

	if (!velt_event_loop_kick(transport->loop, &running, error))
		return false;
	transport->has_work = running < transport->nrunning;
	return arm_timer(transport, error);
}

VeltTransfer *
velt_transport_submit(VeltTransport *transport, const char *path, char *body,
					  const VeltSink *sink, void *owner, VeltError *error)
{
	VeltTransfer *transfer = velt_transfer_create(&transport->config,
												  &transport->stats, path,
												  body, sink, owner, error);
	sigset_t	saved;
	bool		started = false;
	bool		ok;

	if (transfer == NULL)
		return NULL;
	transfer->transport = transport;
	TAILQ_INSERT_TAIL(&transport->queued, transfer, link);
	if (transport->driving)
		return transfer;		/* which starts it */

	block_signals(&saved);
	ok = start_queued(transport, &started, error) &&
		(started ? kick(transport, error) : arm_timer(transport, error));
	restore_signals(&saved);
	if (ok)
		return transfer;
	velt_transfer_cancel(transfer);
	return NULL;
}

void
velt_transfer_cancel(VeltTransfer *transfer)
{
	VeltTransport *transport = transfer->transport;
	sigset_t	saved;

	if (transfer->easy != NULL)
	{
		block_signals(&saved);
		release_handle(transfer);
		restore_signals(&saved);
		/* its place is free, and no descriptor tells of that */
		if (!TAILQ_EMPTY(&transport->queued))
			transport->has_work = true;
	}
	else if (transfer->not_before_ms > 0)
		TAILQ_REMOVE(&transport->delayed, transfer, link);
	else
		TAILQ_REMOVE(&transport->queued, transfer, link);
	velt_transfer_free(transfer);
}

/* ----------
 * The end of an attempt
 * ----------
 */

static void
log_attempt(VeltTransfer *transfer, int64_t bytes, bool failed)
{
	VeltTransport *transport = transfer->transport;
	VeltAttempt attempt = {
		.path = transfer->path,
		.number = transfer->retry.attempts + 1,
		.http_status = velt_transfer_http_status(transfer),
		.duration_ms = clock_now(transport) - transfer->started_ms,
		.bytes_received = bytes,
		.failed = failed
	};

	velt_attempt_log_add(&transport->log, &attempt);
}

/* The request is to be made again after so long. */
static void
delay(VeltTransfer *transfer, int64_t wait_ms, const VeltError *error)
{
	VeltTransport *transport = transfer->transport;

	transfer->not_before_ms = clock_now(transport) + wait_ms;
	TAILQ_INSERT_TAIL(&transport->delayed, transfer, link);
	/* a limit on requests is one on all of them */
	if (error->kind == VELT_ERROR_EXHAUSTED &&
		velt_event_loop_now() + wait_ms > transport->paused_until_ms)
		transport->paused_until_ms = velt_event_loop_now() + wait_ms;
	if (wait_ms > transport->notice.wait_ms)
	{
		transport->notice.wait_ms = wait_ms;
		transport->notice.cause = *error;
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
	int64_t		duration = clock_now(transport) - transfer->started_ms;
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
	velt_transfer_free(transfer);
}

static void
end_finished(VeltTransport *transport)
{
	CURLM	   *multi = velt_event_loop_multi(transport->loop);
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		CURLcode	code = message->data.result;
		VeltTransfer *transfer;
		VeltError	error;
		bool		ok;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		ok = velt_transfer_judge(transfer, code, &error);
		end_attempt(transfer, ok ? NULL : &error);
	}
}

/*
 * Ends what has run out of time.  Sockets were read before: a response that
 * has arrived counts, however late we look.
 */
static void
end_overdue(VeltTransport *transport)
{
	int64_t		now = clock_now(transport);
	VeltTransfer *transfer = TAILQ_FIRST(&transport->running);

	while (transfer != NULL)
	{
		VeltError	error;

		if (deadline(transfer) > now)
		{
			transfer = TAILQ_NEXT(transfer, link);
			continue;
		}
		velt_transfer_time_out(transfer, &error);
		end_attempt(transfer, &error);
		/* its owner may have ended others: look again from the start */
		transfer = TAILQ_FIRST(&transport->running);
	}
}

/* What still runs after the first look has not died while nobody drove. */
static void
end_sleep(VeltTransport *transport)
{
	VeltTransfer *transfer;

	TAILQ_FOREACH(transfer, &transport->running, link)
		transfer->slept = false;
}

static bool
drive(VeltTransport *transport, VeltError *error)
{
	bool		more = true;

	if (!velt_event_loop_run(transport->loop, error))
		return false;
	for (int round = 0; more && round < MAX_ROUNDS; round++)
	{
		more = false;
		end_finished(transport);
		end_sleep(transport);
		end_overdue(transport);
		if (!start_queued(transport, &more, error))
			return false;
		if (more && !kick(transport, error))
			return false;
	}
	transport->has_work = more;
	return arm_timer(transport, error);
}

bool
velt_transport_drive(VeltTransport *transport, VeltError *error)
{
	sigset_t	saved;
	bool		ok;

	block_signals(&saved);
	transport->driving = true;
	ok = drive(transport, error);
	transport->driving = false;
	restore_signals(&saved);
	return ok;
}

/* ----------
 * What others may know
 * ----------
 */

bool
velt_transport_has_work(const VeltTransport *transport)
{
	return transport->has_work;
}

int
velt_transport_fd(const VeltTransport *transport)
{
	return velt_event_loop_fd(transport->loop);
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

	stats.open_connections = velt_event_loop_sockets(transport->loop);
	return stats;
}

bool
velt_transport_take_notice(VeltTransport *transport, VeltNotice *notice)
{
	*notice = transport->notice;
	transport->notice.wait_ms = 0;
	return notice->wait_ms > 0;
}

VeltAttemptLog *
velt_transport_log(VeltTransport *transport)
{
	return &transport->log;
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
