/*
 * test/unit/limits_test.c
 *		client/cursor: filters that the API refuses for their size, or for one
 *		of their keys.
 */
#include "client/cursor.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "scan.h"
#include "tap.h"
#include "unit.h"

#define MAX_FILTER	250

/* A scan of keys k0, k1, ... by a filter. */
static void
open_filter(Scan *scan, int nkeys, int keys_per_request)
{
	int			keys[MAX_FILTER];

	for (int i = 0; i < nkeys; i++)
		keys[i] = i;
	scan_open(scan, "api_keys");
	scan->api.nkeys = nkeys;
	scan->limit.configured = keys_per_request;
	scan->limit.current = keys_per_request;
	scan_filter(scan, keys, nkeys);
}

/* Scans the same keys again, in the same session. */
static VeltCursorStatus
run_again(Scan *scan)
{
	velt_cursor_close(scan->cursor);
	scan->nrows = 0;
	scan->rows[0] = '\0';
	scan->cursor = NULL;
	(void) scan_begin(scan);
	return scan_run(scan);
}

/* ----------
 * Sizes
 * ----------
 */

typedef struct CapCase
{
	int			nkeys;
	int			keys_per_request;
	int			cap;			/* the API's; 0: none */
	int			max_concurrency;
	int			nrequests;		/* refused ones included */
	int			limit;			/* that is learned */
	int			nagain;			/* requests of a later scan */
} CapCase;

static const CapCase cap_cases[] = {
	{250, 100, 0, 8, 3, 100, 3},
	{250, 30, 0, 8, 9, 30, 9},
	{250, 30, 30, 8, 9, 30, 9},
	{31, 30, 30, 1, 2, 30, 2},
	{3, 1, 1, 8, 3, 1, 3},
	/* 30 and 15 are refused */
	{30, 30, 10, 1, 6, 8, 4},
	{30, 30, 10, 8, 6, 8, 4},
	/* ... of eight requests in flight all, and then one of 15 */
	{250, 30, 10, 8, 43, 8, 32},
	/* those that wait to be sent are made smaller at once */
	{250, 30, 10, 1, 34, 8, 32},
	{30, 30, 29, 8, 3, 15, 2},
	/* 30, 15, 7, 3 and 2 are refused */
	{30, 30, 1, 1, 35, 1, 30},
	{30, 30, 1, 8, 35, 1, 30},
	{60, 30, 1, 8, 66, 1, 60},
	{2, 30, 1, 8, 3, 1, 2},
};

static void
test_cap(const CapCase *c)
{
	Scan		scan;

	open_filter(&scan, c->nkeys, c->keys_per_request);
	scan.api.filter_cap = c->cap;
	scan.spec.max_concurrency = c->max_concurrency;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END,
		   "%d keys, %d a request, where the API takes %d, %d at once",
		   c->nkeys, c->keys_per_request, c->cap, c->max_concurrency);
	is_int(scan.nrows, c->nkeys, "... are all rows, each once");
	is_int(server_requests(scan.server), c->nrequests, "... in as many requests");
	is_int(scan.stats.requests, c->nrequests, "... all of which count");
	is_int(scan.stats.in_flight, 0, "... with none left");
	is_int(scan.limit.current, c->limit, "... and a size that is known now");
	is_int(run_again(&scan), VELT_CURSOR_END, "... by a later scan");
	is_int(scan.nrows, c->nkeys, "... which has all rows");
	is_int(server_requests(scan.server), c->nrequests + c->nagain,
		   "... and no request refused");
	scan_close(&scan);
}

/* Refused requests count against max_requests. */
static void
test_budget(int max_requests, VeltCursorStatus status)
{
	Scan		scan;

	open_filter(&scan, 30, 30);
	scan.api.filter_cap = 10;
	scan.spec.max_requests = max_requests;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), status, "30 keys of a cap of 10, in %d requests",
		   max_requests);
	is_int(server_requests(scan.server), max_requests,
		   "... all of which are made");
	if (status == VELT_CURSOR_FAILED)
		is_int(scan.error.kind, VELT_ERROR_MAX_REQUESTS, "... and no more");
	scan_close(&scan);
}

/* A caller that wants few rows ends the scan before all keys are asked for. */
static void
test_limit(void)
{
	Scan		scan;
	VeltPage   *page;

	open_filter(&scan, 30, 30);
	scan.api.filter_cap = 10;
	scan.spec.limit = 5;
	(void) scan_begin(&scan);
	is_int(scan_next(&scan, &page), VELT_CURSOR_PAGE,
		   "5 rows of 30 keys, of a cap of 10");
	(void) scan_note(&scan, page);
	scan_settle(&scan);
	is_int(scan.nrows, 7, "... come with the first filter that is taken");
	/* that one makes room for as many as could be needed */
	is_int(server_requests(scan.server), 6, "... after two that are not");
	is_int(scan_run(&scan), VELT_CURSOR_END, "... and the others are there");
	is_int(scan.nrows, 30, "... for a caller that goes on");
	scan_close(&scan);
}

/* Keys that are borrowed, and done with when all parts of them are. */
static void
test_added(int cap)
{
	static char names[30][8];
	VeltString	keys[30];
	Scan		scan;
	VeltPage   *page;
	int			ndone = 0;
	bool		tagged = true;

	for (int i = 0; i < 30; i++)
		keys[i] = velt_string(names[i], sprintf(names[i], "k%d", i));
	open_filter(&scan, 29, 30);
	scan.spec.nkeys = 0;
	scan.spec.every_key = true;
	scan.api.leaves_out = cap != 1;
	scan.api.filter_cap = cap;
	(void) scan_begin(&scan);
	is_int(velt_cursor_max_keys(scan.cursor), 30, "30 keys are one request");
	ok(velt_cursor_add_keys(scan.cursor, keys, 30, names, &scan.error),
	   "... that is added, of a cap of %d", cap);
	while (scan_next(&scan, &page) == VELT_CURSOR_PAGE)
	{
		tagged = tagged && velt_cursor_tag(scan.cursor) == names;
		ndone += (int) velt_cursor_keys_done(scan.cursor);
		if (page != NULL)
			(void) scan_note(&scan, page);
	}
	ok(tagged, "... all pages are for the one who added it");
	is_int(ndone, 30, "... and all keys are done with");
	is_int(scan.nrows, 29, "... with the rows of those that exist");
	is_int(velt_cursor_max_keys(scan.cursor), cap < 30 ? (cap + 1) / 2 + cap / 3 : 30,
		   "... and the next request has fewer keys");
	scan_close(&scan);
}

/* ----------
 * Other reasons
 * ----------
 */

/* A refused key must not make later filters smaller. */
static void
test_refused_key(int nkeys, int max_concurrency)
{
	Scan		scan;

	open_filter(&scan, nkeys, 30);
	scan.api.refused = "\"k7\"";
	scan.spec.max_concurrency = max_concurrency;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED,
		   "one of %d keys is refused, %d at once", nkeys, max_concurrency);
	is_int(scan.error.kind, VELT_ERROR_INVALID_ARGUMENT, "... for that");
	is_str(scan.error.detail,
		   "The API replied INVALID_ARGUMENT (HTTP 400): m. The request was for the key \"k7\".",
		   "... and is named");
	is_int(scan.limit.current, 30, "... and no size is learned from it");
	scan.api.refused = NULL;
	is_int(run_again(&scan), VELT_CURSOR_END, "... so a scan without it");
	is_int(scan.nrows, nkeys, "... has all rows");
	scan_close(&scan);
}

/* A size that was answered once is not too large later. */
static void
test_known_size(void)
{
	Scan		scan;

	open_filter(&scan, 30, 30);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "a filter that was answered");
	scan.api.refused = "\"k29\"";
	is_int(run_again(&scan), VELT_CURSOR_FAILED, "... is refused for a key");
	is_int(scan.limit.current, 30, "... and stays as large");
	/* the first half and the second, which is asked in halves, and so on */
	is_int(server_requests(scan.server), 1 + 11, "... after a few requests");
	scan_close(&scan);
}

typedef struct ReplyCase
{
	const char *name;
	const char *resource;
	int			nkeys;			/* 0: no filter */
	int			status;
	const char *reply;
	VeltErrorKind kind;
	int			nrequests;
	const char *detail;			/* NULL: not looked at */
} ReplyCase;

#define FAILURE(status) "{\"error\":{\"status\":\"" status "\",\"message\":\"m\"}}"

static const ReplyCase reply_cases[] = {
	{
		"another refusal", "api_keys", 3, 400, FAILURE("FAILED_PRECONDITION"),
		VELT_ERROR_INVALID_REQUEST, 1,
		"The API replied FAILED_PRECONDITION (HTTP 400): m"
	},
	{
		"HTTP 400 from elsewhere", "api_keys", 3, 400, "<html>",
		VELT_ERROR_INVALID_REQUEST, 1, NULL
	},
	{
		"a refusal without a filter", "api_keys", 0, 400,
		FAILURE("INVALID_ARGUMENT"), VELT_ERROR_INVALID_ARGUMENT, 1,
		"The API replied INVALID_ARGUMENT (HTTP 400): m"
	},
	{
		"a refusal for all keys", "api_keys", 2, 400,
		FAILURE("INVALID_ARGUMENT"), VELT_ERROR_INVALID_ARGUMENT, 2, NULL
	},
	{
		"a refused key of tokens", "auth_tokens", 1, 400,
		FAILURE("INVALID_ARGUMENT"), VELT_ERROR_INVALID_ARGUMENT, 1,
		"The API replied INVALID_ARGUMENT (HTTP 400): m. The request was for the key \"k0\"."
	},
	{
		"HTTP 413 for keys", "api_keys", 2, 413, "<html>",
		VELT_ERROR_REQUEST_SIZE, 2,
		"The server replied HTTP 413 and no error of the API. The request was for the key \"k0\"."
	},
	{
		"HTTP 413 for all", "api_keys", 0, 413, "<html>",
		VELT_ERROR_REQUEST_SIZE, 1,
		"The server replied HTTP 413 and no error of the API."
	},
};

static const ReplyCase *replying;

static void
reply(Server *server, int request, void *data)
{
	(void) data;
	server_answer(server, request, replying->status, replying->reply);
}

static void
test_reply(const ReplyCase *c)
{
	Scan		scan;

	open_filter(&scan, c->nkeys, 30);
	scan.spec.resource = velt_resource_find(c->resource);
	scan.spec.filtered = c->nkeys > 0;
	scan.spec.max_concurrency = 1;
	replying = c;
	server_handle(scan.server, reply, NULL);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "%s fails", c->name);
	is_int(scan.error.kind, c->kind, "... as such");
	is_int(server_requests(scan.server), c->nrequests,
		   "... after as many requests");
	if (c->detail != NULL)
		is_str(scan.error.detail, c->detail, "... and says so");
	is_int(scan.limit.current, 30, "... and nothing is learned");
	scan_close(&scan);
}

/* Half of a filter is short enough for what replied HTTP 413. */
static void
refuse_long(Server *server, int request, void *data)
{
	if (strlen(server_request(server, request)->body) > 60)
		server_answer(server, request, 413, "");
	else
		scan_answer(data, request);
}

static void
test_too_long(void)
{
	Scan		scan;

	open_filter(&scan, 8, 30);
	server_handle(scan.server, refuse_long, &scan);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "a filter that is too long");
	is_int(server_requests(scan.server), 3, "... is asked for in halves");
	is_int(scan.nrows, 8, "... with all rows");
	scan_close(&scan);
}

/* A key is shown like any text that is not our own. */
static void
test_key_text(const char *bytes, size_t length, const char *shown)
{
	VeltString	key = {bytes, length};
	Scan		scan;

	open_filter(&scan, 1, 30);
	scan.spec.keys = &key;
	scan.api.refused = "\"";
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a key that is refused");
	is_str(strstr(scan.error.detail, "The request"), shown, "... is shown safely");
	scan_close(&scan);
}

/* A refusal on a later page of a filter says nothing of its size. */
static void
test_later_page(void)
{
	Scan		scan;
	VeltPage   *page;

	open_filter(&scan, 2, 30);
	scan.api.holds = true;
	(void) scan_begin(&scan);
	(void) velt_cursor_next_page(scan.cursor, &page, &scan.error);
	scan_settle(&scan);
	server_answer(scan.server, 0, 200,
				  "{\"result\":{\"status\":\"success\",\"data\":[{\"id\":\"k0\"}],\"nextPageToken\":\"t\"}}");
	is_int(scan_next(&scan, &page), VELT_CURSOR_PAGE, "a page of a filter");
	(void) velt_cursor_next_page(scan.cursor, &page, &scan.error);
	scan_settle(&scan);
	server_answer(scan.server, 1, 400, FAILURE("INVALID_ARGUMENT"));
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "... the next one is refused");
	is_int(server_requests(scan.server), 2, "... which is no reason to split it");
	is_int(scan.limit.current, 30, "... nor to ask for fewer keys");
	scan_close(&scan);
}

void
test_limits(void)
{
	for (size_t i = 0; i < LENGTH_OF(cap_cases); i++)
		test_cap(&cap_cases[i]);
	test_budget(5, VELT_CURSOR_FAILED);
	test_budget(6, VELT_CURSOR_END);
	test_limit();
	test_added(30);
	test_added(10);
	test_added(1);
	test_refused_key(30, 1);
	test_refused_key(30, 8);
	test_refused_key(250, 8);
	test_known_size();
	for (size_t i = 0; i < LENGTH_OF(reply_cases); i++)
		test_reply(&reply_cases[i]);
	test_too_long();
	test_key_text("a\n\xff\"" WORKSPACE_ID, 4 + strlen(WORKSPACE_ID),
				  "The request was for the key \"a\\x0a\\xff\"<workspace_id>\".");
	test_later_page();
}
