/*
 * test/unit/attempts_test.c
 *		client/transport: attempts after the first, the pace, and the clock.
 *
 * Backoffs last seconds, which pass on the client's clock alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/transport.h"
#include "faults.h"
#include "net.h"
#include "tap.h"
#include "unit.h"

#define RETRY_TIMEOUT_MS	120000

/* Longer than a gap in which a connection may have been given up. */
#define LONG_MS		3000

/* A request_timeout that no attempt reaches in real time. */
#define ATTEMPT_MS	2000

/* What a test says of a wait holds to within this, in ms. */
#define SLACK_MS	150

static void
open_retrying(Net *net)
{
	net_open(net);
	net->config.retry_timeout_ms = RETRY_TIMEOUT_MS;
	net->config.request_timeout_ms = 600000;
	net->config.connect_timeout_ms = 600000;
}

/* Lets time pass while both work. */
static void
pass(Net *net, int64_t ms)
{
	loop_wait(net->server, ms);
}

static void
settle(Net *net)
{
	loop_settle(net->server);
}

static void
answer_raw(Net *net, int request, const char *bytes)
{
	server_send(net->server, request, bytes, strlen(bytes), false);
}

/* How long the wait is that has begun, or 0. */
static int64_t
wait_begun(Net *net)
{
	VeltNotice	notice;

	settle(net);
	return velt_network_take_notice(loop_network(), &notice) ?
		notice.wait_ms : 0;
}

static void
keep_log(bool keep)
{
	velt_attempt_log_enable(velt_network_log(loop_network()), keep);
}

static bool
take_log(VeltAttempt *attempt)
{
	return velt_attempt_log_take(velt_network_log(loop_network()), attempt);
}

/* Until so many attempts have ended.  The log has to be kept. */
static void
await_attempts(Net *net, int n)
{
	int64_t		end = loop_now_ms() + PATIENCE_MS;
	VeltAttempt attempt;

	while (n > 0 && loop_now_ms() < end)
	{
		(void) loop_turn(net->server, SETTLED_MS,
						 &net->error);
		while (n > 0 && take_log(&attempt))
			n--;
	}
}

/* Whether request "n" comes at that time, and not before. */
static void
comes_at(Net *net, int n, int64_t at_ms, const char *what)
{
	pass(net, at_ms - SLACK_MS - faults_now_ms());
	is_int(server_requests(net->server), n - 1, "%s not before its time",
		   what);
	pass(net, at_ms + SLACK_MS - faults_now_ms());
	is_int(server_requests(net->server), n, "... but then");
}

static void
comes_after(Net *net, int n, int64_t wait_ms, const char *what)
{
	comes_at(net, n, faults_now_ms() + wait_ms, what);
}

/* ----------
 * What is tried again
 * ----------
 */

typedef enum End
{
	ANSWERS,					/* the connection stays */
	CLOSES,
	RESETS,
	SAYS_NO_MORE
} End;

typedef struct AttemptCase
{
	const char *name;
	const char *bytes;
	End			end;
	size_t		refuse_at;
	VeltErrorKind kind;
	int			nattempts;
} AttemptCase;

#define EMPTY	"Content-Length: 0\r\n"

static const AttemptCase attempt_cases[] = {
	{"a reset", "", RESETS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{
		"a connection closed without a byte", "", CLOSES, 0,
		VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"half a status line", "HTTP/1.1 20", CLOSES, 0,
		VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"headers that break off", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
		CLOSES, 0, VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"half a body", HEAD("200", "Content-Length: 9\r\n") "[[[", CLOSES, 0,
		VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"half a body and a reset", HEAD("200", "Content-Length: 9\r\n") "[[[",
		RESETS, 0, VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"a response that never begins", "", SAYS_NO_MORE, 0,
		VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"a response that stops in its body",
		HEAD("200", "Content-Length: 9\r\n") "[[[", SAYS_NO_MORE, 0,
		VELT_ERROR_UNAVAILABLE, 2
	},
	{"HTTP 429", HEAD("429", EMPTY), ANSWERS, 0, VELT_ERROR_EXHAUSTED, 2},
	{"HTTP 500", HEAD("500", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 502", HEAD("502", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 503", HEAD("503", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 504", HEAD("504", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 408", HEAD("408", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 421", HEAD("421", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 425", HEAD("425", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 520", HEAD("520", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 527", HEAD("527", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 529", HEAD("529", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 530", HEAD("530", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 598", HEAD("598", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{"HTTP 599", HEAD("599", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2},
	{
		"HTTP 501 with Retry-After", HEAD("501", EMPTY "Retry-After: 1\r\n"),
		ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"HTTP 505 with Retry-After of nothing",
		HEAD("505", EMPTY "retry-after: 0\r\n"), ANSWERS, 0,
		VELT_ERROR_UNAVAILABLE, 2
	},
	{
		"HTTP 511 with Retry-After", HEAD("511", EMPTY "Retry-After: 1\r\n"),
		ANSWERS, 0, VELT_ERROR_CONNECT, 2
	},
	{
		"HTTP 413 with Retry-After", HEAD("413", EMPTY "Retry-After: 1\r\n"),
		ANSWERS, 0, VELT_ERROR_REQUEST_SIZE, 2
	},
	{
		"HTTP 503 with a text that nobody wants",
		HEAD("503", "Content-Length: 6\r\n") "<html>", ANSWERS, 1,
		VELT_ERROR_UNAVAILABLE, 2
	},
	{"HTTP 400", HEAD("400", EMPTY), ANSWERS, 0, VELT_ERROR_PROTOCOL, 1},
	{"HTTP 401", HEAD("401", EMPTY), ANSWERS, 0, VELT_ERROR_PROTOCOL, 1},
	{"HTTP 404", HEAD("404", EMPTY), ANSWERS, 0, VELT_ERROR_PROTOCOL, 1},
	{"HTTP 413", HEAD("413", EMPTY), ANSWERS, 0, VELT_ERROR_REQUEST_SIZE, 1},
	{"HTTP 501", HEAD("501", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 1},
	{"HTTP 511", HEAD("511", EMPTY), ANSWERS, 0, VELT_ERROR_CONNECT, 1},
	{"HTTP 528", HEAD("528", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 1},
	{
		"HTTP 400 with Retry-After", HEAD("400", EMPTY "Retry-After: 1\r\n"),
		ANSWERS, 0, VELT_ERROR_PROTOCOL, 1
	},
	{
		"HTTP 403 with Retry-After", HEAD("403", EMPTY "Retry-After: 1\r\n"),
		ANSWERS, 0, VELT_ERROR_PROTOCOL, 1
	},
	{
		"HTTP 501 with Retry-After, but of 103",
		HEAD("103", "Retry-After: 1\r\n") HEAD("501", EMPTY), ANSWERS, 0,
		VELT_ERROR_UNAVAILABLE, 1
	},
	{
		"HTTP 302", HEAD("302", EMPTY "Retry-After: 1\r\n"), ANSWERS, 0,
		VELT_ERROR_PROTOCOL, 1
	},
	{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", CLOSES, 0, VELT_ERROR_NO_ENVELOPE, 1},
	{
		"gzip that is none",
		HEAD("200", "Content-Encoding: gzip\r\nContent-Length: 2\r\n") "{}",
		ANSWERS, 0, VELT_ERROR_NO_ENVELOPE, 1
	},
	{
		"what its owner refuses", HEAD("200", "Content-Length: 2\r\n") "{}",
		ANSWERS, 1, VELT_ERROR_NESTING, 1
	},
};

static void
fail_attempt(Net *net, int request, const AttemptCase *c)
{
	server_send(net->server, request, c->bytes, strlen(c->bytes),
				c->end == CLOSES);
	/* what was sent before a reset must have been read, or it is lost */
	if (c->end == RESETS)
	{
		settle(net);
		server_reset(net->server, request);
	}
	if (c->end == SAYS_NO_MORE)
		loop_doze(ATTEMPT_MS);
	settle(net);
}

static void
test_second_attempt(Net *net, const AttemptCase *c)
{
	Owner	   *owner = &net->owners[0];
	VeltNotice	notice;

	is_int(owner->ndone, 0, "... is not the end");
	ok(velt_network_take_notice(loop_network(), &notice) &&
	   notice.wait_ms >= 1000 && notice.wait_ms < 1500,
	   "... but the beginning of a wait");
	is_int(notice.cause.kind, c->kind, "... for that reason: %s",
		   notice.cause.detail);
	is_int(velt_transport_phase(net->transport), VELT_PHASE_BACKOFF,
		   "... which is a phase");
	comes_after(net, 2, notice.wait_ms, "... and of a second attempt,");
	is_str(server_request(net->server, 1)->body, "{\"a\":1}",
		   "... with the same body");
	owner->refuse_at = 0;
	server_answer(net->server, 1, 200, "{}");
	ok(net_await_done(net, 0) && owner->ok, "... which is well");
	is_str(owner->body, "{}", "... and leaves nothing of the first");
	is_int(velt_transport_stats(net->transport).retries, 1,
		   "... and is counted");
}

static void
test_attempt(const AttemptCase *c)
{
	Net			net;

	open_retrying(&net);
	net.config.request_timeout_ms = ATTEMPT_MS;
	net.owners[0].refuse_at = c->refuse_at;
	ok(net_submit(&net, 0, "{\"a\":1}") && net_await_requests(&net, 1),
	   "%s:", c->name);
	fail_attempt(&net, 0, c);
	if (c->nattempts > 1)
		test_second_attempt(&net, c);
	else
	{
		is_int(net.owners[0].ndone, 1, "... is the end");
		is_int(net.owners[0].error.kind, c->kind, "... of its kind: %s",
			   net.owners[0].error.detail);
		ok(strstr(net.owners[0].error.detail, "Gave up") == NULL,
		   "... which nobody tried again");
	}
	pass(&net, 5000);
	is_int(server_requests(net.server), c->nattempts, "... of all attempts");
	is_int(velt_transport_stats(net.transport).requests, c->nattempts,
		   "... which are counted");
	is_int(net.owners[0].nbegun, c->nattempts, "... and have begun");
	is_int(net.owners[0].ndone, 1, "... and end once");
	net_close(&net);
}

/* 421: a connection that leads to the wrong server is not used again. */
static void
test_misdirected(int status, int nconnections)
{
	Net			net;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_answer(net.server, 0, status, "{}");
	pass(&net, wait_begun(&net));
	(void) net_await_requests(&net, 2);
	server_answer(net.server, 1, 200, "{}");
	ok(net_await_done(&net, 0) && net.owners[0].ok,
	   "HTTP %d, then an answer", status);
	is_int(server_connections(net.server), nconnections,
		   "... from so many connections");
	ok(net_exchange(&net, 1), "... and another request");
	is_int(server_connections(net.server), nconnections,
		   "... over one of these");
	net_close(&net);
}

/* Without time for retries nothing is. */
static void
test_never_retry(void)
{
	Net			net;

	open_retrying(&net);
	net.config.retry_timeout_ms = 0;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("429", "Retry-After: 1\r\n" EMPTY));
	ok(net_await_done(&net, 0) &&
	   net.owners[0].error.kind == VELT_ERROR_EXHAUSTED &&
	   !net.owners[0].error.gave_up,
	   "with no retry_timeout the first failure is the end");
	is_str(net.owners[0].error.detail, "HTTP 429.", "... as it was");
	is_int(wait_begun(&net), 0, "... and no wait begins");
	net_close(&net);
}

/* Failures to the end of retry_timeout. */
static void
test_giving_up(void)
{
	Net			net;
	int64_t		start;
	int			n = 0;

	open_retrying(&net);
	net.config.retry_timeout_ms = 10000;
	(void) net_submit(&net, 0, "{}");
	start = faults_now_ms();
	while (net.owners[0].ndone == 0 && n < 10 &&
		   net_await_requests(&net, n + 1))
	{
		server_answer(net.server, n++, 503, "{}");
		pass(&net, wait_begun(&net));
	}
	ok(n >= 3 && n <= 4, "failures end after %d attempts", n);
	ok(faults_now_ms() - start <= 10000 + SLACK_MS, "... within the time");
	is_int(net.owners[0].error.kind, VELT_ERROR_UNAVAILABLE,
		   "... of their kind");
	ok(net.owners[0].error.gave_up, "... and no further attempt");
	ok(strstr(net.owners[0].error.detail, "HTTP 503. Gave up after ") != NULL,
	   "... and say so: %s", net.owners[0].error.detail);
	is_int(net.owners[0].error.http_status, 503, "... with the HTTP status");
	is_int(net.owners[0].nbegun, n, "... after no further attempt");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE,
		   "... and nothing goes on");
	net_close(&net);
}

/* ----------
 * Retry-After
 * ----------
 */

typedef struct WishCase
{
	const char *status;
	const char *value;
	int64_t		least_ms;		/* of the wait; 0: none */
	int64_t		most_ms;
} WishCase;

static const WishCase wish_cases[] = {
	{"429", "7", 7000, 7000},
	{"503", "7", 7000, 7000},
	{"500", "2", 2000, 2000},
	{"429", "100", 100000, 100000},
	{"429", "0", 1000, 1500},
	{"429", "-5", 1000, 1500},
	{"429", "soon", 1000, 1500},
	{"429", "", 1000, 1500},
	{"429", "Thu, 01 Jan 2015 00:00:00 GMT", 1000, 1500},
	{"429", "121", 0, 0},
	{"503", "4000000", 0, 0},
	{"429", "Fri, 01 Jan 2100 00:00:00 GMT", 0, 0},
};

static void
test_wish(const WishCase *c)
{
	char		response[300];
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	snprintf(response, sizeof(response),
			 "HTTP/1.1 %s X\r\nretry-after: %s\r\n" EMPTY "\r\n", c->status,
			 c->value);
	answer_raw(&net, 0, response);
	wait = wait_begun(&net);
	ok(wait >= c->least_ms && wait <= c->most_ms,
	   "Retry-After \"%s\": %d ms", c->value, (int) wait);
	if (c->least_ms > 0)
		comes_after(&net, 2, wait, "... and an attempt");
	else
	{
		ok(net.owners[0].error.gave_up, "... which is too long");
		ok(strstr(net.owners[0].error.detail,
				  "Gave up after 1 attempt in 0.") != NULL,
		   "... and ends at once: %s", net.owners[0].error.detail);
	}
	net_close(&net);
}

static void
test_date(void)
{
	time_t		later = time(NULL) + 20;
	struct tm	utc;
	char		response[300];
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	gmtime_r(&later, &utc);
	strftime(response, sizeof(response),
			 "HTTP/1.1 503 X\r\nRetry-After: %a, %d %b %Y %H:%M:%S GMT\r\n"
			 EMPTY "\r\n", &utc);
	answer_raw(&net, 0, response);
	wait = wait_begun(&net);
	ok(wait >= 17000 && wait <= 20000, "Retry-After as a date: %d ms",
	   (int) wait);
	comes_after(&net, 2, wait, "... and an attempt");
	net_close(&net);
}

/* What one response wishes, the next one does not. */
static void
test_wish_is_forgotten(void)
{
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	net.config.max_concurrency = 1;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("503", "Retry-After: 9\r\n" EMPTY));
	pass(&net, wait_begun(&net));
	answer_raw(&net, 1, HEAD("503", EMPTY));
	wait = wait_begun(&net);
	ok(wait >= 2000 && wait < 3000,
	   "a wish for 9 s is not one of the next response: %d ms", (int) wait);
	pass(&net, wait);
	server_send(net.server, 2, BYTES("HTTP/1.1 200 OK\r\n"), true);
	wait = wait_begun(&net);
	ok(wait >= 4000 && wait < 6000, "... nor of what breaks off: %d ms",
	   (int) wait);
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 4);
	server_send(net.server, 3, BYTES("HTTP/1.1 200 OK\r\n"), true);
	wait = wait_begun(&net);
	ok(wait >= 1000 && wait < 1500, "... nor of another request: %d ms",
	   (int) wait);
	net_close(&net);
}

/* ----------
 * The session paused
 * ----------
 */

static void
test_pause(void)
{
	Net			net;

	open_retrying(&net);
	for (int i = 0; i < 3; i++)
		(void) net_submit(&net, i, "{}");
	(void) net_await_requests(&net, 3);
	answer_raw(&net, 0, HEAD("429", "Retry-After: 10\r\n" EMPTY));
	settle(&net);
	(void) net_submit(&net, 3, "{}");
	settle(&net);
	is_int(server_requests(net.server), 3, "after a 429 no request leaves");
	is_int(net.owners[3].nbegun, 0, "... or begins");
	server_answer(net.server, 1, 200, "{}");
	ok(net_await_done(&net, 1) && net.owners[1].ok,
	   "... but those in flight go on");
	answer_raw(&net, 2, HEAD("503", EMPTY));
	pass(&net, 5000);
	is_int(server_requests(net.server), 3,
		   "... and a retry of another waits as well");
	pass(&net, 5000 - SLACK_MS);
	is_int(server_requests(net.server), 3, "... all of them");
	pass(&net, 2 * SLACK_MS);
	is_int(server_requests(net.server), 6, "... till its end");
	for (int i = 3; i < 6; i++)
		server_answer(net.server, i, 200, "{}");
	ok(net_await_done(&net, 0) && net.owners[0].ok &&
	   net_await_done(&net, 2) && net.owners[2].ok &&
	   net_await_done(&net, 3) && net.owners[3].ok, "then all are well");
	ok(net_exchange(&net, 4), "... and the pause is over");
	net_close(&net);
}

/* The longer of two pauses counts, whichever came first. */
static void
test_two_pauses(bool longer_first)
{
	Net			net;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	answer_raw(&net, longer_first, HEAD("429", "Retry-After: 3\r\n" EMPTY));
	answer_raw(&net, !longer_first, HEAD("429", "Retry-After: 9\r\n" EMPTY));
	settle(&net);
	pass(&net, 8500);
	is_int(server_requests(net.server), 2, "of two pauses the longer counts");
	pass(&net, 1000);
	is_int(server_requests(net.server), 4, "... for both");
	net_close(&net);
}

/* Who is paused by another's 429 has as much time as ever. */
static void
test_pause_is_free(void)
{
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	net.config.retry_timeout_ms = 4500;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("429", "Retry-After: 4\r\n" EMPTY));
	settle(&net);
	(void) net_submit(&net, 1, "b");
	pass(&net, 4000 + SLACK_MS);
	is_int(server_requests(net.server), 2 + 1, "two wait for the same pause");
	(void) wait_begun(&net);
	for (int i = 1; i < 3 && i < server_requests(net.server); i++)
	{
		if (strcmp(server_request(net.server, i)->body, "b") == 0)
			answer_raw(&net, i, HEAD("503", EMPTY));
	}
	wait = wait_begun(&net);
	ok(wait >= 1000 && wait < 1500 && net.owners[1].ndone == 0,
	   "... which is not charged to the other one");
	net_close(&net);
}

/* A backoff is not the session's, and takes no place of another. */
static void
test_others_go_on(void)
{
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	net.config.max_concurrency = 1;
	(void) net_submit(&net, 0, "{}");
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("503", "Retry-After: 30\r\n" EMPTY));
	wait = wait_begun(&net);
	is_int(server_requests(net.server), 2,
		   "a delayed request holds up none that was queued");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_REQUEST,
		   "... whose phase counts");
	server_answer(net.server, 1, 200, "{}");
	ok(net_await_done(&net, 1) && net.owners[1].ok, "... which is well");
	ok(net_exchange(&net, 2), "... and none that comes later");
	pass(&net, wait);
	is_int(server_requests(net.server), 4, "then it is made again");
	net_close(&net);
}

/* Those whose time has come are made again in the order they failed in. */
static void
test_order(void)
{
	Net			net;

	open_retrying(&net);
	net.config.max_concurrency = 2;
	(void) net_submit(&net, 0, "{}");
	keep_log(true);
	(void) net_await_requests(&net, 1);
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	answer_raw(&net, 0, HEAD("503", "Retry-After: 5\r\n" EMPTY));
	await_attempts(&net, 1);
	answer_raw(&net, 1, HEAD("503", "Retry-After: 5\r\n" EMPTY));
	await_attempts(&net, 1);
	(void) net_submit(&net, 2, "{}");
	(void) net_submit(&net, 3, "{}");
	(void) net_submit(&net, 4, "{}");
	(void) net_await_requests(&net, 4);
	pass(&net, 5200);
	is_int(server_requests(net.server), 4, "where no place is free all wait");
	server_answer(net.server, 2, 200, "{}");
	(void) net_await_requests(&net, 5);
	ok(net.owners[0].nbegun + net.owners[1].nbegun == 3 &&
	   net.owners[4].nbegun == 0, "what was delayed comes before what is new");
	ok(net.owners[0].nbegun == 2 && net.owners[1].nbegun == 1,
	   "... and first what failed first");
	net_close(&net);
}

/* ----------
 * max_requests_per_minute
 * ----------
 */

static void
test_pace(int rate, int64_t interval_ms)
{
	int64_t		start = faults_now_ms();
	Net			net;

	open_retrying(&net);
	net.config.max_requests_per_minute = rate;
	for (int i = 0; i < 4; i++)
		(void) net_submit(&net, i, "{}");
	settle(&net);
	is_int(server_requests(net.server), 1, "at %d a minute one leaves at once",
		   rate);
	is_int(net.owners[1].nbegun, 0, "... and no other begins");
	comes_at(&net, 2, start + interval_ms, "... the second");
	comes_at(&net, 3, start + 2 * interval_ms, "... the third");
	comes_at(&net, 4, start + 3 * interval_ms, "... the last");
	for (int i = 0; i < 4; i++)
		server_answer(net.server, i, 200, "{}");
	settle(&net);
	pass(&net, 10 * interval_ms);
	for (int i = 4; i < 7; i++)
		(void) net_submit(&net, i, "{}");
	settle(&net);
	is_int(server_requests(net.server), 5, "... and no time is saved up");
	velt_transfer_cancel(net.owners[5].transfer);
	pass(&net, interval_ms + SLACK_MS);
	is_int(server_requests(net.server), 6,
		   "... nor taken by what was cancelled");
	is_int(net.owners[6].nbegun, 1, "... but by the next");
	net_close(&net);
}

static void
test_pace_of_retries(void)
{
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	net.config.max_requests_per_minute = 6;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("503", EMPTY));
	wait = wait_begun(&net);
	pass(&net, wait + SLACK_MS);
	is_int(server_requests(net.server), 1, "a retry keeps to the pace");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_BACKOFF,
		   "... and waits for it");
	pass(&net, 10000 - wait);
	is_int(server_requests(net.server), 2, "... and then leaves");
	net_close(&net);
}

static void
test_fast_pace(void)
{
	Net			net;
	int			nok = 0;

	net_open(&net);
	net.config.max_requests_per_minute = 60000;
	for (int i = 0; i < 5; i++)
		nok += net_exchange(&net, i);
	is_int(nok, 5, "a pace that is none holds up nothing");
	net_close(&net);
}

/*
 * The pace and the pause are the server's time, which passes whether anybody
 * waits or not.
 */
static void
test_pace_while_idle(void)
{
	Net			net;

	open_retrying(&net);
	net.config.max_requests_per_minute = 1;
	(void) net_exchange(&net, 0);
	loop_idle(60000);
	(void) net_submit(&net, 1, "{}");
	settle(&net);
	is_int(server_requests(net.server), 2,
		   "a minute without a statement counts for the pace");
	net_close(&net);
}

static void
test_pause_while_idle(void)
{
	Net			net;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("429", "Retry-After: 60\r\n" EMPTY));
	settle(&net);
	velt_transfer_cancel(net.owners[0].transfer);
	(void) net_submit(&net, 1, "{}");
	settle(&net);
	is_int(server_requests(net.server), 1,
		   "a pause does not end with the request that began it");
	velt_transfer_cancel(net.owners[1].transfer);
	loop_idle(60000);
	(void) net_submit(&net, 2, "{}");
	settle(&net);
	is_int(server_requests(net.server), 2,
		   "... but in its time, also if nobody waits");
	net_close(&net);
}

/* ----------
 * While nobody drives
 * ----------
 */

static void
test_idle_before_sending(void)
{
	Net			net;

	net_open(&net);
	net.config.connect_timeout_ms = SHORT_MS;
	net.config.request_timeout_ms = SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	loop_idle(600000);
	(void) net_await_requests(&net, 1);
	loop_idle(600000);
	settle(&net);
	is_int(net.owners[0].ndone, 0, "hours without a drive are no timeout");
	server_send(net.server, 0, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
				40, false);
	settle(&net);
	loop_idle(600000);
	server_send(net.server, 0, "}", 1, false);
	ok(net_await_done(&net, 0) && net.owners[0].ok, "... in any phase");
	is_int(net.owners[0].nbegun, 1, "... of the first attempt");
	net_close(&net);
}

/* What is driven counts, over all interruptions. */
static void
test_time_adds_up(void)
{
	Net			net;

	net_open(&net);
	net.config.request_timeout_ms = 10000;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	for (int i = 0; i < 9; i++)
	{
		loop_idle(50000);
		loop_doze(1000);
	}
	settle(&net);
	is_int(net.owners[0].ndone, 0, "nine of ten seconds are not the end");
	loop_doze(1000);
	settle(&net);
	is_int(net.owners[0].ndone, 1, "... ten are");
	is_int(net.owners[0].error.kind, VELT_ERROR_UNAVAILABLE, "... a timeout");
	net_close(&net);
}

static void
test_idle_is_no_backoff(void)
{
	Net			net;
	int64_t		wait;

	open_retrying(&net);
	net.config.retry_timeout_ms = 5000;
	(void) net_submit(&net, 0, "{}");
	for (int i = 0; i < 2; i++)
	{
		(void) net_await_requests(&net, i + 1);
		loop_idle(600000);
		answer_raw(&net, i, HEAD("503", EMPTY));
		wait = wait_begun(&net);
		loop_idle(600000);
		pass(&net, wait);
	}
	ok(net_await_requests(&net, 3),
	   "what nobody drove is not charged to a request");
	is_int(net.owners[0].ndone, 0, "... which goes on");
	net_close(&net);
}

typedef enum Away
{
	IDLE,						/* nobody waits */
	OVERSLEPT					/* who waits looks far too late */
} Away;

static void
be_away(Away away, int64_t ms)
{
	if (away == IDLE)
		loop_idle(ms);
	else
		loop_doze(ms);
}

static const AttemptCase death_cases[] = {
	{"a reset", "", RESETS, 0, VELT_ERROR_NONE, 2},
	{"a connection closed without a byte", "", CLOSES, 0, VELT_ERROR_NONE, 2},
	{
		"half a body", HEAD("200", "Content-Length: 9\r\n") "[[[", CLOSES, 0,
		VELT_ERROR_NONE, 2
	},
	{
		"headers that break off", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
		CLOSES, 0, VELT_ERROR_NONE, 2
	},
	{"a status line", "HTTP/1.1 200 OK\r\n", CLOSES, 0, VELT_ERROR_NONE, 2},
	{"only 100 Continue", HEAD("100", ""), CLOSES, 0, VELT_ERROR_NONE, 2},
	{
		"a response", HEAD("200", "Content-Length: 2\r\n") "{}", CLOSES, 0,
		VELT_ERROR_NONE, 1
	},
	{"HTTP 503", HEAD("503", EMPTY), ANSWERS, 0, VELT_ERROR_UNAVAILABLE, 1},
	{"HTTP 429", HEAD("429", EMPTY), ANSWERS, 0, VELT_ERROR_EXHAUSTED, 1},
	{
		"HTTP 429 with a text that nobody wants",
		HEAD("429", "Content-Length: 6\r\n") "<html>", ANSWERS, 1,
		VELT_ERROR_EXHAUSTED, 1
	},
	{"HTTP 404", HEAD("404", EMPTY), ANSWERS, 0, VELT_ERROR_PROTOCOL, 1},
	{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", CLOSES, 0, VELT_ERROR_NO_ENVELOPE, 1},
};

/* Never charged, so that not even retry_timeout 0 ends it. */
static void
test_death(const AttemptCase *c, Away away)
{
	Owner	   *owner;
	Net			net;

	net_open(&net);
	net.config.request_timeout_ms = 1000;
	owner = &net.owners[0];
	owner->refuse_at = c->refuse_at;
	ok(net_submit(&net, 0, "{}") && net_await_requests(&net, 1),
	   "%s while nobody %s:", c->name, away == IDLE ? "waits" : "looks");
	server_send(net.server, 0, c->bytes, strlen(c->bytes), c->end == CLOSES);
	if (c->end == RESETS)
		server_reset(net.server, 0);
	be_away(away, LONG_MS);
	settle(&net);
	is_int(server_requests(net.server), c->nattempts, "... is %s",
		   c->nattempts > 1 ? "begun anew" : "taken");
	if (c->nattempts > 1 && server_requests(net.server) > 1)
	{
		is_int(velt_transport_stats(net.transport).retries, 0,
			   "... which is no retry");
		owner->refuse_at = 0;
		server_answer(net.server, 1, 200, "{}");
		settle(&net);
	}
	is_int(owner->ndone, 1, "... and ends");
	is_int(owner->ok ? VELT_ERROR_NONE : owner->error.kind, c->kind,
		   "... as it should: %s", owner->ok ? "well" : owner->error.detail);
	net_close(&net);
}

/* More than one read takes, then its end: also that came meanwhile. */
static void
test_death_behind_much(void)
{
	size_t		size = 300 * 1024;
	char	   *body = malloc(size + 1);
	Net			net;

	memset(body, '[', size);
	body[size] = '\0';
	net_open(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("200", "Content-Length: 400000\r\n"));
	server_send(net.server, 0, body, size, true);
	for (int i = 0; i < 20; i++)
		server_work(net.server);
	loop_idle(LONG_MS);
	settle(&net);
	is_int(server_requests(net.server), 2,
		   "a long response that broke off while nobody waits is begun anew");
	free(body);
	net_close(&net);
}

/* Over a connection that was used before curl itself asks again. */
static void
test_death_of_old_connection(void)
{
	Net			net;

	net_open(&net);
	(void) net_exchange(&net, 0);
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	server_reset(net.server, 1);
	loop_idle(LONG_MS);
	settle(&net);
	is_int(server_requests(net.server), 3,
		   "an old connection lost while nobody waits: begun anew");
	if (server_requests(net.server) > 2)
		server_answer(net.server, 2, 200, "{}");
	settle(&net);
	ok(net.owners[1].ok, "... and well: %s", net.owners[1].error.detail);
	is_int(velt_transport_stats(net.transport).retries, 0,
		   "... and no retry");
	net_close(&net);
}

static void
test_old_connection(int retry_timeout_ms)
{
	bool		again = retry_timeout_ms > 0;
	Net			net;

	open_retrying(&net);
	net.config.retry_timeout_ms = retry_timeout_ms;
	(void) net_exchange(&net, 0);
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	server_reset(net.server, 1);
	is_int(wait_begun(&net), 0, "an old connection lost is no wait");
	is_int(server_requests(net.server), 2 + again,
		   "... but another request, if any is allowed");
	if (again && server_requests(net.server) > 2)
		server_answer(net.server, 2, 200, "{}");
	settle(&net);
	is_int(net.owners[1].ok, again, "... and well, or not");
	is_int(net.owners[1].nbegun, 1 + again, "... which begins again");
	is_int(velt_transport_stats(net.transport).retries, again,
		   "... and is counted");
	if (!again)
		is_int(net.owners[1].error.kind, VELT_ERROR_UNAVAILABLE,
			   "... or a lost connection: %s", net.owners[1].error.detail);
	net_close(&net);
}

static void
test_charged_deaths(void)
{
	Net			net;

	net_open(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_reset(net.server, 0);
	loop_idle(500);
	settle(&net);
	is_int(net.owners[0].ndone, 1, "half a second away is not long");

	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	loop_idle(LONG_MS);
	settle(&net);
	server_reset(net.server, 1);
	settle(&net);
	is_int(net.owners[1].ndone, 1,
		   "what dies after the first look has died while driven");

	(void) net_submit(&net, 2, "{}");
	(void) net_await_requests(&net, 3);
	server_reset(net.server, 2);
	loop_idle(LONG_MS);
	(void) net_await_requests(&net, 4);
	server_reset(net.server, 3);
	settle(&net);
	is_int(net.owners[2].ndone, 1, "... as has an attempt begun anew");
	is_int(server_requests(net.server), 4, "... once");
	net_close(&net);
}

/* A death while away does not lessen what is left for others. */
static void
test_death_and_retries(void)
{
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	server_reset(net.server, 0);
	loop_idle(LONG_MS);
	(void) net_await_requests(&net, 2);
	is_int(wait_begun(&net), 0, "what is begun anew does not wait");
	answer_raw(&net, 1, HEAD("503", EMPTY));
	wait = wait_begun(&net);
	ok(wait >= 1000 && wait < 1500, "... and counts as the first attempt");
	net_close(&net);
}

/* Who waited for one descriptor of several was kept busy by another. */
static void
test_late_look(void)
{
	Net			net;

	net_open(&net);
	net.config.request_timeout_ms = SHORT_MS;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	loop_doze(LONG_MS);
	is_int(net.owners[0].ndone, 0, "who looks too late");
	server_answer(net.server, 0, 200, "{}");
	settle(&net);
	ok(net.owners[0].ok, "... takes what comes then");
	ok(net_exchange(&net, 1), "... and goes on");
	velt_network_enter(loop_network());
	velt_network_enter(loop_network());
	velt_network_leave(loop_network());
	velt_network_leave(loop_network());
	ok(net_exchange(&net, 2), "to enter or leave twice is to do it once");
	net_close(&net);
}

/* The clock may be set back in leaving; nothing takes less than no time. */
static void
test_late_look_and_new(void)
{
	VeltAttempt attempt;
	bool		good = true;
	int			n = 0;
	Net			net;

	net_open(&net);
	net.config.request_timeout_ms = SHORT_MS;
	net.transport = loop_transport(&net.config);
	keep_log(true);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	velt_network_enter(loop_network());
	faults_pass_time(LONG_MS);
	(void) net_submit(&net, 1, "{}");
	velt_network_leave(loop_network());
	(void) net_await_requests(&net, 2);
	server_answer(net.server, 1, 200, "{}");
	settle(&net);
	pass(&net, 1000);
	while (take_log(&attempt))
	{
		n++;
		good = good && attempt.duration_ms >= 0;
	}
	ok(good && n == 2, "no attempt takes less than no time");
	ok(net.owners[1].ok, "... and what is new has all of its time");
	net_close(&net);
}

/* ----------
 * Connecting
 * ----------
 */

/* Lets a request fail as often as it will; how many attempts that took. */
static int
attempts_to_failure(Net *net)
{
	(void) net_submit(net, 0, "{}");
	for (int i = 0; i < 100 && net->owners[0].ndone == 0; i++)
	{
		settle(net);
		loop_doze(500);
	}
	return velt_transport_stats(net->transport).requests;
}

static void
test_connect_attempts(void)
{
	int64_t		start = faults_now_ms();
	Net			net;

	open_retrying(&net);
	server_close_port(net.server);
	is_int(attempts_to_failure(&net), 3, "a connection is tried three times");
	ok(faults_now_ms() - start >= 3000, "... with waits between");
	is_int(net.owners[0].error.kind, VELT_ERROR_CONNECT, "... and not made");
	is_int(velt_transport_stats(net.transport).retries, 2,
		   "... which are two retries");
	net_close(&net);

	open_retrying(&net);
	net.config.base_url = server_url(net.server, "https");
	net.config.loopback_only = false;
	net.config.connect_timeout_ms = SHORT_MS;
	is_int(attempts_to_failure(&net), 3, "so often also if it takes too long");
	is_str(net.owners[0].error.detail,
		   "The TLS handshake did not finish within 200 ms.",
		   "... in its own words");
	net_close(&net);
}

/* A name longer than any can be: no server needs to be asked for it. */
static void
test_lookup_attempts(void)
{
	char		url[100];
	Net			net;

	open_retrying(&net);
	snprintf(url, sizeof(url), "https://%070d.invalid", 0);
	net.config.base_url = url;
	net.config.loopback_only = false;
	is_int(attempts_to_failure(&net), 3, "a name is looked up three times");
	is_int(net.owners[0].error.kind, VELT_ERROR_CONNECT, "... and not found");
	net_close(&net);
}

static void
test_certificate_attempts(void)
{
	Net			net;

	open_retrying(&net);
	net.config.base_url = server_url(net.server, "https");
	net.config.loopback_only = false;
	net.config.ca_file = "/nonexistent/ca";
	is_int(attempts_to_failure(&net), 1, "a CA file is looked for once");
	is_int(net.owners[0].error.kind, VELT_ERROR_CERTIFICATE,
		   "... and not found");
	is_int(wait_begun(&net), 0, "... without a wait");
	net_close(&net);
}

/* A proxy's answers to CONNECT; its connections end with them. */
typedef struct ProxyCase
{
	const char *name;
	const char *bytes;
	int			nattempts;
} ProxyCase;

static const ProxyCase proxy_cases[] = {
	{"HTTP 407", HEAD("407", "Proxy-Authenticate: Basic realm=x\r\n" EMPTY), 1},
	{"HTTP 407 that breaks off", "HTTP/1.1 407 Whatever\r\n", 1},
	{"HTTP 302", HEAD("302", "Location: /\r\n" EMPTY), 1},
	{"HTTP 400", HEAD("400", EMPTY), 1},
	{"HTTP 401", HEAD("401", EMPTY), 1},
	{"HTTP 403", HEAD("403", EMPTY), 1},
	{"HTTP 404", HEAD("404", EMPTY), 1},
	{"HTTP 405", HEAD("405", EMPTY), 1},
	{"HTTP 501", HEAD("501", EMPTY), 1},
	{"HTTP 408", HEAD("408", EMPTY), 3},
	{"HTTP 429", HEAD("429", EMPTY), 3},
	{"HTTP 500", HEAD("500", EMPTY), 3},
	{"HTTP 502", HEAD("502", EMPTY), 3},
	{"HTTP 503", HEAD("503", EMPTY), 3},
	{"HTTP 504", HEAD("504", EMPTY), 3},
	{"not a byte", "", 3},
	{"half a status line", "HTTP/1.1 40", 3},
	{"HTTP 200 and then no TLS", HEAD("200", ""), 3},
};

static void
refuse_to_connect(Server *server, int request, void *data)
{
	const ProxyCase *c = data;

	server_send(server, request, c->bytes, strlen(c->bytes), true);
}

static void
test_proxy_attempts(const ProxyCase *c)
{
	char		proxy[100];
	Net			net;

	open_retrying(&net);
	snprintf(proxy, sizeof(proxy), "%s", server_url(net.server, "http"));
	net.config.proxy = proxy;
	net.config.base_url = "https://api.invalid";
	net.config.loopback_only = false;
	server_handle(net.server, refuse_to_connect, (void *) c);
	is_int(attempts_to_failure(&net), c->nattempts,
		   "attempts where a proxy replies %s", c->name);
	is_int(server_requests(net.server), c->nattempts, "... as it sees them");
	ok(velt_error_in_connecting(net.owners[0].error.kind),
	   "... and no connection is made: %s", net.owners[0].error.detail);
	net_close(&net);
}

static void
test_connection_comes_back(void)
{
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	server_close_port(net.server);
	(void) net_submit(&net, 0, "{}");
	wait = wait_begun(&net);
	ok(wait >= 1000 && wait < 1500, "a server that is not there");
	server_reopen_port(net.server);
	pass(&net, wait + SLACK_MS);
	is_int(server_requests(net.server), 1, "... and then is");
	server_answer(net.server, 0, 200, "{}");
	ok(net_await_done(&net, 0) && net.owners[0].ok, "... is well");
	net_close(&net);
}

/* ----------
 * Cancelling
 * ----------
 */

static void
test_cancel_delayed(void)
{
	Net			net;
	int64_t		wait;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("503", EMPTY));
	wait = wait_begun(&net);
	velt_transfer_cancel(net.owners[0].transfer);
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE,
		   "what is cancelled in its backoff is gone");
	pass(&net, wait + 1000);
	is_int(server_requests(net.server), 1, "... and not made again");
	is_int(net.owners[0].ndone, 0, "... nor heard of");
	ok(net_exchange(&net, 1), "... and the next one is well");
	net_close(&net);
}

/* Back in the queue, its backoff over, and no place for it. */
static void
test_cancel_queued(void)
{
	Net			net;

	open_retrying(&net);
	net.config.max_concurrency = 1;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	answer_raw(&net, 0, HEAD("503", EMPTY));
	settle(&net);
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	pass(&net, 2000);
	is_int(net.owners[0].nbegun, 1, "a backoff ends where there is no place");
	velt_transfer_cancel(net.owners[0].transfer);
	server_answer(net.server, 1, 200, "{}");
	settle(&net);
	is_int(server_requests(net.server), 2, "... and is cancelled there");
	is_int(velt_transport_phase(net.transport), VELT_PHASE_IDLE,
		   "... and nothing goes on");
	net_close(&net);
}

/* Its place is free at once: there may be nobody else to tell the queue. */
static void
test_cancel_makes_room(void)
{
	Net			net;

	open_retrying(&net);
	net.config.max_concurrency = 1;
	(void) net_submit(&net, 0, "{}");
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 1);
	settle(&net);
	velt_transfer_cancel(net.owners[0].transfer);
	settle(&net);
	is_int(server_requests(net.server), 2,
		   "where one is cancelled the next begins");
	net_close(&net);
}

/* ... nor does that turn back the clock of those that go on. */
static void
test_cancel_keeps_time(void)
{
	Net			net;

	open_retrying(&net);
	net.config.retry_timeout_ms = 0;
	net.config.max_concurrency = 2;
	net.config.request_timeout_ms = 10000;
	for (int i = 0; i < 3; i++)
		(void) net_submit(&net, i, "{}");
	(void) net_await_requests(&net, 2);
	loop_idle(LONG_MS);
	loop_doze(5000);
	settle(&net);
	velt_transfer_cancel(net.owners[0].transfer);
	loop_doze(100);
	settle(&net);
	pass(&net, 6000);
	is_int(net.owners[1].ndone, 1,
		   "a request runs out of time, also if another is cancelled");
	net_close(&net);
}

/* The same of a backoff. */
static void
test_cancel_keeps_backoff(void)
{
	int64_t		wait;
	Net			net;

	open_retrying(&net);
	net.config.max_concurrency = 2;
	for (int i = 0; i < 4; i++)
		(void) net_submit(&net, i, "{}");
	(void) net_await_requests(&net, 2);
	loop_idle(LONG_MS);
	answer_raw(&net, 0, HEAD("503", EMPTY));
	wait = wait_begun(&net);
	is_int(server_requests(net.server), 3,
		   "one waits, two run, one is queued");
	velt_transfer_cancel(net.owners[1].transfer);
	loop_doze(100);
	settle(&net);
	velt_transfer_cancel(net.owners[2].transfer);
	pass(&net, wait + SLACK_MS);
	is_int(net.owners[0].nbegun, 2,
		   "a backoff has its end, also if another is cancelled");
	net_close(&net);
}

static void
test_destroy_delayed(void)
{
	Net			net;

	open_retrying(&net);
	net.config.max_concurrency = 2;
	for (int i = 0; i < 5; i++)
		(void) net_submit(&net, i, "{}");
	(void) net_await_requests(&net, 2);
	answer_raw(&net, 0, HEAD("503", EMPTY));
	settle(&net);
	answer_raw(&net, 1, HEAD("429", EMPTY));
	settle(&net);
	keep_log(true);
	velt_transport_destroy(net.transport);
	net.transport = NULL;
	ok(net.owners[0].ndone + net.owners[1].ndone + net.owners[2].ndone == 0,
	   "a transport ends what is delayed without a word");
	net_close(&net);
}

/* ----------
 * What is told
 * ----------
 */

static void
test_notices(void)
{
	VeltNotice	notice;
	Net			net;

	open_retrying(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_submit(&net, 1, "{}");
	(void) net_submit(&net, 2, "{}");
	(void) net_await_requests(&net, 3);
	ok(!velt_network_take_notice(loop_network(), &notice),
	   "there is no notice without a wait");
	answer_raw(&net, 0, HEAD("503", "Retry-After: 5\r\n" EMPTY));
	settle(&net);
	answer_raw(&net, 1, HEAD("502", "Retry-After: 8\r\n" EMPTY));
	settle(&net);
	answer_raw(&net, 2, HEAD("504", "Retry-After: 6\r\n" EMPTY));
	settle(&net);
	ok(velt_network_take_notice(loop_network(), &notice) &&
	   notice.wait_ms == 8000, "the longest of several waits is told");
	is_str(notice.cause.detail, "HTTP 502.", "... with its own cause");
	is_int(notice.cause.http_status, 502, "... and HTTP status");
	ok(!velt_network_take_notice(loop_network(), &notice), "... once");
	pass(&net, 5000 + SLACK_MS);
	answer_raw(&net, 3, HEAD("503", "Retry-After: 4\r\n" EMPTY));
	settle(&net);
	ok(velt_network_take_notice(loop_network(), &notice) &&
	   notice.wait_ms == 4000, "... and a shorter one that comes later");
	net_close(&net);
}

static void
test_log(void)
{
	VeltAttempt attempt;
	Net			net;

	open_retrying(&net);
	(void) net_exchange(&net, 0);
	ok(!take_log(&attempt),
	   "attempts leave no trace unasked");
	keep_log(true);
	(void) net_submit(&net, 1, "{}");
	(void) net_await_requests(&net, 2);
	loop_doze(300);
	answer_raw(&net, 1, HEAD("503", "Content-Length: 4\r\n") "busy");
	pass(&net, wait_begun(&net));
	server_answer(net.server, 2, 200, "{}");
	settle(&net);
	keep_log(true);
	ok(take_log(&attempt), "a failed attempt");
	is_str(attempt.path, "/v2/x", "... has its path");
	ok(attempt.number == 1 && attempt.failed && attempt.http_status == 503 &&
	   attempt.bytes_received == 4, "... its number, status and bytes");
	ok(attempt.duration_ms >= 300 && attempt.duration_ms < 300 + SHORT_MS,
	   "... and duration");
	ok(take_log(&attempt) &&
	   attempt.number == 2 && !attempt.failed && attempt.http_status == 200 &&
	   attempt.bytes_received == 2, "... and the second one its own");
	ok(!take_log(&attempt), "... and no more");
	net_close(&net);
}

static void
test_log_of_the_unreachable(void)
{
	VeltAttempt attempt;
	Net			net;

	net_open(&net);
	server_close_port(net.server);
	net.transport = loop_transport(&net.config);
	keep_log(true);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_done(&net, 0);
	ok(take_log(&attempt) && attempt.failed &&
	   attempt.http_status == 0 && attempt.bytes_received == 0,
	   "an attempt without a response is logged as such");
	net_close(&net);
}

/* More attempts than are kept. */
static void
test_log_length(void)
{
	VeltAttempt attempt;
	int			nkept = 0;
	Net			net;

	net_open(&net);
	server_close_port(net.server);
	net.transport = loop_transport(&net.config);
	keep_log(true);
	for (int i = 0; i < 300; i++)
	{
		net.owners[0].ndone = 0;
		(void) net_submit(&net, 0, "{}");
		(void) net_await_done(&net, 0);
	}
	while (nkept < 1000 && take_log(&attempt))
		nkept++;
	is_int(nkept, 256, "of 300 attempts that nobody asks for 256 are kept");
	net.owners[0].ndone = 0;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_done(&net, 0);
	ok(take_log(&attempt) &&
	   !take_log(&attempt), "... and then all");
	net.owners[0].ndone = 0;
	(void) net_submit(&net, 0, "{}");
	(void) net_await_done(&net, 0);
	keep_log(false);
	keep_log(true);
	ok(!take_log(&attempt),
	   "what nobody asks for any more is forgotten");
	net_close(&net);
}

/* Ends as it begins, and no descriptor tells: has_work does. */
static void
test_has_work(void)
{
	struct pollfd polled = {0, POLLIN, 0};
	VeltError	error;
	Net			net;

	net_open(&net);
	net.config.base_url = server_url(net.server, "https");
	net.config.loopback_only = true;	/* so https is not allowed */
	net.transport = loop_transport(&net.config);
	ok(!velt_network_has_work(loop_network()), "nothing asked, no work");
	(void) net_submit(&net, 0, "{}");
	polled.fd = velt_network_fd(loop_network());
	is_int(net.owners[0].ndone, 0, "what ends at once is not told at once");
	ok(velt_network_has_work(loop_network()) ||
	   poll(&polled, 1, SETTLED_MS) == 1, "... but is work");
	ok(velt_network_drive(loop_network(), &error) && net.owners[0].ndone == 1,
	   "... that the next drive does");
	ok(!velt_network_has_work(loop_network()), "... and then is done");
	net_close(&net);

	net_open(&net);
	(void) net_submit(&net, 0, "{}");
	(void) net_await_requests(&net, 1);
	ok(!velt_network_has_work(loop_network()),
	   "to wait for a response is no work");
	net_close(&net);
}

static void
test_retrying(void)
{
	for (size_t i = 0; i < LENGTH_OF(attempt_cases); i++)
		test_attempt(&attempt_cases[i]);
	test_misdirected(503, 1);
	test_misdirected(421, 2);
	test_never_retry();
	test_giving_up();
	for (size_t i = 0; i < LENGTH_OF(wish_cases); i++)
		test_wish(&wish_cases[i]);
	test_date();
	test_wish_is_forgotten();
	test_connect_attempts();
	test_lookup_attempts();
	test_certificate_attempts();
	for (size_t i = 0; i < LENGTH_OF(proxy_cases); i++)
		test_proxy_attempts(&proxy_cases[i]);
	test_connection_comes_back();
}

static void
test_waiting_in_turn(void)
{
	test_pause();
	test_two_pauses(false);
	test_two_pauses(true);
	test_pause_is_free();
	test_others_go_on();
	test_order();
	test_pace(60, 1000);
	test_pace(7, 8572);
	test_pace_of_retries();
	test_fast_pace();
	test_pace_while_idle();
	test_pause_while_idle();
}

static void
test_undriven(void)
{
	test_idle_before_sending();
	test_time_adds_up();
	test_idle_is_no_backoff();
	for (size_t i = 0; i < LENGTH_OF(death_cases); i++)
	{
		test_death(&death_cases[i], IDLE);
		test_death(&death_cases[i], OVERSLEPT);
	}
	test_death_behind_much();
	test_death_of_old_connection();
	test_old_connection(0);
	test_old_connection(RETRY_TIMEOUT_MS);
	test_charged_deaths();
	test_death_and_retries();
	test_late_look();
	test_late_look_and_new();
}

void
test_attempts(void)
{
	test_retrying();
	test_waiting_in_turn();
	test_undriven();
	test_cancel_delayed();
	test_cancel_queued();
	test_cancel_makes_room();
	test_cancel_keeps_time();
	test_cancel_keeps_backoff();
	test_destroy_delayed();
	test_notices();
	test_log();
	test_log_of_the_unreachable();
	test_log_length();
	test_has_work();
}
