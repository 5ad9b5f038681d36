/*
 * test/unit/restart_test.c
 *		client/cursor: page tokens that the API no longer accepts.
 */
#include "client/cursor.h"

#include <string.h>

#include "scan.h"
#include "tap.h"
#include "unit.h"

#define FAILURE(status) "{\"error\":{\"status\":\"" status "\",\"message\":\"m\"}}"

/* The numbers of the requests to refuse, up to -1, and the reply. */
static const int *refused;
static int	refusal_status;
static const char *refusal;

static void
refuse_some(Server *server, int request, void *data)
{
	for (const int *number = refused; *number >= 0; number++)
	{
		if (*number == request)
		{
			server_answer(server, request, refusal_status, refusal);
			return;
		}
	}
	scan_answer(data, request);
}

/* Opens a scan of nkeys keys whose requests with these numbers are refused. */
static void
open_refused(Scan *scan, const char *resource, int nkeys, const int *numbers)
{
	scan_open(scan, resource);
	scan->api.nkeys = nkeys;
	refused = numbers;
	refusal_status = 400;
	refusal = FAILURE("INVALID_ARGUMENT");
	server_handle(scan->server, refuse_some, scan);
}

/* ----------
 * Lists
 * ----------
 */

typedef struct ListCase
{
	const char *name;
	int			empty_every;
	int			refused[4];		/* ends with -1 */
	VeltCursorStatus status;
	const char *rows;
	int			nrequests;
} ListCase;

/* Two keys a page, five keys; with empty pages the first page is one. */
static const ListCase list_cases[] = {
	{"nothing is refused", 0, {-1}, VELT_CURSOR_END, "k0 k1 |k2 k3 |k4 |", 3},
	{"the second page is refused", 0, {1, -1}, VELT_CURSOR_FAILED, "k0 k1 |", 2},
	{"the last page is refused", 0, {2, -1}, VELT_CURSOR_FAILED,
	"k0 k1 |k2 k3 |", 3},
	{"... behind an empty one", 2, {1, -1}, VELT_CURSOR_END,
	"k0 k1 |k2 k3 |k4 |", 7},
	{"... twice", 2, {1, 3, -1}, VELT_CURSOR_FAILED, "", 4},
	{"... and later", 2, {1, 4, -1}, VELT_CURSOR_FAILED, "k0 k1 |", 5},
};

static void
test_list(const ListCase *c)
{
	Scan		scan;

	open_refused(&scan, "api_keys", 5, c->refused);
	scan.api.empty_every = c->empty_every;
	scan.spec.page_size = 2;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), c->status, "%s", c->name);
	is_str(scan.rows, c->rows, "... with these rows");
	is_int(server_requests(scan.server), c->nrequests, "... and requests");
	if (c->status == VELT_CURSOR_FAILED)
		is_int(scan.error.kind, VELT_ERROR_PAGE_TOKEN, "... and the reason");
	is_int(scan.stats.in_flight, 0, "... and nothing in flight");
	scan_close(&scan);
}

/* Requests of both rounds count. */
static void
test_budget(int max_requests, VeltCursorStatus status)
{
	static const int second[] = {1, -1};
	Scan		scan;

	open_refused(&scan, "api_keys", 5, second);
	scan.api.empty_every = 2;
	scan.spec.page_size = 2;
	scan.spec.max_requests = max_requests;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), status, "a list that starts again, in %d requests",
		   max_requests);
	is_int(server_requests(scan.server), max_requests, "... all of them made");
	scan_close(&scan);
}

typedef struct ReplyCase
{
	int			status;
	const char *reply;
	VeltErrorKind kind;
} ReplyCase;

static const ReplyCase reply_cases[] = {
	{400, FAILURE("INVALID_ARGUMENT"), VELT_ERROR_PAGE_TOKEN},
	{400, FAILURE("FAILED_PRECONDITION"), VELT_ERROR_PAGE_TOKEN},
	{400, FAILURE("OUT_OF_RANGE"), VELT_ERROR_PAGE_TOKEN},
	{404, FAILURE("NOT_FOUND"), VELT_ERROR_PAGE_TOKEN},
	{200, FAILURE("INVALID_ARGUMENT"), VELT_ERROR_PAGE_TOKEN},
	{400, "", VELT_ERROR_PAGE_TOKEN},
	{410, "", VELT_ERROR_PAGE_TOKEN},
	{401, FAILURE("UNAUTHENTICATED"), VELT_ERROR_UNAUTHENTICATED},
	{403, FAILURE("PERMISSION_DENIED"), VELT_ERROR_PERMISSION_DENIED},
	{500, FAILURE("UNKNOWN"), VELT_ERROR_UNAVAILABLE},
	{200, "{}", VELT_ERROR_PROTOCOL},
};

static void
test_reply(const ReplyCase *c)
{
	static const int second[] = {1, -1};
	Scan		scan;

	open_refused(&scan, "api_keys", 5, second);
	scan.spec.page_size = 2;
	refusal_status = c->status;
	refusal = c->reply;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a second page with HTTP %d %s",
		   c->status, c->reply);
	is_int(scan.error.kind, c->kind, "... fails as it should");
	scan_close(&scan);
}

/* A caller that forgets the pages it was given. */
static void
test_restart(void)
{
	static const int twice[] = {1, 4, -1};
	Scan		scan;
	VeltError	other = {.kind = VELT_ERROR_INVALID_ARGUMENT};

	open_refused(&scan, "api_keys", 5, twice);
	scan.spec.page_size = 2;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a list that is refused");
	ok(!velt_cursor_restart(scan.cursor, &other),
	   "... does not start again for another error");
	ok(velt_cursor_restart(scan.cursor, &scan.error), "... starts again");
	scan.rows[0] = '\0';
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "... fails on its last page");
	is_str(scan.rows, "k0 k1 |k2 k3 |", "... after the pages before");
	ok(!velt_cursor_restart(scan.cursor, &scan.error), "... and stays so");
	is_int(server_requests(scan.server), 5, "... without another request");
	scan_close(&scan);
}

/* ... while other requests are under way, and finished pages wait. */
static void
test_restart_filter(void)
{
	static const int none[] = {-1};
	static const int keys[] = {0, 1, 2, 3, 4};
	VeltError	expired = {.kind = VELT_ERROR_PAGE_TOKEN};
	Scan		scan;
	VeltPage   *page;

	open_refused(&scan, "auth_tokens", 5, none);
	scan_filter(&scan, keys, 5);
	scan.spec.max_concurrency = 3;
	(void) scan_begin(&scan);
	is_int(scan_next(&scan, &page), VELT_CURSOR_PAGE, "a page of tokens");
	ok(velt_cursor_restart(scan.cursor, &expired), "... is forgotten");
	scan_settle(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "... and all keys");
	is_int(scan.nrows, 5, "... are asked for again");
	is_int(scan.stats.in_flight, 0, "... with nothing in flight");
	scan_close(&scan);
}

/* ----------
 * Keys by way of the list of keys
 * ----------
 */

/* Begins a fan-out over two keys a page, with requests held: the list's next. */
static void
begin_fan_out(Scan *scan)
{
	VeltPage   *page;

	scan_open(scan, "auth_tokens");
	scan->api.nkeys = 5;
	scan->api.holds = true;
	scan->spec.page_size = 2;
	(void) scan_begin(scan);
	(void) velt_cursor_next_page(scan->cursor, &page, &scan->error);
	scan_settle(scan);
	scan_answer(scan, 0);
	scan_settle(scan);
	(void) velt_cursor_next_page(scan->cursor, &page, &scan->error);
	scan_settle(scan);
}

/* Refuses the list's second page. */
static void
refuse_second(Scan *scan)
{
	server_answer(scan->server, scan_find(scan, "\"pageToken\":\"p2\""), 400,
				  FAILURE("INVALID_ARGUMENT"));
	scan_settle(scan);
	scan->api.holds = false;
}

static void
test_feeder(void)
{
	Scan		scan;

	begin_fan_out(&scan);
	is_int(server_requests(scan.server), 4,
		   "two keys are listed and asked for, and the next page");
	refuse_second(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "... is refused: listed again");
	is_int(scan.nrows, 5, "... with all rows, each once");
	is_int(scan_count(&scan, KEYS_PATH), 5, "... in three pages more");
	is_int(scan_count(&scan, TOKENS_PATH), 7, "... and requests for all keys");
	is_int(scan.stats.in_flight, 0, "... with nothing in flight");
	scan_close(&scan);
}

static void
test_feeder_ready(void)
{
	Scan		scan;

	begin_fan_out(&scan);
	scan_answer(&scan, scan_find(&scan, "\"apiKey\":\"k0\""));
	scan_settle(&scan);
	refuse_second(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END,
		   "a page that the caller has not seen");
	is_int(scan.nrows, 5, "... does not come twice");
	scan_close(&scan);
}

static void
test_feeder_returned(void)
{
	Scan		scan;
	VeltPage   *page;

	begin_fan_out(&scan);
	scan_answer(&scan, scan_find(&scan, "\"apiKey\":\"k0\""));
	scan_settle(&scan);
	is_int(scan_next(&scan, &page), VELT_CURSOR_PAGE, "tokens of a key");
	refuse_second(&scan);
	scan_answer(&scan, scan_find(&scan, "\"apiKey\":\"k1\""));
	is_int(scan_run(&scan), VELT_CURSOR_FAILED,
		   "... that were returned, before the list is refused");
	is_int(scan.error.kind, VELT_ERROR_PAGE_TOKEN, "... for its page token");
	is_int(scan_count(&scan, KEYS_PATH), 2, "... without listing again");
	scan_close(&scan);
}

void
test_restarts(void)
{
	for (size_t i = 0; i < LENGTH_OF(list_cases); i++)
		test_list(&list_cases[i]);
	test_budget(6, VELT_CURSOR_FAILED);
	test_budget(7, VELT_CURSOR_END);
	for (size_t i = 0; i < LENGTH_OF(reply_cases); i++)
		test_reply(&reply_cases[i]);
	test_restart();
	test_restart_filter();
	test_feeder();
	test_feeder_ready();
	test_feeder_returned();
}
