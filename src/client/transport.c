/*
 * client/transport.c
 *		Bodies out, bytes back: the connections of one session.
 *
 * A transfer is queued, then running, then done; a failed attempt that may be
 * repeated goes from running back to queued, which is decided in one place,
 * end_attempt.  curl's callbacks only note what happens: owners are told from
 * velt_transport_drive, outside of libcurl.
 */
#include "client/transport.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "client/event_loop.h"
#include "client/handle.h"

/*
 * All header lines of a response, with 1xx responses and trailers.  Usual are
 * 1 kB; servers themselves refuse requests with more than 8 or 16.
 */
#define MAX_HEADER_BYTES	(64 * 1024)

/* A transport that is driven once does not go on forever. */
#define MAX_ROUNDS			8

typedef TAILQ_HEAD(TransferList, VeltTransfer) TransferList;

struct VeltTransfer
{
	TAILQ_ENTRY(VeltTransfer) link;
	VeltTransport *transport;
	const VeltSink *sink;
	void	   *owner;
	char	   *url;
	char	   *body;

	/* of the attempt at hand */
	CURL	   *easy;			/* NULL while queued */
	VeltPhase	phase;
	int64_t		started_ms;
	size_t		header_bytes;
	bool		headers_complete;
	VeltError	error;			/* why a callback ended it, or kind NONE */
	char		curl_message[CURL_ERROR_SIZE];
};

struct VeltTransport
{
	VeltTransportConfig config; /* strings are ours */
	VeltEventLoop *loop;
	CURLSH	   *share;
	struct curl_slist *headers;

	TransferList queued;
	TransferList running;
	int			nrunning;
	bool		driving;		/* within velt_transport_drive */

	/* handles at rest, ready to be used again */
	CURL	  **idle;
	int			nidle;

	VeltTransportStats stats;
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
 * Callbacks, from within libcurl
 * ----------
 */

static bool
is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* Connected, and about to send: the last moment to see who would get it. */
static int
before_request(void *data, char *peer, char *local, int peer_port,
			   int local_port)
{
	VeltTransfer *transfer = data;

	(void) local;
	(void) peer_port;
	(void) local_port;
	if (transfer->transport->config.loopback_only && !is_loopback(peer))
	{
		velt_error_set(&transfer->error, VELT_ERROR_CONNECT,
					   "Without TLS nothing is sent to %s, which is not this machine.",
					   peer);
		return CURL_PREREQFUNC_ABORT;
	}
	transfer->phase = VELT_PHASE_REQUEST;
	return CURL_PREREQFUNC_OK;
}

static size_t
receive_header(char *bytes, size_t size, size_t count, void *data)
{
	VeltTransfer *transfer = data;

	transfer->phase = VELT_PHASE_RESPONSE;
	if (size * count >= 5 && memcmp(bytes, "HTTP/", 5) == 0)
		transfer->headers_complete = false;
	else if (bytes[0] == '\r' || bytes[0] == '\n')
		transfer->headers_complete = true;
	transfer->header_bytes += size * count;
	if (transfer->header_bytes <= MAX_HEADER_BYTES)
		return size * count;
	velt_error_set(&transfer->error, VELT_ERROR_RESPONSE_SIZE,
				   "The response has more than %d bytes of headers.",
				   MAX_HEADER_BYTES);
	return 0;
}

static long
http_status(const VeltTransfer *transfer)
{
	long		status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
receive_body(char *bytes, size_t size, size_t count, void *data)
{
	VeltTransfer *transfer = data;

	if (transfer->sink->receive(transfer->owner, http_status(transfer), bytes,
								size * count, &transfer->error))
		return size * count;
	return CURL_WRITEFUNC_ERROR;
}

/* ----------
 * Creation
 * ----------
 */

/* Copies a string that may be NULL; *ok is cleared when memory is out. */
static const char *
copy_string(const char *string, bool *ok)
{
	char	   *copy = string ? strdup(string) : NULL;

	if (string != NULL && copy == NULL)
		*ok = false;
	return copy;
}

static bool
copy_config(VeltTransportConfig *to, const VeltTransportConfig *from)
{
	bool		ok = true;

	*to = *from;
	to->base_url = copy_string(from->base_url, &ok);
	to->credentials.workspace_id =
		copy_string(from->credentials.workspace_id, &ok);
	to->credentials.auth_token = copy_string(from->credentials.auth_token, &ok);
	to->auth_header = copy_string(from->auth_header, &ok);
	to->user_agent = copy_string(from->user_agent, &ok);
	to->proxy = copy_string(from->proxy, &ok);
	to->ca_file = copy_string(from->ca_file, &ok);
	to->cert_file = copy_string(from->cert_file, &ok);
	to->key_file = copy_string(from->key_file, &ok);
	return ok;
}

static void
free_config(VeltTransportConfig *config)
{
	if (config->credentials.auth_token != NULL)
		explicit_bzero((char *) config->credentials.auth_token,
					   strlen(config->credentials.auth_token));
	free((char *) config->base_url);
	free((char *) config->credentials.workspace_id);
	free((char *) config->credentials.auth_token);
	free((char *) config->auth_header);
	free((char *) config->user_agent);
	free((char *) config->proxy);
	free((char *) config->ca_file);
	free((char *) config->cert_file);
	free((char *) config->key_file);
}

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
	TAILQ_INIT(&transport->running);
	transport->idle = calloc(config->max_concurrency, sizeof(CURL *));
	if (!copy_config(&transport->config, config) || transport->idle == NULL)
		velt_error_out_of_memory(error);
	else if ((transport->share = velt_handle_share(error)) != NULL &&
			 (transport->headers = velt_handle_headers(&transport->config,
													   error)) != NULL &&
			 (transport->loop = velt_event_loop_create(config->max_concurrency,
													   error)) != NULL)
		return transport;
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
	free_config(&transport->config);
	free(transport);
}

/* ----------
 * Transfers
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
	{
		curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
		curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, receive_header);
		curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive_body);
	}
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

static void
free_transfer(VeltTransfer *transfer)
{
	free(transfer->url);
	free(transfer->body);
	free(transfer);
}

static bool
set_transfer_options(VeltTransfer *transfer)
{
	CURL	   *easy = transfer->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_message);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
	return curl_easy_setopt(easy, CURLOPT_URL, transfer->url) == CURLE_OK;
}

/* The attempt leaves with the next kick. */
static bool
start_attempt(VeltTransfer *transfer, VeltError *error)
{
	VeltTransport *transport = transfer->transport;

	transfer->easy = take_handle(transport, error);
	if (transfer->easy == NULL)
		return false;
	TAILQ_REMOVE(&transport->queued, transfer, link);
	TAILQ_INSERT_TAIL(&transport->running, transfer, link);
	transport->nrunning++;

	transfer->phase = VELT_PHASE_CONNECT;
	transfer->started_ms = velt_event_loop_now();
	transfer->header_bytes = 0;
	transfer->headers_complete = false;
	transfer->error.kind = VELT_ERROR_NONE;
	transfer->curl_message[0] = '\0';
	transfer->sink->begin(transfer->owner);
	transport->stats.requests++;
	if (!set_transfer_options(transfer) ||
		curl_multi_add_handle(velt_event_loop_multi(transport->loop),
							  transfer->easy) != CURLM_OK)
	{
		release_handle(transfer);
		TAILQ_INSERT_HEAD(&transport->queued, transfer, link);
		return velt_error_out_of_memory(error);
	}
	return true;
}

/* Starts what there is room for; false only if that failed. */
static bool
start_queued(VeltTransport *transport, bool *started, VeltError *error)
{
	VeltTransfer *transfer;

	while (transport->nrunning < transport->config.max_concurrency &&
		   (transfer = TAILQ_FIRST(&transport->queued)) != NULL)
	{
		if (!start_attempt(transfer, error))
			return false;
		*started = true;
	}
	return true;
}

static char *
join_url(const char *base, const char *path)
{
	size_t		length = strlen(base);
	size_t		size;
	char	   *url;

	while (length > 0 && base[length - 1] == '/')
		length--;
	size = length + strlen(path) + 1;
	url = malloc(size);
	if (url != NULL)
		snprintf(url, size, "%.*s%s", (int) length, base, path);
	return url;
}

/* How long an attempt may take, as far as it has come, in ms. */
static int
time_allowed(const VeltTransfer *transfer)
{
	const VeltTransportConfig *config = &transfer->transport->config;

	if (transfer->phase == VELT_PHASE_CONNECT &&
		config->connect_timeout_ms < config->request_timeout_ms)
		return config->connect_timeout_ms;
	return config->request_timeout_ms;
}

static int64_t
deadline(const VeltTransfer *transfer)
{
	return transfer->started_ms + time_allowed(transfer);
}

static bool
arm_timer(VeltTransport *transport, VeltError *error)
{
	int64_t		due_ms = VELT_NEVER;
	VeltTransfer *transfer;

	TAILQ_FOREACH(transfer, &transport->running, link)
	{
		if (deadline(transfer) < due_ms)
			due_ms = deadline(transfer);
	}
	return velt_event_loop_arm(transport->loop, due_ms, error);
}

/*
 * Sends what was added.  If something ended right away, the descriptor is
 * made readable, as curl has no further word for it.
 */
static bool
kick(VeltTransport *transport, VeltError *error)
{
	int			running = 0;

	if (!velt_event_loop_kick(transport->loop, &running, error))
		return false;
	if (running < transport->nrunning)
		return velt_event_loop_arm(transport->loop, 0, error);
	return arm_timer(transport, error);
}

VeltTransfer *
velt_transport_submit(VeltTransport *transport, const char *path, char *body,
					  const VeltSink *sink, void *owner, VeltError *error)
{
	VeltTransfer *transfer = calloc(1, sizeof(VeltTransfer));
	sigset_t	saved;
	bool		started = false;
	bool		ok;

	if (transfer != NULL)
		transfer->url = join_url(transport->config.base_url, path);
	if (transfer == NULL || transfer->url == NULL)
	{
		free(transfer);
		free(body);
		velt_error_out_of_memory(error);
		return NULL;
	}
	transfer->transport = transport;
	transfer->sink = sink;
	transfer->owner = owner;
	transfer->body = body;
	TAILQ_INSERT_TAIL(&transport->queued, transfer, link);
	if (transport->driving)
		return transfer;		/* which starts it */

	block_signals(&saved);
	ok = start_queued(transport, &started, error) &&
		(!started || kick(transport, error));
	restore_signals(&saved);
	if (ok)
		return transfer;
	velt_transfer_cancel(transfer);
	return NULL;
}

void
velt_transfer_cancel(VeltTransfer *transfer)
{
	sigset_t	saved;

	if (transfer->easy == NULL)
		TAILQ_REMOVE(&transfer->transport->queued, transfer, link);
	else
	{
		block_signals(&saved);
		release_handle(transfer);
		restore_signals(&saved);
	}
	free_transfer(transfer);
}

/* ----------
 * The end of an attempt
 * ----------
 */

/* What the transport saw go wrong, as an error. */
static void
describe_failure(VeltTransfer *transfer, CURLcode code, VeltError *error)
{
	VeltErrorKind kind = velt_handle_error_kind(code);
	char		message[CURL_ERROR_SIZE];
	const char *text = transfer->curl_message[0] ? transfer->curl_message :
		curl_easy_strerror(code);

	if (transfer->error.kind != VELT_ERROR_NONE)
	{
		*error = transfer->error;
		return;
	}
	/* what breaks off before a request was sent, did so in connecting */
	if (kind == VELT_ERROR_UNAVAILABLE &&
		transfer->phase == VELT_PHASE_CONNECT)
		kind = VELT_ERROR_CONNECT;
	velt_error_clean_text(message, sizeof(message), text, strlen(text),
						  &transfer->transport->config.credentials);
	velt_error_set(error, kind, "%s.", message);
}

static void
note_request_id(VeltTransfer *transfer, VeltError *error)
{
	struct curl_header *header;

	if (curl_easy_header(transfer->easy, "x-request-id", 0, CURLH_HEADER, -1,
						 &header) == CURLHE_OK)
		velt_error_clean_text(error->request_id, sizeof(error->request_id),
							  header->value, strlen(header->value),
							  &transfer->transport->config.credentials);
}

/*
 * The attempt at hand has ended, by curl's word or by ours (*error filled,
 * if code is not CURLE_OK).
 */
static void
end_attempt(VeltTransfer *transfer, CURLcode code, VeltError *error)
{
	VeltTransport *transport = transfer->transport;
	VeltOutcome outcome = {NULL, 0};
	curl_off_t	bytes = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
	outcome.bytes_received = bytes;
	transport->stats.bytes_received += bytes;
	if (code != CURLE_OK)
		outcome.error = error;
	else if (!transfer->sink->check(transfer->owner, http_status(transfer),
									error))
		outcome.error = error;
	if (outcome.error != NULL)
		note_request_id(transfer, error);

	release_handle(transfer);
	transfer->sink->done(transfer->owner, &outcome);
	free_transfer(transfer);
}

static void
end_finished(VeltTransport *transport)
{
	CURLM	   *multi = velt_event_loop_multi(transport->loop);
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		VeltTransfer *transfer;
		CURLcode	code = message->data.result;
		VeltError	error;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		/* curl takes headers that break off for a response without body */
		if (code == CURLE_OK && !transfer->headers_complete)
			code = CURLE_GOT_NOTHING;
		if (code != CURLE_OK)
			describe_failure(transfer, code, &error);
		end_attempt(transfer, code, &error);
	}
}

/*
 * Ends what has run out of time.  Sockets were read before: a response that
 * has arrived counts, however late we look.
 */
static void
end_overdue(VeltTransport *transport)
{
	int64_t		now = velt_event_loop_now();
	VeltTransfer *transfer = TAILQ_FIRST(&transport->running);

	while (transfer != NULL)
	{
		VeltError	error;

		if (deadline(transfer) > now)
		{
			transfer = TAILQ_NEXT(transfer, link);
			continue;
		}
		if (transfer->phase == VELT_PHASE_CONNECT)
			velt_error_set(&error, VELT_ERROR_CONNECT,
						   "No connection was made within %d ms.",
						   time_allowed(transfer));
		else
			velt_error_set(&error, VELT_ERROR_UNAVAILABLE,
						   "The response was not complete within %d ms.",
						   time_allowed(transfer));
		end_attempt(transfer, CURLE_OPERATION_TIMEDOUT, &error);
		/* its owner may have ended others: look again from the start */
		transfer = TAILQ_FIRST(&transport->running);
	}
}

static bool
drive(VeltTransport *transport, VeltError *error)
{
	bool		more = true;

	if (!velt_event_loop_run(transport->loop, error))
		return false;
	for (int round = 0; more && round < MAX_ROUNDS; round++)
	{
		int			running;

		more = false;
		end_finished(transport);
		end_overdue(transport);
		if (!start_queued(transport, &more, error))
			return false;
		if (more && !velt_event_loop_kick(transport->loop, &running, error))
			return false;
	}
	if (more)
		return velt_event_loop_arm(transport->loop, 0, error);
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

int
velt_transport_fd(const VeltTransport *transport)
{
	return velt_event_loop_fd(transport->loop);
}

VeltPhase
velt_transport_phase(const VeltTransport *transport)
{
	VeltPhase	phase = VELT_PHASE_IDLE;
	const VeltTransfer *transfer;

	TAILQ_FOREACH(transfer, &transport->running, link)
	{
		if (phase == VELT_PHASE_IDLE || transfer->phase < phase)
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
