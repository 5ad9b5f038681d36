/*
 * client/transfer.c
 *		One exchange with the API: the attempt at hand, as curl sees it.
 *
 * The callbacks only note what happens, and hand bytes to the owner's sink.
 */
#include "client/transfer.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "client/handle.h"
#include "client/network_state.h"

/*
 * All header lines of a response, with 1xx responses and trailers.  Usual are
 * 1 kB; servers themselves refuse requests with more than 8 or 16.
 */
#define MAX_HEADER_BYTES	(64 * 1024)

static void begin_body(VeltTransfer *transfer);

static size_t
input_length(const VeltTransfer *transfer)
{
	return transfer->input.length - transfer->input_start;
}

/* Returns whether there is room for more input. */
static bool
has_room(const VeltTransfer *transfer)
{
	return input_length(transfer) < VELT_SLICE_BYTES &&
		velt_transport_may_hold_more(transfer);
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

/*
 * curl is about to send the request again within one attempt: the connection
 * was an old one, and has closed before a response began.  That is free of
 * charge, once, if it had the time to close while nobody drove.
 */
static bool
allow_resend(VeltTransfer *transfer)
{
	if (!transfer->resend_free)
	{
		if (transfer->config->retry_timeout_ms == 0)
			return velt_error_set(&transfer->error, VELT_ERROR_UNAVAILABLE,
								  "The connection closed before a response began.");
		transfer->stats->requests++;
		transfer->stats->retries++;
	}
	transfer->resend_free = false;
	begin_body(transfer);
	return true;
}

/* Whether the socket is the one with that port, on our side. */
static bool
has_port(curl_socket_t fd, int port)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t	size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *) &address, &size) != 0)
		return false;
	if (address.ss_family == AF_INET)
		return ntohs(((struct sockaddr_in *) &address)->sin_port) == port;
	return address.ss_family == AF_INET6 &&
		ntohs(((struct sockaddr_in6 *) &address)->sin6_port) == port;
}

/*
 * Whether the other side has closed the connection before it got the request.
 * curl looks for that by itself, but from 8.22 on at most once a second; and
 * before, its "active socket" may be one that the handle had earlier.
 */
static bool
is_closed(const VeltTransfer *transfer, int local_port)
{
	struct pollfd fd = {-1, POLLRDHUP, 0};
	curl_socket_t active;

	if (curl_easy_getinfo(transfer->easy, CURLINFO_ACTIVESOCKET,
						  &active) != CURLE_OK ||
		active == CURL_SOCKET_BAD || !has_port(active, local_port))
		return false;
	fd.fd = active;
	return poll(&fd, 1, 0) > 0;
}

static curl_socket_t
open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	VeltTransfer *transfer = data;
	curl_socket_t fd = velt_event_loop_open_socket(transfer->loop,
												   transfer->transport,
												   address);

	(void) purpose;
	if (fd == CURL_SOCKET_BAD && (errno == EMFILE || errno == ENFILE))
		velt_error_set(&transfer->error, VELT_ERROR_DESCRIPTORS,
					   "Could not open a socket: %s.", strerror(errno));
	transfer->sockets[1] = transfer->sockets[0];
	transfer->sockets[0] = fd;
	return fd;
}

/* Connected, and about to send: the last moment to see who would get it. */
static int
before_request(void *data, char *peer, char *local, int peer_port,
			   int local_port)
{
	VeltTransfer *transfer = data;

	(void) local;
	(void) peer_port;
	if (transfer->config->loopback_only && !is_loopback(peer))
	{
		velt_error_set(&transfer->error, VELT_ERROR_CONNECT,
					   "Without TLS nothing is sent to %s, which is not this machine.",
					   peer);
		return CURL_PREREQFUNC_ABORT;
	}
	if (transfer->phase != VELT_PHASE_CONNECT && !allow_resend(transfer))
		return CURL_PREREQFUNC_ABORT;
	/* what goes there is lost before it is sent: curl connects anew */
	if (!is_closed(transfer, local_port))
		transfer->phase = VELT_PHASE_REQUEST;
	return CURL_PREREQFUNC_OK;
}

/* Returns whether a header line begins with the name and its colon. */
static bool
is_header(const char *line, size_t length, const char *name)
{
	return length >= strlen(name) &&
		strncasecmp(line, name, strlen(name)) == 0;
}

/*
 * Reads a decimal number with space around it, and steps behind both; false
 * without a digit.  A number that is too large counts as the largest.
 */
static bool
read_number(const char **at, const char *end, uint64_t *number)
{
	const char *digits;

	while (*at < end && isspace((unsigned char) **at))
		(*at)++;
	*number = 0;
	for (digits = *at; *at < end && **at >= '0' && **at <= '9'; (*at)++)
	{
		int			digit = **at - '0';

		if (*number > (UINT64_MAX - digit) / 10)
			*number = UINT64_MAX;
		else
			*number = *number * 10 + digit;
	}
	if (*at == digits)
		return false;
	while (*at < end && isspace((unsigned char) **at))
		(*at)++;
	return true;
}

/*
 * Notes the lengths that a Content-Length header gives.  Proxies join several
 * headers to one with commas.  Equal lengths are one (RFC 9110); where they
 * differ, bytes of one response could be taken for another's.
 */
static bool
note_lengths(VeltTransfer *transfer, const char *at, const char *end)
{
	do
	{
		uint64_t	length;

		if (!read_number(&at, end, &length) || (at < end && *at != ','))
			return velt_error_set(&transfer->error, VELT_ERROR_NO_ENVELOPE,
								  "The response has a Content-Length that is not a number.");
		if (transfer->has_length && length != transfer->length)
			return velt_error_set(&transfer->error, VELT_ERROR_NO_ENVELOPE,
								  "The response has two different lengths in its Content-Length headers.");
		transfer->has_length = true;
		transfer->length = length;
	} while (at++ < end);
	return true;
}

/* Forgets the headers of an earlier response, which may have been a 1xx. */
static void
begin_headers(VeltTransfer *transfer)
{
	transfer->headers_complete = false;
	transfer->retry_after = false;
	transfer->has_length = false;
	transfer->chunked = false;
	transfer->compressed = false;
}

/*
 * Note the coding that a Content-Encoding or Transfer-Encoding header names:
 * the only one that is allowed there, once, or "identity".
 */
static bool
note_coding(VeltTransfer *transfer, const char *name, const char *at,
			const char *end, const char *allowed, bool *noted)
{
	size_t		length;

	while (at < end && isspace((unsigned char) *at))
		at++;
	while (end > at && isspace((unsigned char) end[-1]))
		end--;
	length = end - at;
	if (length == 0 ||
		(length == strlen("identity") &&
		 strncasecmp(at, "identity", length) == 0))
		return true;
	if (*noted || length != strlen(allowed) ||
		strncasecmp(at, allowed, length) != 0)
		return velt_error_set(&transfer->error, VELT_ERROR_NO_ENVELOPE,
							  "The response has a %.*s other than %s.",
							  (int) strlen(name) - 1, name, allowed);
	*noted = true;
	return true;
}

/* Notes a line of the headers, or their end; false with the error set. */
static bool
note_header(VeltTransfer *transfer, const char *line, size_t length)
{
	static const char length_name[] = "Content-Length:";
	static const char content_name[] = "Content-Encoding:";
	static const char transfer_name[] = "Transfer-Encoding:";
	const char *end = line + length;

	if (is_header(line, length, "HTTP/"))
		begin_headers(transfer);
	else if (is_header(line, length, length_name))
		return note_lengths(transfer, line + strlen(length_name), end);
	else if (is_header(line, length, content_name))
		return note_coding(transfer, content_name,
						   line + strlen(content_name), end, "gzip",
						   &transfer->compressed);
	else if (is_header(line, length, transfer_name))
		return note_coding(transfer, transfer_name,
						   line + strlen(transfer_name), end, "chunked",
						   &transfer->chunked);
	else if (is_header(line, length, "Retry-After:"))
		transfer->retry_after = true;
	else if (line[0] == '\r' || line[0] == '\n')
	{
		transfer->headers_complete = true;
		/* with chunks the length does not matter */
		return !transfer->has_length || transfer->chunked ||
			transfer->sink->expect(transfer->owner, transfer->length,
								   &transfer->error);
	}
	return true;
}

static size_t
receive_header(char *bytes, size_t size, size_t count, void *data)
{
	VeltTransfer *transfer = data;

	transfer->phase = VELT_PHASE_RESPONSE;
	/* trailers say nothing that matters here */
	if ((!transfer->headers_complete ||
		 is_header(bytes, size * count, "HTTP/")) &&
		!note_header(transfer, bytes, size * count))
		return 0;
	transfer->header_bytes += size * count;
	if (transfer->header_bytes <= MAX_HEADER_BYTES)
		return size * count;
	velt_error_set(&transfer->error, VELT_ERROR_HEADER_SIZE,
				   "The response has more than %d bytes of headers.",
				   MAX_HEADER_BYTES);
	return 0;
}

int
velt_transfer_http_status(const VeltTransfer *transfer)
{
	long		status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int) status;
}

/*
 * Takes bytes of the body.  They are processed later, outside of libcurl,
 * which is told to wait when there are enough of them.
 */
static size_t
receive_body(char *bytes, size_t size, size_t count, void *data)
{
	VeltTransfer *transfer = data;
	size_t		length = size * count;

	if (!has_room(transfer))
	{
		transfer->paused = transfer->transport->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (!velt_buffer_append(&transfer->input, bytes, length))
	{
		velt_error_out_of_memory(&transfer->error);
		return CURL_WRITEFUNC_ERROR;
	}
	velt_transport_hold(transfer->transport, length);
	return length;
}

/* ----------
 * Processing what libcurl has delivered
 * ----------
 */

bool
velt_transfer_has_input(const VeltTransfer *transfer)
{
	return input_length(transfer) > 0;
}

bool
velt_transfer_is_behind(const VeltTransfer *transfer)
{
	return transfer->paused || transfer->delivered ||
		velt_transfer_has_input(transfer);
}

/* Forgets the first bytes of the input, and makes their memory free for more. */
static void
drop_input(VeltTransfer *transfer, size_t length)
{
	VeltBuffer *input = &transfer->input;

	velt_transport_release(transfer->transport, length);
	transfer->input_start += length;
	/* what is moved is about as much as has been processed since */
	if (input_length(transfer) > 0 &&
		transfer->input_start < VELT_SLICE_BYTES)
		return;
	input->length = input_length(transfer);
	if (input->length > 0)
		memmove(input->data, input->data + transfer->input_start,
				input->length);
	transfer->input_start = 0;
}

/* Hands bytes over to the owner. */
static bool
hand_over(VeltTransfer *transfer, const char *bytes, size_t length)
{
	return length == 0 ||
		transfer->sink->receive(transfer->owner,
								velt_transfer_http_status(transfer), bytes,
								length, &transfer->error);
}

static bool
decompress(VeltTransfer *transfer, const char *input, size_t length,
		   size_t *nread, size_t *nwritten)
{
	static char output[VELT_SLICE_BYTES];	/* of the slice being processed */

	if (transfer->gunzip == NULL &&
		(transfer->gunzip = velt_gunzip_create()) == NULL)
		return velt_error_out_of_memory(&transfer->error);
	return velt_gunzip_step(transfer->gunzip, input, length, output,
							sizeof(output), nread, nwritten,
							&transfer->error) &&
		hand_over(transfer, output, *nwritten);
}

bool
velt_transfer_process(VeltTransfer *transfer, size_t *bytes)
{
	const char *input = transfer->input.data + transfer->input_start;
	size_t		length = input_length(transfer);
	size_t		nwritten = 0;
	bool		ok;

	if (length > VELT_SLICE_BYTES)
		length = VELT_SLICE_BYTES;
	if (transfer->compressed)
		ok = decompress(transfer, input, length, &length, &nwritten);
	else
	{
		nwritten = length;
		ok = hand_over(transfer, input, length);
	}
	*bytes = length > nwritten ? length : nwritten;
	drop_input(transfer, length);
	return ok;
}

bool
velt_transfer_resume(VeltTransfer *transfer)
{
	if (!transfer->paused || !has_room(transfer))
		return true;
	transfer->paused = false;
	/* calls receive_body; fails for an attempt that has ended meanwhile */
	return curl_easy_pause(transfer->easy, CURLPAUSE_CONT) == CURLE_OK ||
		transfer->delivered;
}

/* Makes the transfer ready for the body of another response. */
static void
begin_body(VeltTransfer *transfer)
{
	drop_input(transfer, input_length(transfer));
	velt_gunzip_free(transfer->gunzip);
	transfer->gunzip = NULL;
	transfer->paused = false;
	transfer->delivered = false;
	transfer->sink->begin(transfer->owner);
}

/* ----------
 * Beginning
 * ----------
 */

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

VeltTransfer *
velt_transfer_create(const VeltTransportConfig *config,
					 VeltTransportStats *stats, const char *path, char *body,
					 const VeltSink *sink, void *owner, VeltError *error)
{
	VeltTransfer *transfer = calloc(1, sizeof(VeltTransfer));

	if (transfer != NULL)
		transfer->url = join_url(config->base_url, path);
	if (transfer == NULL || transfer->url == NULL)
	{
		free(transfer);
		free(body);
		velt_error_out_of_memory(error);
		return NULL;
	}
	transfer->config = config;
	transfer->stats = stats;
	transfer->path = path;
	transfer->sink = sink;
	transfer->owner = owner;
	transfer->body = body;
	return transfer;
}

void
velt_transfer_free(VeltTransfer *transfer)
{
	drop_input(transfer, input_length(transfer));
	velt_buffer_free(&transfer->input);
	velt_gunzip_free(transfer->gunzip);
	free(transfer->url);
	free(transfer->body);
	free(transfer);
}

void
velt_transfer_prepare(CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before_request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, receive_header);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive_body);
}

bool
velt_transfer_begin(VeltTransfer *transfer, CURL *easy, int64_t now_ms)
{
	transfer->easy = easy;
	transfer->phase = VELT_PHASE_CONNECT;
	transfer->started_ms = now_ms;
	transfer->grace_ends_ms = 0;
	transfer->not_before_ms = 0;
	transfer->slept = false;
	transfer->resend_free = false;
	transfer->header_bytes = 0;
	begin_headers(transfer);
	transfer->sockets[0] = transfer->sockets[1] = -1;
	transfer->died = false;
	transfer->error.kind = VELT_ERROR_NONE;
	transfer->curl_message[0] = '\0';
	begin_body(transfer);

	curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->curl_message);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->body);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, transfer->fresh ? 1L : 0L);
	return curl_easy_setopt(easy, CURLOPT_URL, transfer->url) == CURLE_OK;
}

/* ----------
 * The end of an attempt
 * ----------
 */

int
velt_transfer_time_allowed(const VeltTransfer *transfer)
{
	const VeltTransportConfig *config = transfer->config;

	if (transfer->phase == VELT_PHASE_CONNECT &&
		config->connect_timeout_ms < config->request_timeout_ms)
		return config->connect_timeout_ms;
	return config->request_timeout_ms;
}

/*
 * Whether a TLS alert came in place of a response: with TLS 1.3 that is how a
 * server refuses a client's certificate, or the lack of one.
 */
static bool
is_refused_certificate(const VeltTransfer *transfer)
{
	return transfer->header_bytes == 0 &&
		strstr(transfer->curl_message, "SSL") != NULL &&
		strstr(transfer->curl_message, " alert ") != NULL;
}

/* The HTTP status with which a proxy replied to CONNECT, or 0. */
static int
proxy_status(const VeltTransfer *transfer)
{
	long		status = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return (int) status;
}

/* ... with which it refused. */
static int
proxy_refusal(const VeltTransfer *transfer)
{
	int			status = proxy_status(transfer);

	return status >= 300 ? status : 0;
}

/*
 * Sets the error to what libcurl says of the code, as a sentence.  Errors that
 * no HTTP request should meet are named by their number, for a bug report.
 */
static void
set_curl_text(const VeltTransfer *transfer, CURLcode code,
			  VeltErrorKind kind, VeltError *error)
{
	char		message[CURL_ERROR_SIZE];
	const char *text = (transfer->curl_message[0] ? transfer->curl_message :
						curl_easy_strerror(code));
	size_t		length;

	velt_error_clean_text(message, sizeof(message), text, strlen(text),
						  &transfer->config->credentials);
	message[0] = (char) toupper((unsigned char) message[0]);
	length = strlen(message);
	if (length > 0 && message[length - 1] == '.')
		message[length - 1] = '\0';
	if (kind == VELT_ERROR_SYSTEM)
		velt_error_set(error, kind, "libcurl failed with error %d: %s.",
					   (int) code, message);
	else
		velt_error_set(error, kind, "%s.", message);
}

/*
 * Returns whether libcurl refused a header or trailer line for its length.
 * Before 8.6 it then reports a lack of memory.  That is true only if memory
 * for such a line cannot be allocated.
 */
static bool
is_long_header(const VeltTransfer *transfer, CURLcode code)
{
	curl_off_t	first_byte = 0;
	void	   *line;

	if (transfer->headers_complete ?
		code != CURLE_RECV_ERROR ||
		strncmp(transfer->curl_message, "Out of memory", 13) != 0 :
		code != CURLE_OUT_OF_MEMORY ||
		curl_easy_getinfo(transfer->easy, CURLINFO_STARTTRANSFER_TIME_T,
						  &first_byte) != CURLE_OK || first_byte == 0)
		return false;
	line = malloc(CURL_MAX_HTTP_HEADER);
	free(line);
	return line != NULL;
}

/* Returns the meaning of the code at this point of the attempt. */
static const VeltCodeMeaning *
code_meaning(const VeltTransfer *transfer, CURLcode code)
{
	static const VeltCodeMeaning malformed_header = {
		CURLE_BAD_FUNCTION_ARGUMENT, VELT_ERROR_NO_ENVELOPE,
		"The response has a malformed header line."
	};

	/* libcurl checks keys while it connects, and header lines later */
	if (code == malformed_header.code &&
		transfer->phase == VELT_PHASE_RESPONSE)
		return &malformed_header;
	return velt_handle_code_meaning(is_long_header(transfer, code) ?
									VELT_CODE_TOO_LARGE : code);
}

/* Sets the error to what made libcurl end the attempt with this code. */
static void
describe_failure(const VeltTransfer *transfer, CURLcode code,
				 VeltError *error)
{
	const VeltCodeMeaning *meaning = code_meaning(transfer, code);
	VeltErrorKind kind = meaning->kind;
	int			refusal = proxy_refusal(transfer);

	if (kind == VELT_ERROR_UNAVAILABLE && is_refused_certificate(transfer))
		kind = VELT_ERROR_CERTIFICATE;
	/* what breaks off before a request was sent, did so in connecting */
	if ((kind == VELT_ERROR_UNAVAILABLE ||
		 code == CURLE_WEIRD_SERVER_REPLY) &&
		(transfer->phase == VELT_PHASE_CONNECT || refusal != 0))
		kind = VELT_ERROR_CONNECT;
	if (meaning->detail != NULL)
		velt_error_set(error, kind, "%s", meaning->detail);
	else
		set_curl_text(transfer, code, kind, error);
	error->transient = (kind == VELT_ERROR_UNAVAILABLE ||
						velt_error_in_connecting(kind)) &&
		(refusal == 0 || velt_error_http_status(refusal).transient);
}

const char *
velt_transfer_request_id(const VeltTransfer *transfer)
{
	struct curl_header *header;

	return curl_easy_header(transfer->easy, "x-request-id", 0, CURLH_HEADER,
							-1, &header) == CURLHE_OK ? header->value : "";
}

/* Notes what of a response there was. */
static void
note_response(const VeltTransfer *transfer, VeltError *error)
{
	error->http_status = velt_transfer_http_status(transfer);
	velt_error_set_request_id(error, velt_transfer_request_id(transfer),
							  &transfer->config->credentials);
}

/* Whether TCP has connected; curl's own timers tell only when all is over. */
static bool
has_peer(const VeltTransfer *transfer)
{
	for (int i = 0; i < VELT_SOCKETS_NOTED; i++)
	{
		struct sockaddr_storage peer;
		socklen_t	size = sizeof(peer);

		if (transfer->sockets[i] >= 0 &&
			getpeername(transfer->sockets[i], (struct sockaddr *) &peer,
						&size) == 0)
			return true;
	}
	return false;
}

/* How far it had come with connecting when the time was over. */
static void
connecting_timed_out(const VeltTransfer *transfer, int allowed,
					 VeltError *error)
{
	const char *proxy = transfer->config->proxy;

	if (transfer->sockets[0] < 0)
		velt_error_set(error, VELT_ERROR_CONNECT,
					   "The look-up of the %s's name did not end within %d ms.",
					   proxy ? "proxy" : "server", allowed);
	else if (!has_peer(transfer))
		velt_error_set(error, VELT_ERROR_CONNECT,
					   "No connection was made within %d ms.", allowed);
	else if (proxy && proxy_status(transfer) == 0)
		velt_error_set(error, VELT_ERROR_CONNECT,
					   "The proxy had not connected to the server after %d ms.",
					   allowed);
	else
		velt_error_set(error, VELT_ERROR_TLS,
					   "The TLS handshake did not finish within %d ms.",
					   allowed);
}

void
velt_transfer_time_out(const VeltTransfer *transfer, VeltError *error)
{
	int			allowed = velt_transfer_time_allowed(transfer);

	if (transfer->phase == VELT_PHASE_CONNECT)
		connecting_timed_out(transfer, allowed, error);
	else
		velt_error_set(error, VELT_ERROR_UNAVAILABLE,
					   "The response was not complete within %d ms.", allowed);
	error->transient = true;
	note_response(transfer, error);
}

bool
velt_transfer_judge(VeltTransfer *transfer, CURLcode code, VeltError *error)
{
	/* curl takes headers that break off for a response without body */
	if (code == CURLE_OK && !transfer->headers_complete)
		code = CURLE_GOT_NOTHING;

	/* a response that its owner did not want to the end has not died */
	transfer->died = code != CURLE_OK &&
		transfer->error.kind == VELT_ERROR_NONE;
	if (transfer->error.kind != VELT_ERROR_NONE)
		*error = transfer->error;
	else if (transfer->died)
		describe_failure(transfer, code, error);
	else if ((transfer->gunzip == NULL ||
			  velt_gunzip_finish(transfer->gunzip, error)) &&
			 transfer->sink->check(transfer->owner,
								   velt_transfer_http_status(transfer),
								   error))
		return true;
	note_response(transfer, error);
	error->transient |= error->if_retry_after && transfer->retry_after;
	transfer->fresh = error->http_status == 421;
	return false;
}

int64_t
velt_transfer_retry_after_ms(const VeltTransfer *transfer)
{
	curl_off_t	seconds = 0;

	/* curl reads both forms, seconds and a date */
	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &seconds);
	return seconds > 0 && seconds < INT32_MAX ? seconds * 1000 :
		seconds > 0 ? INT32_MAX : 0;
}
