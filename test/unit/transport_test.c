/*
 * test/unit/transport_test.c
 *		client/transport, handle, event_loop: bodies out, bytes back.
 */
#include "client/transport.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/handle.h"
#include "client/transfer.h"
#include "net.h"
#include "tap.h"
#include "unit.h"

/* ----------
 * What is sent
 * ----------
 */

static bool
has_header(const Net *net, int request, const char *line)
{
	char		whole[300];

	snprintf(whole, sizeof(whole), "\r\n%s\r\n", line);
	return strstr(server_request(net->server, request)->head, whole) != NULL;
}

static bool
has_name(const Net *net, int request, const char *name)
{
	char		start[100];

	snprintf(start, sizeof(start), "\n%s:", name);
	return strcasestr(server_request(net->server, request)->head,
					  start) != NULL;
}

static void
test_request_sent(void)
{
	static const char *const lines[] = {
		"Content-Type: application/json",
		"Accept: application/json",
		"User-Agent: velt_fdw/unit",
		"x-velt-workspace-id: " WORKSPACE_ID,
		"x-velt-auth-token: " AUTH_TOKEN,
		"x-velt-workspace-auth-token: " AUTH_TOKEN,
		"Content-Length: 9",
	};
	Net			net;

	net_open(&net);
	ok(net_submit(&net, 0, "{\"a\": 1} ") && net_await_requests(&net, 1),
	   "a request is sent");
	ok(strncmp(server_request(net.server, 0)->head,
			   "POST /v2/x HTTP/1.1\r\n", 21) == 0, "... as POST to its path");
	is_str(server_request(net.server, 0)->body, "{\"a\": 1} ",
		   "... with its body");
	for (size_t i = 0; i < LENGTH_OF(lines); i++)
		ok(has_header(&net, 0, lines[i]), "... and %s", lines[i]);
	ok(!has_name(&net, 0, "Expect"), "... without Expect");
	server_answer(net.server, 0, 200, "{\"b\":2}");
	ok(net_await_done(&net, 0) && net.owners[0].ok, "a response comes back");
	is_str(net.owners[0].body, "{\"b\":2}", "... with its body");
	is_int(net.owners[0].bytes_received, 7, "... whose bytes are counted");
	is_int(net.owners[0].nbegun, 1, "... of one attempt");
	is_int(net.owners[0].nchecked, 1, "... and is judged once");
	net_close(&net);
}

static void
test_auth_header(void)
{
	Net			net;

	net_open(&net);
	net.config.auth_header = "X-Other";
	ok(net_exchange(&net, 0) && has_header(&net, 0, "X-Other: " AUTH_TOKEN),
	   "the token goes in the header that is configured");
	ok(!has_name(&net, 0, "x-velt-auth-token") &&
	   !has_name(&net, 0, "x-velt-workspace-auth-token"),
	   "... and in no other");
	net_close(&net);
}

static void
test_base_path(void)
{
	static const char *const bases[] = {"/base", "/base/", "/base//"};

	for (size_t i = 0; i < LENGTH_OF(bases); i++)
	{
		char		url[200];
		Net			net;

		net_open(&net);
		snprintf(url, sizeof(url), "%s%s", server_url(net.server, "http"),
				 bases[i]);
		net.config.base_url = url;
		ok(net_exchange(&net, 0) &&
		   strncmp(server_request(net.server, 0)->path, "/base/v2/x ", 11) == 0,
		   "a path below %s", bases[i]);
		net_close(&net);
	}
}

static void
test_environment(void)
{
	static const char *const names[] = {"http_proxy", "https_proxy",
	"all_proxy", "ALL_PROXY"};
	Net			net;

	for (size_t i = 0; i < LENGTH_OF(names); i++)
		setenv(names[i], "http://127.0.0.1:1", 1);
	net_open(&net);
	ok(net_exchange(&net, 0), "proxies of the environment are ignored");
	net_close(&net);
	for (size_t i = 0; i < LENGTH_OF(names); i++)
		unsetenv(names[i]);
}

/* ----------
 * Connections
 * ----------
 */

static void
test_keep_alive(void)
{
	Net			net;
	int			nok = 0;

	net_open(&net);
	for (int i = 0; i < 5; i++)
		nok += net_exchange(&net, i);
	is_int(nok, 5, "five requests in a row");
	is_int(server_connections(net.server), 1, "... use one connection");
	is_int(velt_transport_stats(net.transport).open_connections, 1,
		   "... which stays open");
	is_int(velt_transport_stats(net.transport).requests, 5,
		   "... and are counted");
	is_int(velt_transport_stats(net.transport).bytes_received, 10,
		   "... with their bytes");

	server_close_idle(net.server);
	ok(net_exchange(&net, 5), "a connection lost at rest costs no request");
	is_int(server_connections(net.server), 2, "... but a new connection");
	net_close(&net);
}

static void
test_concurrency(void)
{
	Net			net;
	int			ndone = 0;

	net_open(&net);
	net.config.max_concurrency = 2;
	for (int i = 0; i < 5; i++)
		(void) net_submit(&net, i, "{}");
	loop_settle(net.server);
	is_int(server_requests(net.server), 2, "of five two are in flight");
	is_int(net.owners[2].nbegun, 0, "... and the third has not begun");
	server_answer(net.server, 0, 200, "{}");
	loop_settle(net.server);
	is_int(server_requests(net.server), 3, "where one ends the next begins");
	is_int(net.owners[2].nbegun, 1, "... in the order of submission");
	velt_transfer_cancel(net.owners[4].transfer);
	for (int i = 1; i < 4 && net_await_requests(&net, i + 1); i++)
		server_answer(net.server, i, 200, "{}");
	loop_settle(net.server);
	for (int i = 0; i < 5; i++)
		ndone += net.owners[i].ok;
	is_int(ndone, 4, "all come back but the one that was cancelled");
	is_int(server_requests(net.server), 4, "... which was never sent");
	is_int(server_connections(net.server), 2, "over two connections");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE,
		   "then all is idle");
	net_close(&net);
}

/* ----------
 * What comes back wrong
 * ----------
 */

#define GZIP_HEADERS	"Content-Encoding: gzip\r\nContent-Length: 42\r\n"

/* {"a":"x..."}, 2008 bytes of it */
#define GZIPPED \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x52\xaa" \
	"\x18\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x90\x07\x4a\xb5\x00" \
	"\x5d\x72\x25\xc1\xd8\x07\x00\x00"

/* {}, each of its bytes, and all but the last byte of the first */
#define GZIP_BOTH \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\xae\x05\x00\x43\xbf\xa6" \
	"\xa3\x02\x00\x00\x00"
#define GZIP_OPEN \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x06\x00\x39\x47\xd5\x15" \
	"\x01\x00\x00\x00"
#define GZIP_CLOSE \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x05\x00\x0c\xe2\xb6\xfc" \
	"\x01\x00\x00\x00"
#define GZIP_CUT \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\xae\x05\x00\x43\xbf\xa6" \
	"\xa3\x02\x00\x00"

typedef struct WireCase
{
	const char *name;
	const char *bytes;
	size_t		length;
	VeltErrorKind kind;			/* NONE: it is well */
} WireCase;

static const WireCase wire_cases[] = {
	{"not a byte", BYTES(""), VELT_ERROR_UNAVAILABLE},
	{"half a status line", BYTES("HTTP/1.1 20"), VELT_ERROR_UNAVAILABLE},
	{"a status line", BYTES("HTTP/1.1 200 OK\r\n"), VELT_ERROR_UNAVAILABLE},
	{
		"headers that break off",
		BYTES("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
		VELT_ERROR_UNAVAILABLE
	},
	{
		"headers that break off in a line",
		BYTES("HTTP/1.1 200 OK\r\nContent-Le"),
		VELT_ERROR_UNAVAILABLE
	},
	{
		"headers without their body",
		BYTES(HEAD("200", "Content-Length: 2\r\n")),
		VELT_ERROR_UNAVAILABLE
	},
	{
		"half a body", BYTES(HEAD("200", "Content-Length: 4\r\n") "{}"),
		VELT_ERROR_UNAVAILABLE
	},
	{
		"half a chunk",
		BYTES(HEAD("200", "Transfer-Encoding: chunked\r\n") "4\r\n{}"),
		VELT_ERROR_UNAVAILABLE
	},
	{
		"chunks without an end",
		BYTES(HEAD("200", "Transfer-Encoding: chunked\r\n") "2\r\n{}\r\n"),
		VELT_ERROR_UNAVAILABLE
	},
	{"only 100 Continue", BYTES(HEAD("100", "")), VELT_ERROR_UNAVAILABLE},
	{
		"100 Continue and half of the rest",
		BYTES(HEAD("100", "") "HTTP/1.1 200 OK\r\n"), VELT_ERROR_UNAVAILABLE
	},
	{"no HTTP", BYTES("SSH-2.0-OpenSSH_9.2\r\n"), VELT_ERROR_NO_ENVELOPE},
	{"HTTP/0.9", BYTES("<html>hello</html>"), VELT_ERROR_NO_ENVELOPE},
	{"HTTP/9.9", BYTES("HTTP/9.9 200 OK\r\n\r\n{}"), VELT_ERROR_NO_ENVELOPE},
	{
		"a chunk of no length",
		BYTES(HEAD("200", "Transfer-Encoding: chunked\r\n") "zz\r\n{}\r\n"),
		VELT_ERROR_UNAVAILABLE
	},
	{
		"gzip that is none",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\n") "{}"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"gzip",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\n") GZIP_BOTH),
		VELT_ERROR_NONE
	},
	{
		"a coding that changes nothing",
		BYTES(HEAD("200", "Content-Encoding: identity\r\n") "{}"),
		VELT_ERROR_NONE
	},
	{
		"gzip and padding",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\n") GZIP_BOTH "\0\0"),
		VELT_ERROR_NONE
	},
	{
		"gzip of two members",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\n") GZIP_OPEN GZIP_CLOSE),
		VELT_ERROR_NONE
	},
	{
		"gzip of two members with padding",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\n") GZIP_OPEN "\0" GZIP_CLOSE "\0"),
		VELT_ERROR_NONE
	},
	{
		"bytes behind gzip",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\n") GZIP_BOTH "x"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"gzip that breaks off",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\n") GZIP_CUT),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"gzip twice",
		BYTES(HEAD("200", "Content-Encoding: gzip, gzip\r\n") GZIP_BOTH),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"gzip in two headers",
		BYTES(HEAD("200", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n") GZIP_BOTH),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"brotli",
		BYTES(HEAD("200", "Content-Encoding: br\r\n") "{}"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"gzip for the transfer",
		BYTES(HEAD("200", "Transfer-Encoding: gzip, chunked\r\n") "2\r\n{}\r\n0\r\n\r\n"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"two equal lengths",
		BYTES(HEAD("200", "Content-Length: 2\r\ncontent-length:02 \r\n") "{}"),
		VELT_ERROR_NONE
	},
	{
		"two equal lengths in a line",
		BYTES(HEAD("200", "Content-Length: 2, 2\r\n") "{}"), VELT_ERROR_NONE
	},
	{
		"a length, and another of 103",
		BYTES(HEAD("103", "Content-Length: 5\r\n")
			  HEAD("200", "Content-Length: 2\r\n") "{}"),
		VELT_ERROR_NONE
	},
	{
		"two lengths, the first one right",
		BYTES(HEAD("200", "Content-Length: 2\r\nContent-Length: 1\r\n") "{}"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"two lengths, the second one right",
		BYTES(HEAD("200", "Content-Length: 1\r\nContent-Length: 2\r\n") "{}"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"two lengths in a line",
		BYTES(HEAD("200", "Content-Length: 2, 1\r\n") "{}"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"a length and nothing behind a comma",
		BYTES(HEAD("200", "Content-Length: 2,\r\n") "{}"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"a length with a unit",
		BYTES(HEAD("200", "Content-Length: 2 bytes\r\n") "{}"),
		VELT_ERROR_NO_ENVELOPE
	},
	{
		"a redirect",
		BYTES(HEAD("302", "Location: /elsewhere\r\nContent-Length: 0\r\n")),
		VELT_ERROR_PROTOCOL
	},
	{
		"401, and an offer to authenticate",
		BYTES(HEAD("401", "WWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n")),
		VELT_ERROR_PROTOCOL
	},
	{
		"a body to the end of the connection", BYTES(HEAD("200", "") "{}"),
		VELT_ERROR_NONE
	},
	{
		"a body after 100 and 103",
		BYTES(HEAD("100", "") HEAD("103", "Link: <x>\r\n")
			  HEAD("200", "Content-Length: 2\r\n") "{}"),
		VELT_ERROR_NONE
	},
	{
		"a body in chunks, with a trailer",
		BYTES(HEAD("200", "Transfer-Encoding: chunked\r\n")
			  "1\r\n{\r\n1;x=y\r\n}\r\n0\r\nX-Trailer: 1\r\n\r\n"),
		VELT_ERROR_NONE
	},
	{
		"line ends without CR",
		BYTES("HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"), VELT_ERROR_NONE
	},
};

static void
test_wire(const WireCase *c)
{
	Net			net;
	const Owner *owner = &net.owners[0];

	net_open(&net);
	ok(net_submit(&net, 0, "{}") && net_await_requests(&net, 1), "%s:", c->name);
	server_send(net.server, 0, c->bytes, c->length, true);
	ok(net_await_done(&net, 0), "... has an end");
	is_int(owner->ok ? VELT_ERROR_NONE : owner->error.kind, c->kind,
		   "... of this kind");
	if (owner->ok)
		is_str(owner->body, "{}", "... with a body");
	else
		ok(owner->error.detail[0] != '\0', "... and says so: %s",
		   owner->error.detail);
	loop_settle(net.server);
	is_int(server_requests(net.server), 1, "... after one request");
	net_close(&net);
}

static void
test_reset(void)
{
	Net			net;

	net_open(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_reset(net.server, 0);
	ok(net_await_done(&net, 0) && net.owners[0].error.kind == VELT_ERROR_UNAVAILABLE,
	   "a reset is a lost connection");
	is_int(net.owners[0].error.http_status, 0, "... before any HTTP status");
	net_close(&net);
}

/* error.h: http_status is 0 only while no response had begun. */
static void
test_http_status_of_errors(void)
{
	static const struct
	{
		const char *name;
		const char *response;
		size_t		refuse_at;
	}			cases[] = {
		{"a truncated body", HEAD("200", "Content-Length: 4\r\n") "{}", 0},
		{"a body refused as it came", HEAD("200", "Content-Length: 2\r\n") "{}", 1},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		Net			net;

		net_open(&net);
		net.owners[0].refuse_at = cases[i].refuse_at;
		(void) net_submit(&net, 0, "{}");
		(void) net_await_requests(&net, 1);
		server_send(net.server, 0, cases[i].response,
					strlen(cases[i].response), true);
		(void) net_await_done(&net, 0);
		is_int(net.owners[0].error.http_status, 200, "HTTP status of %s",
			   cases[i].name);
		net_close(&net);
	}
}

typedef struct LengthCase
{
	const char *name;
	const char *response;		/* up to where it stops, or all of it */
	uint64_t	expected;
} LengthCase;

static const LengthCase length_cases[] = {
	{"a length", HEAD("200", "Content-Length: 2\r\n") "{}", 2},
	{"in small letters", HEAD("200", "content-length:2\r\n") "{}", 2},
	{"with zeros", HEAD("200", "Content-Length: 000000000000000000000002\r\n") "{}", 2},
	{"of nothing", HEAD("200", "Content-Length: 0\r\n"), 0},
	{"none", HEAD("200", "Connection: close\r\n") "{}", 0},
	{"chunks", HEAD("200", "Transfer-Encoding: chunked\r\n") "2\r\n{}\r\n0\r\n\r\n", 0},
	{"chunks with a length", HEAD("200", "Content-Length: 1001\r\nTransfer-Encoding: chunked\r\n") "2\r\n{}\r\n0\r\n\r\n", 0},
	{"a length among the trailers", HEAD("200", "Transfer-Encoding: chunked\r\n") "2\r\n{}\r\n0\r\nContent-Length: 1001\r\n\r\n", 0},
	{"a length just right", HEAD("200", "Content-Length: 1000\r\n"), 1000},
	{"one more", HEAD("200", "Content-Length: 1001\r\n"), 1001},
	{"a large one", HEAD("200", "Content-Length: 9223372036854775807\r\n"), INT64_MAX},
	{"a larger one", HEAD("200", "Content-Length: 18446744073709551614\r\n"), UINT64_MAX - 1},
	{"one of 20 digits", HEAD("200", "Content-Length: 99999999999999999999\r\n"), UINT64_MAX},
	{"one of 40 digits", HEAD("200", "Content-Length: 1000000000000000000000000000000000000000\r\n"), UINT64_MAX},
	{"one of an error", HEAD("503", "Content-Length: 1001\r\n"), 1001},
};

/* What is too long is refused before any of it has come. */
static void
test_length(const LengthCase *c)
{
	const char *body = strstr(c->response, "\r\n\r\n") + 4;
	Net			net;

	net_open(&net);
	net.owners[0].most = 1000;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_send(net.server, 0, c->response, strlen(c->response), *body == '{');
	loop_settle(net.server);
	ok(net.owners[0].expected == c->expected, "length: %s", c->name);
	is_int(net.owners[0].ndone, *body != '\0' || c->expected != 1000,
		   "... and it ends at once, or waits");
	is_int(net.owners[0].ok ? VELT_ERROR_NONE : net.owners[0].error.kind,
		   c->expected > 1000 ? VELT_ERROR_RESPONSE_SIZE : VELT_ERROR_NONE,
		   "... well, or refused");
	is_int(net.owners[0].nbegun, 1, "... at the first attempt");
	net_close(&net);
}

static void
test_header_limit(size_t size, bool accepted)
{
	Net			net;
	char	   *line = malloc(1001);

	net_open(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	memset(line, 'h', 1000);
	memcpy(line, "X: ", 3);
	memcpy(line + 998, "\r\n", 3);
	server_send(net.server, 0, BYTES("HTTP/1.1 200 OK\r\n"), false);
	for (size_t sent = 0; sent < size; sent += 1000)
		server_send(net.server, 0, line, 1000, false);
	server_send(net.server, 0, BYTES("Content-Length: 2\r\n\r\n{}"), false);
	(void) net_await_done(&net, 0);
	is_int(net.owners[0].ok ? VELT_ERROR_NONE : net.owners[0].error.kind,
		   accepted ? VELT_ERROR_NONE : VELT_ERROR_HEADER_SIZE,
		   "%zu bytes of headers", size);
	free(line);
	net_close(&net);
}

/* libcurl refuses lines of more than 100 kB, which are of no use to anyone. */
static void
test_long_line(const char *start, const char *what)
{
	size_t		size = 200000;
	char	   *line = malloc(size);
	Net			net;

	net_open(&net);
	net.config.retry_timeout_ms = 120000;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_send(net.server, 0, start, strlen(start), false);
	memset(line, 'h', size);
	server_send(net.server, 0, line, size, false);
	(void) net_await_done(&net, 0);
	is_int(net.owners[0].error.kind, VELT_ERROR_HEADER_SIZE, "%s: %s", what,
		   net.owners[0].error.detail);
	ok(!net.owners[0].error.transient, "... and no other attempt may help");
	is_int(server_requests(net.server), 1, "... nor is made");
	free(line);
	net_close(&net);
}

static void
test_refused_bytes(void)
{
	Net			net;

	net_open(&net);
	net.owners[0].refuse_at = 3;
	(void) net_submit(&net, 0, "{}");
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	server_answer(net.server, 0, 200, "0123456789");
	server_answer(net.server, 1, 200, "{}");
	ok(net_await_done(&net, 0) && !net.owners[0].ok,
	   "a response that its owner refuses fails");
	is_int(net.owners[0].error.kind, VELT_ERROR_NESTING,
		   "... for its owner's reason");
	is_int(net.owners[0].nchecked, 0, "... and is not judged as a whole");
	ok(net_await_done(&net, 1) && net.owners[1].ok, "... and alone");
	ok(net_exchange(&net, 2), "... and the next one is well");
	net_close(&net);
}

static void
test_request_id(void)
{
	static const struct
	{
		const char *value;
		const char *shown;
	}			cases[] = {
		{"abc-123", "abc-123"},
		{"a" AUTH_TOKEN "b", "a<auth_token>b"},
		{"\x1b[31m\xff", "\\x1b[31m\\xff"},
	};
	char		long_id[2000];

	for (size_t i = 0; i <= LENGTH_OF(cases); i++)
	{
		bool		is_long = i == LENGTH_OF(cases);
		char		response[2200];
		Net			net;

		net_open(&net);
		memset(long_id, 'i', sizeof(long_id));
		long_id[sizeof(long_id) - 1] = '\0';
		snprintf(response, sizeof(response),
				 "HTTP/1.1 500 E\r\nX-Request-ID: %s\r\nContent-Length: 0\r\n\r\n",
				 is_long ? long_id : cases[i].value);
		(void) net_submit(&net, 0, "{}");
		(void) net_await_requests(&net, 1);
		server_send(net.server, 0, response, strlen(response), false);
		(void) net_await_done(&net, 0);
		if (is_long)
			is_int(strlen(net.owners[0].error.request_id),
				   VELT_REQUEST_ID_BYTES - 1, "a long request id is cut");
		else
			is_str(net.owners[0].error.request_id, cases[i].shown,
				   "request id %s", cases[i].value);
		net_close(&net);
	}
}

static void
test_compression(void)
{
	static const char response[] = HEAD("200", GZIP_HEADERS) GZIPPED;
	Net			net;

	net_open(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	ok(has_name(&net, 0, "Accept-Encoding"), "compression is offered");
	server_send(net.server, 0, response, sizeof(response) - 1, false);
	ok(net_await_done(&net, 0) && net.owners[0].ok && net.owners[0].length == 2008,
	   "a compressed body is decompressed");
	is_int(net.owners[0].bytes_received, 42, "... and counted before that");
	net_close(&net);
}

/* ----------
 * Connecting
 * ----------
 */

static void
test_refused_connection(void)
{
	Net			net;

	net_open(&net);
	server_close_port(net.server);
	ok(net_submit(&net, 0, "{}"), "a refused connection is no error of submitting");
	is_int(net.owners[0].ndone, 0, "... and is not told from within");
	ok(net_await_done(&net, 0), "... but later");
	is_int(net.owners[0].error.kind, VELT_ERROR_CONNECT, "... as its own kind");
	is_int(net.owners[0].error.http_status, 0, "... without HTTP status");
	net_close(&net);
}

/* TLS, to a server that knows nothing of it. */
static void
test_no_tls(void)
{
	Net			net;

	net_open(&net);
	net.config = loop_config(server_url(net.server, "https"));
	(void) net_submit(&net, 0, "{}");
	/* a handshake that never begins, as for want of authorities, ends it */
	for (int i = 0; i < 1000 && server_unread(net.server) == 0; i++)
		(void) loop_turn(net.server, SETTLED_MS, &net.error);
	is_int(velt_transport_phase(net.transport), VELT_PHASE_CONNECT,
		   "a TLS handshake is part of connecting");
	if (velt_transport_phase(net.transport) == VELT_PHASE_CONNECT)
		velt_transfer_cancel(net.owners[0].transfer);
	net_close(&net);
}

static void
test_connect_timeout(void)
{
	int64_t		start = loop_now_ms();
	Net			net;

	net_open(&net);
	net.config = loop_config(server_url(net.server, "https"));
	net.config.connect_timeout_ms = SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	ok(net_await_done(&net, 0), "a handshake that goes on for ever ends");
	is_int(net.owners[0].error.kind, VELT_ERROR_TLS, "... as what it is");
	is_str(net.owners[0].error.detail,
		   "The TLS handshake did not finish within 200 ms.",
		   "... and says so");
	ok(loop_now_ms() - start >= SHORT_MS - 1, "... not before its time");
	net_close(&net);
}

/* The server answers a TLS hello with text, or not at all. */
static void
test_broken_handshake(const char *answer, const char *name)
{
	Net			net;
	struct pollfd polled[3];
	int			n;

	net_open(&net);
	net.config = loop_config(server_url(net.server, "https"));
	(void) net_submit(&net, 0, "{}");
	while (server_unread(net.server) == 0)
		(void) loop_turn(net.server, SETTLED_MS, &net.error);
	n = server_descriptors(net.server, polled, 3);
	if (answer != NULL)
		(void) !write(polled[n - 1].fd, answer, strlen(answer));
	else
		server_close_idle(net.server);
	(void) net_await_done(&net, 0);
	ok(velt_error_in_connecting(net.owners[0].error.kind),
	   "a handshake %s is a failure to connect", name);
	ok(answer == NULL || net.owners[0].error.kind == VELT_ERROR_TLS,
	   "... and of TLS, where that is certain");
	net_close(&net);
}

typedef struct FileCase
{
	const char *name;
	const char *ca_file;
	const char *cert_file;
	const char *key_file;
} FileCase;

static const FileCase file_cases[] = {
	{"a CA file that is missing", "/nonexistent/ca", NULL, NULL},
	{"a CA file that is none", "/dev/null", NULL, NULL},
	{"a certificate that is missing", NULL, "/nonexistent/cert", NULL},
	{"a certificate that is none", NULL, "/dev/null", "/dev/null"},
};

static void
test_file(const FileCase *c)
{
	Net			net;

	net_open(&net);
	net.config = loop_config(server_url(net.server, "https"));
	net.config.ca_file = c->ca_file;
	net.config.cert_file = c->cert_file;
	net.config.key_file = c->key_file;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_done(&net, 0);
	is_int(net.owners[0].error.kind, VELT_ERROR_CERTIFICATE, "%s: %s", c->name,
		   net.owners[0].error.detail);
	net_close(&net);
}

/* An address of this machine that is not loopback; "" if it has none. */
static void
find_address(char *address, size_t size)
{
	struct ifaddrs *all = NULL;

	address[0] = '\0';
	(void) getifaddrs(&all);
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next)
	{
		struct sockaddr_in *in = (struct sockaddr_in *) i->ifa_addr;

		if (in != NULL && in->sin_family == AF_INET &&
			!(i->ifa_flags & IFF_LOOPBACK) && (i->ifa_flags & IFF_UP))
			inet_ntop(AF_INET, &in->sin_addr, address, size);
	}
	freeifaddrs(all);
}

/* As if "localhost" had been looked up to it. */
static void
test_other_peer(void)
{
	char		address[64];
	Net			net;

	find_address(address, sizeof(address));
	if (address[0] == '\0')
	{
		skip("this machine has no address but loopback");
		return;
	}
	net_open(&net);
	server_free(net.server);
	net.server = server_open(address);
	net.config = loop_config(server_url(net.server, "http"));
	(void) net_submit(&net, 0, "{}");
	ok(net_await_done(&net, 0) && net.owners[0].error.kind == VELT_ERROR_CONNECT,
	   "without TLS no other machine is spoken to: %s",
	   net.owners[0].error.detail);
	loop_settle(net.server);
	ok(server_requests(net.server) == 0 && server_unread(net.server) == 0,
	   "... not a byte is sent");
	net_close(&net);
}

/* ----------
 * Proxies
 * ----------
 */

typedef struct ProxyCase
{
	const char *name;
	const char *response;
	VeltErrorKind kind;
} ProxyCase;

static const ProxyCase proxy_cases[] = {
	{"that wants a password", HEAD("407", "Proxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n"), VELT_ERROR_CONNECT},
	{"that forbids it", HEAD("403", "Content-Length: 0\r\n"), VELT_ERROR_CONNECT},
	{"that cannot reach it", HEAD("502", "Content-Length: 4\r\n") "down", VELT_ERROR_CONNECT},
	{"that hangs up", "", VELT_ERROR_CONNECT},
	{"that is none", "SSH-2.0-OpenSSH_9.2\r\n\r\n", VELT_ERROR_CONNECT},
	{
		"that lets it through to no TLS", HEAD("200", "") "hello, hello",
		VELT_ERROR_TLS
	},
};

static void
test_proxy(const ProxyCase *c)
{
	char		proxy[100];
	Net			net;

	net_open(&net);
	net.config = loop_config("https://api.invalid");
	snprintf(proxy, sizeof(proxy), "%s", server_url(net.server, "http"));
	net.config.proxy = proxy;
	(void) net_submit(&net, 0, "{}");
	if (!ok(net_await_requests(&net, 1) &&
			strncmp(server_request(net.server, 0)->head,
					"CONNECT api.invalid:443 ", 24) == 0,
			"a proxy %s is asked to connect", c->name))
		diag("%s", net.owners[0].error.detail);
	else
	{
		ok(strcasestr(server_request(net.server, 0)->head, "velt-") == NULL,
		   "... and told no credentials");
		is_int(velt_transport_phase(net.transport), VELT_PHASE_CONNECT,
			   "... which is part of connecting");
		server_send(net.server, 0, c->response, strlen(c->response), true);
		(void) net_await_done(&net, 0);
		is_int(net.owners[0].error.kind, c->kind,
			   "... as is its refusal: %s", net.owners[0].error.detail);
	}
	net_close(&net);
}

/* With or without its answer, TLS is not there: connect_timeout counts. */
static void
test_proxy_timeout(bool answers)
{
	char		proxy[100];
	Net			net;

	net_open(&net);
	net.config = loop_config("https://api.invalid");
	snprintf(proxy, sizeof(proxy), "%s", server_url(net.server, "http"));
	net.config.proxy = proxy;
	/* time to begin a handshake, too, on a loaded machine */
	net.config.connect_timeout_ms = 5 * SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	if (answers)
		server_send(net.server, 0, BYTES(HEAD("200", "")), false);
	loop_settle(net.server);
	is_int(velt_transport_phase(net.transport), VELT_PHASE_CONNECT,
		   "TLS behind a proxy is part of connecting");
	loop_doze(5 * SHORT_MS);
	(void) loop_turn(net.server, SETTLED_MS, &net.error);
	is_int(net.owners[0].ndone, 1, "... and ends with connect_timeout");
	is_int(net.owners[0].error.kind, answers ? VELT_ERROR_TLS :
		   VELT_ERROR_CONNECT, "... in connecting");
	is_str(net.owners[0].error.detail, answers ?
		   "The TLS handshake did not finish within 1000 ms." :
		   "The proxy had not connected to the server after 1000 ms.",
		   "... and says what was waited for");
	net_close(&net);
}

/* ----------
 * Time
 * ----------
 */

static void
test_request_timeout(const char *begin, const char *name)
{
	int64_t		start = loop_now_ms();
	Net			net;

	net_open(&net);
	net.config.connect_timeout_ms = SHORT_MS;
	net.config.request_timeout_ms = SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_send(net.server, 0, begin, strlen(begin), false);
	ok(net_await_done(&net, 0), "a response that %s ends", name);
	is_int(net.owners[0].error.kind, VELT_ERROR_UNAVAILABLE,
		   "... as a lost connection");
	is_str(net.owners[0].error.detail,
		   "The response was not complete within 200 ms.", "... and says so");
	ok(loop_now_ms() - start >= SHORT_MS - 1, "... not before its time");
	server_close_idle(net.server);
	ok(net_exchange(&net, 1), "... and the next one is well");
	net_close(&net);
}

/* A response that has come while nobody drove is taken, however late. */
static void
test_late_drive(void)
{
	Net			net;

	net_open(&net);
	net.config.request_timeout_ms = SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_answer(net.server, 0, 200, "{}");
	loop_doze(SHORT_MS + 50);
	ok(net_await_done(&net, 0) && net.owners[0].ok,
	   "a response in time is taken after its time");
	net_close(&net);
}

/* As much as sockets hold, which is more than one read takes. */
static void
test_late_drive_of_much(void)
{
	size_t		size = 400 * 1024;
	char	   *body = malloc(size + 1);
	Net			net;

	memset(body, 'x', size);
	body[size] = '\0';
	net_open(&net);
	net.config.request_timeout_ms = SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_answer(net.server, 0, 200, body);
	for (int i = 0; i < 20; i++)
		server_work(net.server);
	loop_doze(SHORT_MS + 50);
	ok(net_await_done(&net, 0) && net.owners[0].ok,
	   "... and so is a long one: %s", net.owners[0].error.detail);
	free(body);
	net_close(&net);
}

/* Time in which nobody drives is not the server's. */
static void
test_undriven_time(void)
{
	Net			net;

	net_open(&net);
	net.config.connect_timeout_ms = SHORT_MS;
	net.config.request_timeout_ms = SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	loop_idle(SHORT_MS + 50);
	loop_settle(net.server);
	is_int(server_requests(net.server), 1,
		   "a request that nobody drove is sent");
	if (server_requests(net.server) > 0)
		server_answer(net.server, 0, 200, "{}");
	ok(net_await_done(&net, 0) && net.owners[0].ok,
	   "... and not charged for that time: %s", net.owners[0].error.detail);
	net_close(&net);
}

/* Nothing to do: nothing to wake up for. */
static void
test_quiet_descriptor(void)
{
	Net			net;
	struct pollfd polled = {0, POLLIN, 0};

	net_open(&net);
	(void) net_exchange(&net, 0);
	loop_settle(net.server);
	polled.fd = velt_network_fd(loop_network());
	is_int(poll(&polled, 1, SETTLED_MS), 0,
		   "at rest the descriptor is not readable");
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	loop_settle(net.server);
	is_int(poll(&polled, 1, SETTLED_MS), 0, "... nor while a server thinks");
	server_answer(net.server, 1, 200, "{}");
	is_int(poll(&polled, 1, PATIENCE_MS), 1, "... but when its response comes");
	(void) net_await_done(&net, 1);
	net_close(&net);
}

/* ----------
 * Phases, cancelling, callbacks
 * ----------
 */

static void
test_phase(void)
{
	Net			net;

	net_open(&net);
	(void) net_exchange(&net, 0);
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE, "at rest");
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	is_int(velt_transport_phase(net.transport), VELT_PHASE_REQUEST,
		   "waiting for the first byte");
	server_send(net.server, 1, BYTES(HEAD("200", "Content-Length: 2\r\n")),
				false);
	loop_settle(net.server);
	is_int(velt_transport_phase(net.transport), VELT_PHASE_RESPONSE,
		   "waiting for the rest");
	(void) net_submit(&net, 2, "{}");
	(void) net_await_requests(&net, 3);
	is_int(velt_transport_phase(net.transport), VELT_PHASE_REQUEST,
		   "the least advanced counts");
	server_answer(net.server, 2, 200, "{}");
	server_send(net.server, 1, BYTES("{}"), false);
	ok(net_await_done(&net, 1) && net.owners[1].ok, "the rest comes");
	ok(net_await_done(&net, 2) && net.owners[2].ok, "... in any order");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE, "at rest again");
	net_close(&net);
}

static void
test_cancel(void)
{
	Net			net;

	net_open(&net);
	(void) net_submit(&net, 0, "{}");
	velt_transfer_cancel(net.owners[0].transfer);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	velt_transfer_cancel(net.owners[0].transfer);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 2);
	server_send(net.server, server_requests(net.server) - 1,
				BYTES(HEAD("200", "Content-Length: 9\r\n") "{"), false);
	loop_settle(net.server);
	velt_transfer_cancel(net.owners[0].transfer);
	loop_settle(net.server);
	is_int(net.owners[0].ndone, 0, "who cancels hears nothing more of it");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE,
		   "... and nothing goes on");
	ok(net_exchange(&net, 1), "... and the next one is well");
	net_close(&net);
}

static void
cancel_others(Owner *owner)
{
	Net		   *net = owner->data;

	for (int i = 0; i < MAX_OWNERS; i++)
	{
		if (net->owners[i].transfer == NULL)
			continue;
		velt_transfer_cancel(net->owners[i].transfer);
		net->owners[i].transfer = NULL;
	}
}

/* Of those that ended at the same time, the first ends the others. */
static void
test_cancel_when_done(int status)
{
	Net			net;
	int			ndone = 0;

	net_open(&net);
	net.config.max_concurrency = 4;
	for (int i = 0; i < 8; i++)
	{
		net.owners[i].then = cancel_others;
		net.owners[i].data = &net;
		(void) net_submit(&net, i, "{}");
	}
	(void) net_await_requests(&net, 4);
	for (int i = 0; i < 4; i++)
		server_answer(net.server, i, status, "{}");
	loop_settle(net.server);
	for (int i = 0; i < 8; i++)
		ndone += net.owners[i].ndone;
	is_int(ndone, 1, "all but the first can be cancelled when that is done");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE,
		   "... and nothing goes on");
	net_close(&net);
}

/* The same of those whose time is up at the same moment. */
static void
test_cancel_when_overdue(void)
{
	Net			net;
	int			ndone = 0;

	net_open(&net);
	net.config.request_timeout_ms = SHORT_MS;
	for (int i = 0; i < 4; i++)
	{
		net.owners[i].then = cancel_others;
		net.owners[i].data = &net;
		(void) net_submit(&net, i, "{}");
	}
	(void) net_await_requests(&net, 4);
	loop_doze(SHORT_MS);
	loop_settle(net.server);
	for (int i = 0; i < 4; i++)
		ndone += net.owners[i].ndone;
	is_int(ndone, 1, "all but the first can be cancelled when that is overdue");
	net_close(&net);
}

static void
submit_next(Owner *owner)
{
	Net		   *net = owner->data;
	int			next = owner - net->owners + 1;

	if (next == MAX_OWNERS)
		return;
	net->owners[next].then = submit_next;
	net->owners[next].data = net;
	(void) net_submit(net, next, "{}");
}

/* One after the other, each at once: more than one call may do. */
static void
test_submit_when_done(void)
{
	Net			net;
	int			ndone = 0;

	net_open(&net);
	server_close_port(net.server);
	net.owners[0].then = submit_next;
	net.owners[0].data = &net;
	(void) net_submit(&net, 0, "{}");
	loop_settle(net.server);
	for (int i = 0; i < MAX_OWNERS; i++)
		ndone += net.owners[i].ndone;
	is_int(ndone, MAX_OWNERS, "a transfer can be submitted when one is done");
	net_close(&net);
}

/* The same where each ends within the call that began it. */
static void
test_submit_in_rounds(void)
{
	VeltError	error;
	Net			net;
	int			ndone = 0;

	net_open(&net);
	net.config = loop_config(server_url(net.server, "https"));
	net.config.loopback_only = true;	/* so https is not allowed */
	net.owners[0].then = submit_next;
	net.owners[0].data = &net;
	(void) net_submit(&net, 0, "{}");
	ok(velt_network_drive(loop_network(), &error), "a call to drive");
	ok(net.owners[1].ndone == 1 && net.owners[MAX_OWNERS - 1].ndone == 0,
	   "... does not go on for ever");
	loop_settle(net.server);
	for (int i = 0; i < MAX_OWNERS; i++)
		ndone += net.owners[i].ndone;
	is_int(ndone, MAX_OWNERS, "... but is followed by others");
	is_int(net.owners[0].error.kind, VELT_ERROR_NO_ENVELOPE,
		   "a scheme that is not allowed is not used");
	net_close(&net);
}

static void
test_destroy(void)
{
	Net			net;
	int			nheard = 0;

	net_open(&net);
	net.config.max_concurrency = 2;
	for (int i = 0; i < 4; i++)
		(void) net_submit(&net, i, "{}");
	(void) net_await_requests(&net, 2);
	server_answer(net.server, 0, 200, "{}");
	velt_transport_destroy(net.transport);
	net.transport = NULL;
	for (int i = 0; i < 4; i++)
		nheard += net.owners[i].ndone + net.owners[i].nchecked;
	is_int(nheard, 0, "a transport ends its transfers without a word");
	velt_transport_destroy(NULL);
	net_close(&net);
}

static void
test_signals(void)
{
	sigset_t	before;
	sigset_t	after;
	Net			net;

	sigemptyset(&before);
	sigaddset(&before, SIGUSR1);
	sigprocmask(SIG_SETMASK, &before, NULL);
	net_open(&net);
	(void) net_exchange(&net, 0);
	(void) net_submit(&net, 1, "{}");
	velt_transfer_cancel(net.owners[1].transfer);
	net_close(&net);
	sigprocmask(SIG_SETMASK, NULL, &after);
	ok(sigismember(&after, SIGUSR1) == 1 && sigismember(&after, SIGINT) == 0,
	   "the signal mask is left as it was");
	sigemptyset(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ----------
 * Small things
 * ----------
 */

/* Returns the kind of a code that an HTTP request may meet. */
static VeltErrorKind
expected_of_code(int code)
{
	switch (code)
	{
		case CURLE_COULDNT_RESOLVE_PROXY:
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_COULDNT_CONNECT:
		case CURLE_PROXY:
			return VELT_ERROR_CONNECT;
		case CURLE_SSL_CONNECT_ERROR:
			return VELT_ERROR_TLS;
		case CURLE_HTTP2:
		case CURLE_PARTIAL_FILE:
		case CURLE_OPERATION_TIMEDOUT:
		case CURLE_GOT_NOTHING:
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_SEND_FAIL_REWIND:
		case CURLE_AGAIN:
		case CURLE_HTTP2_STREAM:
			return VELT_ERROR_UNAVAILABLE;
		case CURLE_BAD_FUNCTION_ARGUMENT:
		case CURLE_SSL_CERTPROBLEM:
		case CURLE_SSL_CIPHER:
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
		case CURLE_SSL_ISSUER_ERROR:
		case CURLE_SSL_INVALIDCERTSTATUS:
		case CURLE_SSL_CLIENTCERT:
			return VELT_ERROR_CERTIFICATE;
		case CURLE_UNSUPPORTED_PROTOCOL:
		case CURLE_WEIRD_SERVER_REPLY:
		case CURLE_WRITE_ERROR:
		case CURLE_BAD_CONTENT_ENCODING:
			return VELT_ERROR_NO_ENVELOPE;
		case CURLE_URL_MALFORMAT:
			return VELT_ERROR_INVALID_VALUE;
		case CURLE_OUT_OF_MEMORY:
			return VELT_ERROR_OUT_OF_MEMORY;
		case VELT_CODE_TOO_LARGE:
			return VELT_ERROR_HEADER_SIZE;
		default:
			return VELT_ERROR_SYSTEM;
	}
}

/* Every code of this libcurl, those of later ones, and numbers beyond. */
static void
test_codes(void)
{
	for (int code = 1; code <= 2 * CURL_LAST; code++)
		is_int(velt_handle_code_meaning((CURLcode) code)->kind,
			   expected_of_code(code), "kind of code %d, \"%s\"", code,
			   curl_easy_strerror((CURLcode) code));
}

/*
 * A transfer that libcurl ends with a code, in a phase.  The handle has made
 * no connection.
 */
static void
judge_code(CURLcode code, VeltPhase phase, VeltError *error)
{
	VeltTransfer transfer = {0};
	VeltTransportConfig config = loop_config("http://127.0.0.1:1");

	transfer.config = &config;
	transfer.easy = curl_easy_init();
	transfer.phase = phase;
	(void) velt_transfer_judge(&transfer, code, error);
	curl_easy_cleanup(transfer.easy);
}

static void
test_transient_codes(void)
{
	for (int code = 1; code <= 2 * CURL_LAST; code++)
	{
		VeltErrorKind kind = expected_of_code(code);
		bool		passes;
		VeltError	error;

		passes = kind == VELT_ERROR_CONNECT || kind == VELT_ERROR_TLS ||
			kind == VELT_ERROR_UNAVAILABLE;
		judge_code((CURLcode) code, VELT_PHASE_REQUEST, &error);
		is_int(error.transient, passes, "code %d %s: %s", code,
			   passes ? "may pass" : "is permanent", error.detail);
		ok(strstr(error.detail, "disk") == NULL, "... in other words");
	}
}

/* A malformed header line gets the code of an unusable key from libcurl. */
static void
test_code_of_headers(void)
{
	VeltError	error;

	judge_code(CURLE_BAD_FUNCTION_ARGUMENT, VELT_PHASE_CONNECT, &error);
	is_int(error.kind, VELT_ERROR_CERTIFICATE,
		   "a bad argument in connecting is a key's");
	judge_code(CURLE_BAD_FUNCTION_ARGUMENT, VELT_PHASE_RESPONSE, &error);
	is_int(error.kind, VELT_ERROR_NO_ENVELOPE,
		   "... in a response is a header line: %s", error.detail);
}

static void
test_copies(void)
{
	char		token[] = AUTH_TOKEN;
	Net			net;

	net_open(&net);
	net.config.credentials.auth_token = token;
	net.transport = loop_transport(&net.config);
	memset(token, 'x', sizeof(token) - 1);
	is_str(velt_transport_credentials(net.transport)->auth_token, AUTH_TOKEN,
		   "a transport has its own copy of the credentials");
	ok(net_exchange(&net, 0) &&
	   has_header(&net, 0, "x-velt-auth-token: " AUTH_TOKEN),
	   "... and sends that");
	net_close(&net);
	ok(strncmp(velt_transport_library(), "libcurl/", 8) == 0,
	   "libcurl has a version");
}

static void
test_failures(void)
{
	for (size_t i = 0; i < LENGTH_OF(wire_cases); i++)
		test_wire(&wire_cases[i]);
	test_reset();
	test_http_status_of_errors();
	for (size_t i = 0; i < LENGTH_OF(length_cases); i++)
		test_length(&length_cases[i]);
	test_header_limit(60000, true);
	test_header_limit(70000, false);
	test_long_line("HTTP/1.1 ", "a status line without end");
	test_long_line("HTTP/1.1 200 OK\r\nX: ", "a header line without end");
	test_long_line(HEAD("200", "Transfer-Encoding: chunked\r\n")
				   "2\r\n{}\r\n0\r\nX: ", "a trailer line without end");
	test_refused_bytes();
	test_request_id();
	test_compression();
}

static void
test_connecting(void)
{
	test_refused_connection();
	test_no_tls();
	test_connect_timeout();
	test_broken_handshake("HTTP/1.1 400 Bad Request\r\n\r\n", "in plain text");
	test_broken_handshake(NULL, "broken off");
	for (size_t i = 0; i < LENGTH_OF(file_cases); i++)
		test_file(&file_cases[i]);
	test_other_peer();
	for (size_t i = 0; i < LENGTH_OF(proxy_cases); i++)
		test_proxy(&proxy_cases[i]);
	test_proxy_timeout(true);
	test_proxy_timeout(false);
}

void
test_transport(void)
{
	test_request_sent();
	test_auth_header();
	test_base_path();
	test_environment();
	test_keep_alive();
	test_concurrency();
	test_failures();
	test_connecting();
	test_request_timeout("", "never begins");
	test_request_timeout("HTTP/1.1 200 OK\r\n", "stops in its headers");
	test_request_timeout(HEAD("200", "Content-Length: 9\r\n") "{",
						 "stops in its body");
	test_late_drive();
	test_late_drive_of_much();
	test_undriven_time();
	test_quiet_descriptor();
	test_phase();
	test_cancel();
	test_cancel_when_done(200);
	test_cancel_when_done(500);
	test_cancel_when_overdue();
	test_submit_when_done();
	test_submit_in_rounds();
	test_destroy();
	test_signals();
	test_codes();
	test_transient_codes();
	test_code_of_headers();
	test_copies();
}
