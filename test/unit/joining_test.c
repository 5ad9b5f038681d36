/*
 * test/unit/joining_test.c
 *		client/cursor: keys that are added while it runs, as a join does.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client/cursor.h"
#include "faults.h"
#include "scan.h"
#include "tap.h"
#include "unit.h"

#define FAILURE(status) "{\"error\":{\"status\":\"" status "\",\"message\":\"m\"}}"
#define NO_TOKENS(key) \
	"{\"result\":{\"status\":\"success\",\"data\":{\"apiKey\":\"" key "\",\"authTokens\":[]}}}"

/* More calls than the scan of test_memory_of makes. */
#define MAX_CALLS	2000

/* A cursor over the tokens of keys k0 to k4, if they are added. */
static void
open_joining(Scan *scan, int max_concurrency)
{
	scan_open(scan, "auth_tokens");
	scan->api.nkeys = 5;
	scan->known = true;
	scan->spec.filtered = true;
	scan->spec.every_key = true;
	scan->spec.max_concurrency = max_concurrency;
}

/* Adds kN, with a tag that tells N. */
static bool
add(Scan *scan, int number)
{
	char		bytes[16];
	VeltString	key = {bytes, sprintf(bytes, "k%d", number)};
	bool		added = velt_cursor_add_keys(scan->cursor, &key, 1,
											 (void *) (intptr_t) (number + 1),
											 &scan->error);

	/* it was copied */
	memset(bytes, '?', sizeof(bytes));
	return added;
}

/* N of the page handed up last; -1 if there is none. */
static int
tag(const Scan *scan)
{
	return (int) (intptr_t) velt_cursor_tag(scan->cursor) - 1;
}

/* One call, which does not wait. */
static VeltCursorStatus
call(Scan *scan)
{
	VeltPage   *page;

	return velt_cursor_next_page(scan->cursor, &page, &scan->error);
}

/* Notes "N:rows|" of all pages that come, "N:none|" of no page. */
static VeltCursorStatus
run(Scan *scan)
{
	VeltPage   *page;
	VeltCursorStatus status;

	while ((status = scan_next(scan, &page)) == VELT_CURSOR_PAGE)
	{
		size_t		used = strlen(scan->rows);

		sprintf(scan->rows + used, "%d:%s", tag(scan), page ? "" : "none|");
		if (page && !scan_note(scan, page))
			return VELT_CURSOR_FAILED;
	}
	return status;
}

/* ----------
 * Keys and their answers
 * ----------
 */

static void
test_adding(void)
{
	Scan		scan;

	open_joining(&scan, 1);
	(void) scan_begin(&scan);
	ok(velt_cursor_is_idle(scan.cursor), "without a key there is nothing to do");
	ok(velt_cursor_wants_key(scan.cursor), "... but use for one");
	is_int(run(&scan), VELT_CURSOR_END, "... and nothing comes");
	is_int(tag(&scan), -1, "... under no tag");
	(void) add(&scan, 2);
	ok(!velt_cursor_is_idle(scan.cursor), "with one there is");
	scan_settle(&scan);
	is_int(server_requests(scan.server), 0, "... for the next call");
	(void) add(&scan, 0);
	is_int(run(&scan), VELT_CURSOR_END, "what was added comes");
	is_str(scan.rows, "2:t2 |0:t0 |", "... in this order, with its tags");
	ok(velt_cursor_is_idle(scan.cursor), "... and that was all");
	(void) add(&scan, 1);
	(void) add(&scan, 2);
	is_int(run(&scan), VELT_CURSOR_END, "the end was none");
	is_str(scan.rows, "2:t2 |0:t0 |1:t1 |2:t2 |",
		   "... a key may even come twice");
	is_int(server_requests(scan.server), 4, "... each is asked for once");
	is_int(scan.stats.in_flight, 0, "... with nothing in flight");
	scan_close(&scan);
}

/* With every_key an answer without rows is one; else nobody sees it. */
static void
test_every_key(bool every_key, const char *rows)
{
	Scan		scan;

	open_joining(&scan, 3);
	scan.spec.every_key = every_key;
	scan.api.holds = true;
	(void) scan_begin(&scan);
	for (int i = 0; i < 3; i++)
		(void) add(&scan, i);
	is_int(call(&scan), VELT_CURSOR_WAIT, "three keys, every_key %d", every_key);
	scan_settle(&scan);
	server_answer(scan.server, 0, 404, FAILURE("NOT_FOUND"));
	scan_settle(&scan);
	server_answer(scan.server, 1, 200, NO_TOKENS("k1"));
	scan_settle(&scan);
	scan_answer(&scan, 2);
	is_int(run(&scan), VELT_CURSOR_END, "... of which two have nothing");
	is_str(scan.rows, rows, "... tell of these or do not");
	is_int(server_requests(scan.server), 3, "... and asked for no more");
	scan_close(&scan);
}

static void
test_bytes(void)
{
	Scan		scan;
	VeltString	key = {"", 0};

	open_joining(&scan, 1);
	scan.api.holds = true;
	(void) scan_begin(&scan);
	key = velt_string("a\"\\\n\0b", 6);
	ok(velt_cursor_add_keys(scan.cursor, &key, 1, NULL, &scan.error),
	   "a key of odd bytes is taken");
	(void) call(&scan);
	scan_settle(&scan);
	is_str(server_request(scan.server, 0)->body,
		   "{\"data\":{\"apiKey\":\"a\\\"\\\\\\n\\u0000b\"}}",
		   "... and asked for as it is");
	scan_close(&scan);
}

/* ----------
 * When there is use for keys, and when there is news
 * ----------
 */

static void
is_state(const Scan *scan, bool wants_key, bool idle, bool news,
		 const char *when)
{
	ok(velt_cursor_wants_key(scan->cursor) == wants_key, "%s: %s for keys",
	   when, wants_key ? "use" : "no use");
	ok(velt_cursor_is_idle(scan->cursor) == idle, "... %s", idle ? "idle" :
	   "at work");
	ok(velt_cursor_has_news(scan->cursor) == news, "... %s", news ? "news" :
	   "no news");
}

static void
test_states(void)
{
	Scan		scan;

	open_joining(&scan, 2);
	scan.api.holds = true;
	(void) scan_begin(&scan);
	is_state(&scan, true, true, true, "at first");
	(void) add(&scan, 0);
	is_state(&scan, true, false, true, "with a key at hand");
	(void) add(&scan, 1);
	is_state(&scan, false, false, true, "with as many as can be asked for");
	(void) call(&scan);
	is_state(&scan, true, false, false, "with these in flight");
	(void) add(&scan, 2);
	(void) add(&scan, 3);
	is_state(&scan, false, false, false, "with two next");
	scan_settle(&scan);
	is_int(server_requests(scan.server), 2, "... which wait");
	scan_answer(&scan, 0);
	scan_settle(&scan);
	is_state(&scan, false, false, true, "with an answer");
	is_int(server_requests(scan.server), 2, "... that is to be taken first");
	is_int(call(&scan), VELT_CURSOR_PAGE, "... and is handed up");
	is_state(&scan, true, false, false, "afterwards");
	scan_settle(&scan);
	is_int(server_requests(scan.server), 3, "... the next one has left");
	scan.api.holds = false;
	for (int i = 1; i < 3; i++)
		scan_answer(&scan, i);
	is_int(run(&scan), VELT_CURSOR_END, "the others come");
	is_state(&scan, true, true, true, "in the end");
	is_int(scan.stats.max_in_flight, 2, "... never more than two at a time");
	scan_close(&scan);
}

/* A page that is with the caller is not waited for. */
static void
test_held(void)
{
	Scan		scan;
	VeltPage   *page;

	open_joining(&scan, 1);
	(void) scan_begin(&scan);
	(void) add(&scan, 4);
	is_int(call(&scan), VELT_CURSOR_WAIT, "a single key");
	scan_settle(&scan);
	is_state(&scan, true, false, true, "answered");
	is_int(scan_next(&scan, &page), VELT_CURSOR_PAGE, "the only page");
	is_state(&scan, true, true, true, "with the caller");
	is_int(tag(&scan), 4, "... has its tag");
	is_int(call(&scan), VELT_CURSOR_END, "... and is followed by the end");
	is_int(tag(&scan), -1, "... which has none");
	scan_close(&scan);
}

/* ----------
 * Failures
 * ----------
 */

static void
test_failure(void)
{
	Scan		scan;

	open_joining(&scan, 3);
	scan.api.holds = true;
	(void) scan_begin(&scan);
	for (int i = 0; i < 5; i++)
		(void) add(&scan, i);
	(void) call(&scan);
	scan_settle(&scan);
	server_answer(scan.server, 1, 400, FAILURE("INVALID_ARGUMENT"));
	scan_settle(&scan);
	is_state(&scan, false, false, false, "after a failure");
	is_int(call(&scan), VELT_CURSOR_WAIT, "... what was asked before is waited for");
	scan_answer(&scan, 0);
	is_int(run(&scan), VELT_CURSOR_FAILED, "... and then it is told");
	is_str(scan.rows, "0:t0 |", "... with the answer that came first");
	is_int(scan.error.kind, VELT_ERROR_INVALID_ARGUMENT, "... for what it is");
	is_state(&scan, false, false, true, "it stays");
	(void) add(&scan, 0);
	is_int(run(&scan), VELT_CURSOR_FAILED, "... also for keys that come later");
	is_int(server_requests(scan.server), 3, "... which are not asked for");
	is_int(scan.stats.in_flight, 0, "... with nothing in flight");
	scan_close(&scan);
}

/* ----------
 * A cursor within another
 * ----------
 */

/* Lists keys, and asks for the tokens of each, under one max_requests. */
static void
test_within(int budget, VeltCursorStatus status)
{
	Scan		keys;
	Scan		tokens;
	VeltPage   *page;

	scan_open(&keys, "api_keys");
	keys.api.nkeys = 3;
	keys.spec.max_requests = budget;
	(void) scan_begin(&keys);
	tokens = keys;
	tokens.cursor = NULL;
	tokens.spec.resource = velt_resource_find("auth_tokens");
	tokens.spec.filtered = true;
	tokens.spec.every_key = true;
	tokens.spec.within = keys.cursor;
	tokens.spec.max_requests = 1;
	(void) scan_begin(&tokens);
	(void) scan_next(&keys, &page);
	for (int i = 0; i < 3; i++)
		(void) add(&tokens, i);
	is_int(run(&tokens), status, "a list and three keys within %d requests",
		   budget);
	is_int(server_requests(keys.server), status == VELT_CURSOR_END ? 4 : budget,
		   "... make no more");
	if (status == VELT_CURSOR_FAILED)
	{
		is_int(tokens.error.kind, VELT_ERROR_MAX_REQUESTS, "... and say so");
		is_int(scan_next(&keys, &page), VELT_CURSOR_END,
			   "... the list has all it wants");
	}
	is_int(keys.stats.requests, server_requests(keys.server),
		   "... counted together");
	velt_cursor_close(tokens.cursor);
	scan_close(&keys);
}

/* ----------
 * Closing, and memory
 * ----------
 */

typedef enum Moment
{
	WAITING,
	IN_FLIGHT,
	READY,
	HELD,
	MOMENTS
} Moment;

/* Keys wait behind those that are so far. */
static void
test_close_at(Moment moment)
{
	Scan		scan;

	open_joining(&scan, 2);
	scan.api.holds = true;
	(void) scan_begin(&scan);
	for (int i = 0; i < 4; i++)
		(void) add(&scan, i);
	if (moment >= IN_FLIGHT)
		(void) call(&scan);
	scan_settle(&scan);
	if (moment >= READY)
		scan_answer(&scan, 0);
	scan_settle(&scan);
	if (moment >= HELD)
		is_int(call(&scan), VELT_CURSOR_PAGE, "a page, and others under way");
	velt_cursor_close(scan.cursor);
	scan.cursor = NULL;
	is_int(scan.stats.in_flight, 0, "closed in state %d", moment);
	is_int(velt_transport_phase(scan.transport), VELT_PHASE_IDLE,
		   "... nothing goes on");
	scan_close(&scan);
}

/* All five keys with the n-th call failing; whether it ends as it may. */
static bool
survives(long calls)
{
	Scan		scan;
	VeltCursorStatus status = VELT_CURSOR_FAILED;
	bool		good;

	open_joining(&scan, 2);
	scan.config.request_timeout_ms = 500;
	scan.config.retry_timeout_ms = 0;
	faults_arm(calls, false);
	good = scan_begin(&scan);
	for (int i = 0; good && i < 5; i++)
		good = add(&scan, i);
	if (good)
		status = run(&scan);
	good = status == VELT_CURSOR_END ? scan.nrows == 5 :
		faults_struck() && scan.error.detail[0] != '\0';
	velt_cursor_close(scan.cursor);
	scan.cursor = NULL;
	if (!good || scan.stats.in_flight != 0)
		diag("%ld calls: status %d, %d rows, %d in flight, error %d: %s",
			 calls, status, scan.nrows, scan.stats.in_flight,
			 scan.error.kind, scan.error.detail);
	good = good && scan.stats.in_flight == 0;
	scan_close(&scan);
	return good;
}

static void
test_memory_of(void)
{
	bool		good = true;
	long		calls = 0;

	do
		good = survives(calls++) && good;
	while (faults_struck() && calls < MAX_CALLS);
	faults_arm(-1, false);
	ok(good, "added keys survive each call failing of %ld", calls - 1);
	ok(calls > 10 && calls < MAX_CALLS, "... till none failed");
}

/* A key that could not be added is none; the next one can. */
static void
test_add_fails(void)
{
	Scan		scan;

	open_joining(&scan, 2);
	(void) scan_begin(&scan);
	faults_arm(0, false);
	ok(!add(&scan, 0), "a key without memory is not taken");
	faults_arm(-1, false);
	is_int(scan.error.kind, VELT_ERROR_OUT_OF_MEMORY, "... for that reason");
	ok(velt_cursor_is_idle(scan.cursor), "... and not kept");
	ok(add(&scan, 1), "... the next one is");
	is_int(run(&scan), VELT_CURSOR_END, "... and asked for");
	is_str(scan.rows, "1:t1 |", "... alone");
	scan_close(&scan);
}

void
test_joining(void)
{
	test_adding();
	test_every_key(true, "0:none|1:none|2:t2 |");
	test_every_key(false, "2:t2 |");
	test_bytes();
	test_states();
	test_held();
	test_failure();
	test_within(0, VELT_CURSOR_END);
	test_within(4, VELT_CURSOR_END);
	test_within(3, VELT_CURSOR_FAILED);
	test_within(1, VELT_CURSOR_FAILED);
	for (Moment moment = WAITING; moment < MOMENTS; moment++)
		test_close_at(moment);
	test_add_fails();
	test_memory_of();
}
