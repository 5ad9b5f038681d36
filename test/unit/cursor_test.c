/*
 * test/unit/cursor_test.c
 *		client/cursor: paging, prefetch, fan-out and its bounds.
 */
#include "client/cursor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"
#include "tap.h"
#include "unit.h"

#define FAILURE(status) "{\"error\":{\"status\":\"" status "\",\"message\":\"m\"}}"

/* One call, which does not wait. */
static VeltCursorStatus
call(Scan *scan, VeltPage **page)
{
	return velt_cursor_next_page(scan->cursor, page, &scan->error);
}

/* What is true of every scan that is over. */
static void
is_over(Scan *scan)
{
	is_int(scan->stats.in_flight, 0, "... with nothing in flight");
	is_int(velt_transport_phase(scan->transport), VELT_PHASE_IDLE,
		   "... and all idle");
}

/* ----------
 * Pages
 * ----------
 */

typedef struct PagingCase
{
	int			nkeys;
	int			page_size;
	int			nrequests;
	const char *rows;			/* NULL: only counted */
} PagingCase;

static const PagingCase paging_cases[] = {
	{0, 100, 1, ""},
	{1, 100, 1, "k0 |"},
	{3, 3, 1, "k0 k1 k2 |"},
	{4, 3, 2, "k0 k1 k2 |k3 |"},
	{7, 2, 4, "k0 k1 |k2 k3 |k4 k5 |k6 |"},
	{5, 1, 5, "k0 |k1 |k2 |k3 |k4 |"},
	{250, 100, 3, NULL},
};

static void
test_paging(const PagingCase *c, int max_concurrency)
{
	Scan		scan;

	scan_open(&scan, "api_keys");
	scan.api.nkeys = c->nkeys;
	scan.spec.page_size = c->page_size;
	scan.spec.max_concurrency = max_concurrency;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "%d keys, %d a page", c->nkeys,
		   c->page_size);
	is_int(scan.nrows, c->nkeys, "... are all rows");
	if (c->rows != NULL)
		is_str(scan.rows, c->rows, "... in order");
	is_int(server_requests(scan.server), c->nrequests, "... of as many pages");
	is_int(scan.stats.requests, c->nrequests, "... which are counted");
	is_int(scan.stats.max_in_flight, 1, "... one at a time");
	is_int(scan.stats.retries, 0, "... once");
	is_int(scan_run(&scan), VELT_CURSOR_END, "... and the end is the end");
	ok(scan.known, "... of a workspace that is known");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_workspace(void)
{
	Scan		scan;

	scan_open(&scan, "workspaces");
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "a scan of one object");
	is_str(scan.rows, "w |", "... gives it");
	is_str(server_request(scan.server, 0)->body, "{\"data\":{}}",
		   "... and asks for nothing more");
	is_over(&scan);
	scan_close(&scan);
}

/* An empty page is not the end, and nobody sees it. */
static void
test_empty_pages(void)
{
	Scan		scan;

	scan_open(&scan, "api_keys");
	scan.api.nkeys = 5;
	scan.api.empty_every = 2;
	scan.spec.page_size = 1;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "a scan with empty pages");
	is_str(scan.rows, "k0 |k1 |k2 |k3 |k4 |", "... has the rows of the others");
	is_int(server_requests(scan.server), 8, "... and asked for all");
	is_over(&scan);
	scan_close(&scan);
}

typedef struct StuckCase
{
	const char *name;
	const char *data;
	bool		new_token;		/* each time */
	VeltErrorKind kind;
	int			nrequests;
} StuckCase;

static const StuckCase stuck_cases[] = {
	{"empty pages without end", "", true, VELT_ERROR_EMPTY_PAGES, 1000},
	{
		"a token that repeats, with rows", "{\"id\":\"a\"}", false,
		VELT_ERROR_PROTOCOL, 2
	},
	{"a token that repeats, without", "", false, VELT_ERROR_PROTOCOL, 2},
};

static const StuckCase *stuck;

static void
answer_stuck(Server *server, int request, void *data)
{
	char		reply[200];

	(void) data;
	snprintf(reply, sizeof(reply),
			 "{\"result\":{\"status\":\"success\",\"data\":[%s],\"nextPageToken\":\"t%d\"}}",
			 stuck->data, stuck->new_token ? request : 0);
	server_answer(server, request, 200, reply);
}

static void
test_stuck(const StuckCase *c)
{
	Scan		scan;

	scan_open(&scan, "api_keys");
	stuck = c;
	server_handle(scan.server, answer_stuck, NULL);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "%s fail", c->name);
	is_int(scan.error.kind, c->kind, "... for that");
	is_int(server_requests(scan.server), c->nrequests,
		   "... after as many requests");
	is_over(&scan);
	scan_close(&scan);
}

/* ----------
 * Prefetch
 * ----------
 */

/* Whether so many requests, and not one more, have left. */
static void
is_sent(Scan *scan, int n, const char *when)
{
	is_int(scan->stats.requests, n, "%s %d requests have begun", when, n);
	ok(loop_serve(scan->server, n), "... and left");
}

static void
test_first_page(Scan *scan)
{
	VeltPage   *page;

	(void) scan_begin(scan);
	is_int(scan->stats.requests, 0, "a cursor that is open asks nothing yet");
	is_int(call(scan, &page), VELT_CURSOR_WAIT, "... the first call does");
	scan_settle(scan);
	is_sent(scan, 1, "then");
	scan_answer(scan, 0);
	scan_settle(scan);
	is_int(scan->stats.requests, 1, "page 1 has come, none is asked for");
	is_int(call(scan, &page), VELT_CURSOR_PAGE, "page 1 is handed up");
	scan_settle(scan);
	is_int(scan->stats.requests, 1, "... and none is asked for");
	(void) scan_note(scan, page);
	scan_settle(scan);
	is_int(server_requests(scan->server), 1, "... while its rows are read");
}

static void
test_prefetch(void)
{
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "api_keys");
	scan.api.nkeys = 9;
	scan.api.holds = true;
	scan.spec.page_size = 2;
	test_first_page(&scan);

	is_int(call(&scan, &page), VELT_CURSOR_WAIT, "page 1 is used up");
	is_sent(&scan, 2, "at once");
	scan_answer(&scan, 1);
	scan_settle(&scan);
	is_int(scan.stats.requests, 2, "page 2 has come, none is asked for");
	is_int(call(&scan, &page), VELT_CURSOR_PAGE, "page 2 is handed up");
	is_sent(&scan, 3, "before it is read");
	scan_answer(&scan, 2);
	scan_settle(&scan);
	is_int(scan.stats.requests, 3, "page 3 has come, none is asked for");
	(void) scan_note(&scan, page);
	is_str(scan.rows, "k0 k1 |k2 k3 |", "... and page 2 still has its rows");
	is_int(call(&scan, &page), VELT_CURSOR_PAGE, "page 3 is handed up");
	is_sent(&scan, 4, "before it is read");
	(void) scan_note(&scan, page);
	is_int(call(&scan, &page), VELT_CURSOR_WAIT, "page 3 is used up");
	is_int(scan.stats.requests, 4, "... and none more is asked for");
	scan.api.holds = false;
	scan_answer(&scan, 3);
	is_int(scan_run(&scan), VELT_CURSOR_END, "the rest comes");
	is_str(scan.rows, "k0 k1 |k2 k3 |k4 k5 |k6 k7 |k8 |", "... in order");
	is_over(&scan);
	scan_close(&scan);
}

/* ----------
 * A limit, which is a hint
 * ----------
 */

static void
test_limit(int64_t limit, int nkeys, const char *body)
{
	Scan		scan;

	scan_open(&scan, "api_keys");
	scan.api.nkeys = nkeys;
	scan.spec.page_size = 50;
	scan.spec.limit = limit;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "a limit of %d", (int) limit);
	is_str(server_request(scan.server, 0)->body, body,
		   "... makes pages smaller");
	is_int(scan.nrows, nkeys, "... and hides no row of who goes on");
	is_over(&scan);
	scan_close(&scan);
}

/* No page ahead of what is wanted, no more keys than rows. */
static void
test_limited_fan_out(void)
{
	static const int keys[] = {0, 1, 2, 3, 4, 5};
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.nkeys = 6;
	scan.spec.limit = 2;
	scan_filter(&scan, keys, 6);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	is_int(scan.stats.requests, 2, "a limit of two asks for two keys");
	(void) scan_next(&scan, &page);
	(void) scan_next(&scan, &page);
	is_int(scan.stats.requests, 2, "... and no more when they are there");
	scan_settle(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "... but for who goes on");
	is_int(scan.nrows, 4, "... who has all");
	is_int(scan.stats.requests, 6, "... key by key");
	is_over(&scan);
	scan_close(&scan);
}

/* ----------
 * Fan-out
 * ----------
 */

/* A page that came and was not taken counts as much as one in flight. */
static void
test_fan_out(void)
{
	static const int keys[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.nkeys = 10;
	scan.api.holds = true;
	scan.spec.max_concurrency = 3;
	scan_filter(&scan, keys, 10);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	is_int(server_requests(scan.server), 3, "three of ten keys are in flight");
	scan_answer(&scan, 0);
	scan_answer(&scan, 1);
	scan_settle(&scan);
	is_int(server_requests(scan.server), 3,
		   "what came and was not taken keeps its place");
	is_int(call(&scan, &page), VELT_CURSOR_PAGE, "a page is taken");
	is_int(scan.stats.requests, 4, "... and makes room for one");
	is_int(velt_page_key(page).bytes[1], '0', "... the first that came");
	(void) scan_note(&scan, page);
	scan.api.holds = false;
	for (int i = 2; i < 4 && loop_serve(scan.server, i + 1); i++)
	{
		if (!server_request(scan.server, i)->answered)
			scan_answer(&scan, i);
	}
	is_int(scan_run(&scan), VELT_CURSOR_END, "the rest comes");
	is_int(scan.nrows, 10, "... all of it");
	is_int(scan.stats.max_in_flight, 3, "... never more than three at a time");
	is_int(scan_count(&scan, KEYS_PATH), 0, "... without a list of keys");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_slices(void)
{
	int			keys[250];
	Scan		scan;

	for (int i = 0; i < 250; i++)
		keys[i] = i;
	scan_open(&scan, "api_keys");
	scan.api.nkeys = 250;
	scan.spec.page_size = 10;
	scan_filter(&scan, keys, 250);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "250 ids");
	is_int(scan.nrows, 250, "... give as many rows");
	is_int(server_requests(scan.server), 3, "... in three requests");
	ok(scan_find(&scan, "\"k99\"],\"pageSize\":100}") >= 0 &&
	   scan_find(&scan, "\"k199\"],\"pageSize\":100}") >= 0 &&
	   scan_find(&scan, "\"k249\"],\"pageSize\":50}") >= 0,
	   "... whose page size is their number of ids");
	is_int(scan.stats.max_in_flight, 3, "... all at the same time");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_keys_copied(void)
{
	char		name[] = "k0";
	VeltString	key = {name, 2};
	Scan		scan;

	scan_open(&scan, "auth_tokens");
	scan.api.nkeys = 1;
	scan.spec.filtered = true;
	scan.spec.keys = &key;
	scan.spec.nkeys = 1;
	(void) scan_begin(&scan);
	name[1] = 'x';
	key.length = 0;
	is_int(scan_run(&scan), VELT_CURSOR_END, "keys are copied");
	is_str(scan.rows, "t0 |", "... and asked for as they were");
	scan_close(&scan);
}

static void
test_no_keys(const char *resource)
{
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, resource);
	scan.spec.filtered = true;
	(void) scan_begin(&scan);
	is_int(call(&scan, &page), VELT_CURSOR_END, "%s with none of the keys",
		   resource);
	is_int(scan.stats.requests, 0, "... ask nothing");
	scan_close(&scan);
}

/* ----------
 * Keys by way of the list of keys
 * ----------
 */

static void
test_feeder(int nkeys, int max_concurrency)
{
	Scan		scan;
	int			npages = nkeys == 0 ? 1 : (nkeys + 99) / 100;

	scan_open(&scan, "auth_tokens");
	scan.api.nkeys = nkeys;
	scan.spec.max_concurrency = max_concurrency;
	scan.config.max_concurrency = max_concurrency;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_END, "the tokens of all of %d keys",
		   nkeys);
	is_int(scan.nrows, nkeys, "... come");
	is_int(scan_count(&scan, KEYS_PATH), npages, "... by way of the list");
	is_int(scan_count(&scan, TOKENS_PATH), nkeys, "... and key by key");
	is_int(scan.stats.requests, npages + nkeys, "... which is counted as one");
	ok(scan.stats.max_in_flight <= max_concurrency, "... within the bounds");
	is_over(&scan);
	scan_close(&scan);
}

/* The list's second page is not asked for before its first is used up. */
static void
test_feeder_pages(void)
{
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.nkeys = 150;
	scan.api.holds = true;
	scan.spec.max_concurrency = 4;
	(void) scan_begin(&scan);
	is_int(call(&scan, &page), VELT_CURSOR_WAIT, "first come the keys");
	scan_settle(&scan);
	is_int(server_requests(scan.server), 1, "... in one request");
	scan_answer(&scan, 0);
	scan_settle(&scan);
	is_int(call(&scan, &page), VELT_CURSOR_WAIT, "then the tokens");
	scan_settle(&scan);
	is_int(scan_count(&scan, TOKENS_PATH), 4, "... of four keys");
	is_int(scan_count(&scan, KEYS_PATH), 1, "... and not yet more keys");
	scan_close(&scan);
}

typedef struct FeederCase
{
	const char *name;
	const char *list;			/* the list of keys */
	VeltErrorKind kind;
} FeederCase;

static const FeederCase feeder_cases[] = {
	{"a key that is null", "[{\"id\":null}]", VELT_ERROR_PROTOCOL},
	{"a key that is missing", "[{\"id\":\"k0\"},{}]", VELT_ERROR_PROTOCOL},
	{"a key that is a number", "[{\"id\":7}]", VELT_ERROR_PROTOCOL},
	{"a row that is no object", "[\"k0\"]", VELT_ERROR_PROTOCOL},
	{"half a surrogate pair", "[{\"id\":\"\\ud800\"}]", VELT_ERROR_UNTRANSLATABLE},
};

static const char *feeder_list;

static void
answer_feeder(Server *server, int request, void *data)
{
	char		reply[200];

	(void) data;
	if (strstr(server_request(server, request)->path, "apikeys") == NULL)
		return;
	snprintf(reply, sizeof(reply),
			 "{\"result\":{\"status\":\"success\",\"data\":%s}}", feeder_list);
	server_answer(server, request, 200, reply);
}

static void
test_bad_feeder(const FeederCase *c)
{
	Scan		scan;

	scan_open(&scan, "auth_tokens");
	feeder_list = c->list;
	server_handle(scan.server, answer_feeder, NULL);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a list with %s fails", c->name);
	is_int(scan.error.kind, c->kind, "... for that");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_feeder_denied(void)
{
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.holds = true;
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	server_answer(scan.server, 0, 403, FAILURE("PERMISSION_DENIED"));
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a list that is denied fails");
	is_int(scan.error.kind, VELT_ERROR_PERMISSION_DENIED, "... for that");
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "... and stays failed");
	is_over(&scan);
	scan_close(&scan);
}

/* ----------
 * NOT_FOUND
 * ----------
 */

#define MAX_FILTER	8

typedef struct NotFoundCase
{
	const char *name;
	const char *resource;
	int			nkeys;			/* that exist */
	bool		no_workspace;
	bool		known;			/* beforehand */
	int			keys[MAX_FILTER];	/* to the first -1 */
	VeltCursorStatus status;
	int			nrows;
	int			nasked;			/* requests for keys */
	int			nprobes;
} NotFoundCase;

static const NotFoundCase not_found_cases[] = {
	{"a key that is there", "auth_tokens", 1, false, false, {0, -1},
	VELT_CURSOR_END, 1, 1, 0},
	{"a key that is not", "auth_tokens", 1, false, false, {7, -1},
	VELT_CURSOR_END, 0, 1, 1},
	{"a key of no workspace", "auth_tokens", 0, true, false, {7, -1},
	VELT_CURSOR_FAILED, 0, 1, 1},
	{
		"a key that is not, of a workspace that is known",
		"auth_tokens", 0, true,
		true, {7, -1}, VELT_CURSOR_END, 0, 1, 0
	},
	{"keys of which one is there", "auth_tokens", 1, true, false, {8, 0, 7, -1},
	VELT_CURSOR_END, 1, 3, 0},
	{"an id that is not there", "api_keys", 1, false, false, {7, -1},
	VELT_CURSOR_END, 0, 1, 1},
	{"two ids, one of which is not", "api_keys", 1, false, false, {0, 7, -1},
	VELT_CURSOR_END, 1, 3, 0},
	{
		"four ids, the last of which is not", "api_keys", 3, false, false,
		{0, 1, 2, 7, -1}, VELT_CURSOR_END, 3, 5, 0
	},
	{
		"five ids, the middle of which is not", "api_keys", 4, false, false,
		{0, 1, 7, 2, 3, -1}, VELT_CURSOR_END, 4, 5, 0
	},
	{
		"four ids of which none is", "api_keys", 0, false, false,
		{5, 6, 7, 8, -1}, VELT_CURSOR_END, 0, 7, 1
	},
	{
		"seven ids of no workspace", "api_keys", 0, true, false,
		{1, 2, 3, 4, 5, 6, 7, -1}, VELT_CURSOR_FAILED, 0, 13, 1
	},
	{"all ids", "api_keys", 3, false, false, {2, 0, 1, -1},
	VELT_CURSOR_END, 3, 1, 0},
};

static void
test_not_found(const NotFoundCase *c, int max_concurrency)
{
	Scan		scan;
	int			nkeys = 0;

	while (c->keys[nkeys] >= 0)
		nkeys++;
	scan_open(&scan, c->resource);
	scan.api.nkeys = c->nkeys;
	scan.api.no_workspace = c->no_workspace;
	scan.known = c->known;
	scan.spec.max_concurrency = max_concurrency;
	scan_filter(&scan, c->keys, nkeys);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), c->status, "%s", c->name);
	if (c->status == VELT_CURSOR_FAILED)
		is_int(scan.error.kind, VELT_ERROR_NOT_FOUND, "... for the workspace");
	is_int(scan.nrows, c->nrows, "... gives its rows");
	is_int(scan_count(&scan, WORKSPACE_PATH), c->nprobes,
		   "... and asks for the workspace or does not");
	is_int(server_requests(scan.server), c->nasked + c->nprobes,
		   "... and for as many keys");
	is_int(scan_run(&scan), c->status, "... and stays so");
	is_int(server_requests(scan.server), c->nasked + c->nprobes,
		   "... without a further request");
	is_over(&scan);
	scan_close(&scan);
}

/* The halves of an interval are asked for with their own page sizes. */
static void
test_halves(void)
{
	static const int keys[] = {0, 1, 7};
	Scan		scan;

	scan_open(&scan, "api_keys");
	scan.api.nkeys = 2;
	scan_filter(&scan, keys, 3);
	(void) scan_begin(&scan);
	(void) scan_run(&scan);
	ok(scan_find(&scan, "[\"k0\",\"k1\",\"k7\"],\"pageSize\":3}") == 0,
	   "three ids are asked for together");
	ok(scan_find(&scan, "[\"k0\"],\"pageSize\":1}") > 0 &&
	   scan_find(&scan, "[\"k1\",\"k7\"],\"pageSize\":2}") > 0,
	   "... then one and two");
	ok(scan_find(&scan, "[\"k1\"],\"pageSize\":1}") > 0 &&
	   scan_find(&scan, "[\"k7\"],\"pageSize\":1}") > 0,
	   "... then each of the two");
	scan_close(&scan);
}

/* 404s that are not about a key. */
typedef struct ElsewhereCase
{
	const char *name;
	const char *resource;
	int			filter;			/* a key, or -1 for all */
	const char *reply;
} ElsewhereCase;

static const ElsewhereCase elsewhere_cases[] = {
	{"NOT_FOUND for all keys", "api_keys", -1, FAILURE("NOT_FOUND")},
	{"NOT_FOUND for the list of keys", "auth_tokens", -1, FAILURE("NOT_FOUND")},
	{"NOT_FOUND for the workspace", "workspaces", -1, FAILURE("NOT_FOUND")},
	{"a 404 of a web server", "auth_tokens", 0, "<html>404</html>"},
	{"a 404 without a word", "api_keys", 0, ""},
};

static void
test_elsewhere(const ElsewhereCase *c)
{
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, c->resource);
	scan.api.holds = true;
	if (c->filter >= 0)
		scan_filter(&scan, &c->filter, 1);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	server_answer(scan.server, 0, 404, c->reply);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "%s fails", c->name);
	is_int(scan.error.kind, VELT_ERROR_NOT_FOUND, "... as not found");
	is_int(server_requests(scan.server), 1, "... without another request");
	is_over(&scan);
	scan_close(&scan);
}

/* A status the table lacks falls back to HTTP's 404: that is not NOT_FOUND. */
static void
test_unknown_status(void)
{
	static const int key = 0;
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.holds = true;
	scan_filter(&scan, &key, 1);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	scan.api.holds = false;
	server_answer(scan.server, 0, 404, FAILURE("GONE_FISHING"));
	is_int(scan_run(&scan), VELT_CURSOR_FAILED,
		   "404 with a status that is not NOT_FOUND fails");
	is_int(scan.error.kind, VELT_ERROR_NOT_FOUND, "... by its HTTP status");
	scan_close(&scan);
}

static void
test_not_found_later(void)
{
	static const int keys[] = {0, 1};
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "api_keys");
	scan.api.holds = true;
	scan_filter(&scan, keys, 2);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	server_answer(scan.server, 0, 200,
				  "{\"result\":{\"status\":\"success\",\"data\":[{\"id\":\"k0\"}],\"nextPageToken\":\"t\"}}");
	is_int(scan_next(&scan, &page), VELT_CURSOR_PAGE, "a first page of two ids");
	(void) call(&scan, &page);
	scan_settle(&scan);
	is_str(server_request(scan.server, 1)->body,
		   "{\"data\":{\"apiKeys\":[\"k0\",\"k1\"],\"pageSize\":2,\"pageToken\":\"t\"}}",
		   "... repeats filter and page size for the second");
	server_answer(scan.server, 1, 404, FAILURE("NOT_FOUND"));
	is_int(scan_run(&scan), VELT_CURSOR_FAILED,
		   "... where NOT_FOUND is an error");
	is_int(scan.error.kind, VELT_ERROR_PAGE_TOKEN, "... of the page token");
	is_over(&scan);
	scan_close(&scan);
}

/* The key was listed, and is gone: that is no error. */
static void
test_gone_key(void)
{
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.nkeys = 3;
	scan.api.holds = true;
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	scan_answer(&scan, 0);
	scan_settle(&scan);
	(void) call(&scan, &page);
	scan.api.nkeys = 2;
	scan.api.holds = false;
	is_int(scan_run(&scan), VELT_CURSOR_END, "a key that is gone is no error");
	is_str(scan.rows, "t0 |t1 |", "... and has no rows");
	is_int(scan_count(&scan, WORKSPACE_PATH), 0, "... nor needs a question");
	scan_close(&scan);
}

/* ----------
 * max_requests
 * ----------
 */

typedef struct BudgetCase
{
	const char *name;
	const char *resource;
	int			nkeys;
	int			page_size;
	int			filter;			/* a key, or -1 for all */
	int			needed;
} BudgetCase;

static const BudgetCase budget_cases[] = {
	{"three pages", "api_keys", 5, 2, -1, 3},
	{"a list and its five keys", "auth_tokens", 5, 100, -1, 6},
	{"a list of two pages and its keys", "auth_tokens", 120, 100, -1, 122},
	{"a key that is not there", "auth_tokens", 1, 100, 7, 2},
	{"the workspace", "workspaces", 0, 100, -1, 1},
};

static void
test_budget_of(const BudgetCase *c, int budget)
{
	bool		enough = budget >= c->needed;
	Scan		scan;

	scan_open(&scan, c->resource);
	scan.api.nkeys = c->nkeys;
	scan.spec.page_size = c->page_size;
	scan.spec.max_requests = budget;
	if (c->filter >= 0)
		scan_filter(&scan, &c->filter, 1);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), enough ? VELT_CURSOR_END : VELT_CURSOR_FAILED,
		   "%s with max_requests %d", c->name, budget);
	is_int(server_requests(scan.server), enough ? c->needed : budget,
		   "... make no more requests");
	if (!enough)
	{
		char		detail[100];

		sprintf(detail, "The scan needs more requests than its limit of %d.", budget);
		is_int(scan.error.kind, VELT_ERROR_MAX_REQUESTS, "... and say so");
		is_str(scan.error.detail, detail, "... in these words");
	}
	is_over(&scan);
	scan_close(&scan);
}

static void
test_budget(void)
{
	for (size_t i = 0; i < LENGTH_OF(budget_cases); i++)
	{
		test_budget_of(&budget_cases[i], budget_cases[i].needed);
		if (budget_cases[i].needed > 1)
			test_budget_of(&budget_cases[i], budget_cases[i].needed - 1);
	}
}

/* What was paid for is handed up first. */
static void
test_budget_rows(void)
{
	Scan		scan;

	scan_open(&scan, "api_keys");
	scan.api.nkeys = 5;
	scan.spec.page_size = 1;
	scan.spec.max_requests = 3;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "the fourth page is too many");
	is_str(scan.rows, "k0 |k1 |k2 |", "... after three");
	scan_close(&scan);
}

/* ----------
 * Errors
 * ----------
 */

/* Three keys in flight, in this order. */
static void
open_three(Scan *scan)
{
	static const int keys[] = {0, 1, 2};
	VeltPage   *page;

	scan_open(scan, "auth_tokens");
	scan->api.nkeys = 3;
	scan->api.holds = true;
	scan_filter(scan, keys, 3);
	(void) scan_begin(scan);
	(void) call(scan, &page);
	scan_settle(scan);
}

static void
fail_key(Scan *scan, int key, int status, const char *reply)
{
	char		text[20];

	sprintf(text, "\"k%d\"", key);
	server_answer(scan->server, scan_find(scan, text), status, reply);
	scan_settle(scan);
}

static void
test_error_order(void)
{
	Scan		scan;
	VeltPage   *page;

	open_three(&scan);
	fail_key(&scan, 2, 403, FAILURE("PERMISSION_DENIED"));
	is_int(call(&scan, &page), VELT_CURSOR_WAIT,
		   "the third fails: the first and the second are waited for");
	is_int(scan.stats.in_flight, 2, "... and go on");
	fail_key(&scan, 0, 500, FAILURE("INTERNAL"));
	is_int(scan.stats.in_flight, 0, "the first fails: the second ends");
	is_int(call(&scan, &page), VELT_CURSOR_FAILED, "... and the scan fails");
	is_int(scan.error.kind, VELT_ERROR_UNAVAILABLE,
		   "... for what was begun first");
	ok(scan.error.enveloped && scan.error.http_status == 500,
	   "... with all that is known of it");
	is_int(call(&scan, &page), VELT_CURSOR_FAILED, "... for good");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_error_after_pages(void)
{
	Scan		scan;

	open_three(&scan);
	scan_answer(&scan, scan_find(&scan, "\"k1\""));
	scan_settle(&scan);
	fail_key(&scan, 2, 403, FAILURE("PERMISSION_DENIED"));
	scan_answer(&scan, scan_find(&scan, "\"k0\""));
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a failure");
	is_int(scan.error.kind, VELT_ERROR_PERMISSION_DENIED, "... is told");
	is_int(scan.nrows, 2, "... after the pages that were begun before");
	is_over(&scan);
	scan_close(&scan);
}

/* What fails first is what was begun first: nothing more is begun. */
static void
test_error_stops(void)
{
	static const int keys[] = {0, 1, 2, 3, 4, 5};
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.holds = true;
	scan.spec.max_concurrency = 2;
	scan_filter(&scan, keys, 6);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	fail_key(&scan, 0, 401, FAILURE("UNAUTHENTICATED"));
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "after a failure");
	is_int(scan.error.kind, VELT_ERROR_UNAUTHENTICATED, "... which is told");
	is_int(server_requests(scan.server), 2, "... nothing more is begun");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_other_key(void)
{
	static const int key = 0;
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.holds = true;
	scan_filter(&scan, &key, 1);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	server_answer(scan.server, 0, 200,
				  "{\"result\":{\"status\":\"success\",\"data\":{\"apiKey\":\"k1\",\"authTokens\":[]}}}");
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "tokens of another key fail");
	is_int(scan.error.kind, VELT_ERROR_PROTOCOL, "... as a wrong answer");
	scan_close(&scan);
}

static void
test_unreachable(void)
{
	Scan		scan;

	scan_open(&scan, "api_keys");
	server_close_port(scan.server);
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a server that is not there");
	is_int(scan.error.kind, VELT_ERROR_CONNECT, "... is not connected to");
	ok(!scan.known, "... and nothing known of the workspace");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_response_size(void)
{
	Scan		scan;

	scan_open(&scan, "api_keys");
	scan.api.nkeys = 100;
	scan.spec.max_response_bytes = 1000;
	(void) scan_begin(&scan);
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "a response that is too long");
	is_int(scan.error.kind, VELT_ERROR_RESPONSE_SIZE, "... is refused");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_bad_pointer(void)
{
	static const char *const pointers[] = {"id"};
	Scan		scan;

	scan_open(&scan, "auth_tokens");
	scan.spec.pointers = pointers;
	ok(!scan_begin(&scan), "a cursor for what is no pointer is refused");
	is_int(scan.error.kind, VELT_ERROR_INVALID_VALUE, "... as a wrong value");
	scan_close(&scan);
}

/* ----------
 * Failures that pass
 * ----------
 */

typedef struct PassingCase
{
	int			http_status;
	const char *reply;
	bool		again;
	VeltErrorKind kind;
} PassingCase;

#define DETAILED(status, details) \
	"{\"error\":{\"status\":\"" status "\",\"message\":\"m\",\"details\":" details "}}"

static const PassingCase passing_cases[] = {
	{500, FAILURE("INTERNAL"), true, VELT_ERROR_UNAVAILABLE},
	{503, FAILURE("UNAVAILABLE"), true, VELT_ERROR_UNAVAILABLE},
	{504, FAILURE("DEADLINE_EXCEEDED"), true, VELT_ERROR_UNAVAILABLE},
	{409, FAILURE("ABORTED"), true, VELT_ERROR_UNAVAILABLE},
	{429, FAILURE("RESOURCE_EXHAUSTED"), true, VELT_ERROR_EXHAUSTED},
	{200, FAILURE("INTERNAL"), true, VELT_ERROR_UNAVAILABLE},
	{404, FAILURE("INTERNAL"), true, VELT_ERROR_UNAVAILABLE},
	{500, DETAILED("INTERNAL", "null"), true, VELT_ERROR_UNAVAILABLE},
	{502, "<html>Bad gateway</html>", true, VELT_ERROR_UNAVAILABLE},
	{429, "Too many", true, VELT_ERROR_EXHAUSTED},
	{503, "", true, VELT_ERROR_UNAVAILABLE},
	{503, FAILURE("TEAPOT"), true, VELT_ERROR_UNAVAILABLE},
	{500, DETAILED("INTERNAL", "{}"), false, VELT_ERROR_UNAVAILABLE},
	{429, DETAILED("RESOURCE_EXHAUSTED", "[1]"), false, VELT_ERROR_EXHAUSTED},
	{503, FAILURE("UNKNOWN"), false, VELT_ERROR_UNAVAILABLE},
	{503, FAILURE("CANCELLED"), false, VELT_ERROR_UNAVAILABLE},
	{500, FAILURE("DATA_LOSS"), false, VELT_ERROR_UNAVAILABLE},
	{503, FAILURE("PERMISSION_DENIED"), false, VELT_ERROR_PERMISSION_DENIED},
	{501, "<html>", false, VELT_ERROR_UNAVAILABLE},
	{200, "<html>", false, VELT_ERROR_NO_ENVELOPE},
};

/* A retrying scan whose first request has come, and is held. */
static void
open_retrying(Scan *scan, const char *resource)
{
	VeltPage   *page;

	scan_open(scan, resource);
	scan->config.retry_timeout_ms = 120000;
	scan->config.request_timeout_ms = 120000;
	scan->api.nkeys = 2;
	scan->api.holds = true;
	(void) scan_begin(scan);
	(void) call(scan, &page);
	scan_settle(scan);
}

static void
test_passing(const PassingCase *c)
{
	Scan		scan;
	VeltPage   *page;

	open_retrying(&scan, "api_keys");
	server_answer(scan.server, 0, c->http_status, c->reply);
	scan_settle(&scan);
	is_int(call(&scan, &page), c->again ? VELT_CURSOR_WAIT : VELT_CURSOR_FAILED,
		   "HTTP %d, %s: is asked again or not", c->http_status, c->reply);
	is_int(velt_cursor_has_news(scan.cursor), !c->again, "... which is news");
	if (c->again)
	{
		is_int(scan.stats.in_flight, 1, "... and meanwhile not over");
		is_int(call(&scan, &page), VELT_CURSOR_WAIT, "... however often asked");
		scan.api.holds = false;
		scan_wait(&scan, 1500);
		is_int(scan_run(&scan), VELT_CURSOR_END, "... and then well");
		is_str(scan.rows, "k0 k1 |", "... with each row once");
		is_str(server_request(scan.server, 1)->body,
			   server_request(scan.server, 0)->body, "... for the same body");
	}
	else
		is_int(scan.error.kind, c->kind, "... for that: %s", scan.error.detail);
	is_int(scan.stats.requests, 1 + c->again, "... in as many requests");
	is_int(scan.stats.retries, c->again, "... and retries");
	is_over(&scan);
	scan_close(&scan);
}

/*
 * Who has replied as the API does, be it with an error, will not be mistaken
 * for another by what comes later.
 */
static void
test_no_envelope_later(int http_status, const char *reply)
{
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "workspaces");
	scan.api.holds = true;
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	server_answer(scan.server, 0, http_status, reply);
	(void) scan_run(&scan);
	velt_cursor_close(scan.cursor);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	server_answer(scan.server, 1, 200, "<html>");
	is_int(scan_run(&scan), VELT_CURSOR_FAILED, "no JSON, after %s", reply);
	is_int(scan.error.kind, strchr(reply, '{') ? VELT_ERROR_PROTOCOL :
		   VELT_ERROR_NO_ENVELOPE, "... may be the API's, or another's");
	scan_close(&scan);
}

#define HALF_A_PAGE \
	"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" \
	"{\"result\":{\"status\":\"success\",\"data\":[{\"id\":\"half\"}"

/* Rows of half a response are not seen. */
static void
test_half_a_page(void)
{
	Scan		scan;

	open_retrying(&scan, "api_keys");
	scan.api.holds = false;
	server_send(scan.server, 0, HALF_A_PAGE, strlen(HALF_A_PAGE), true);
	scan_wait(&scan, 1500);
	is_int(scan_run(&scan), VELT_CURSOR_END, "a response that broke off");
	is_str(scan.rows, "k0 k1 |", "... leaves no rows");
	is_over(&scan);
	scan_close(&scan);
}

/* A retry is no further request for max_requests. */
static void
test_budget_of_retries(void)
{
	Scan		scan;
	VeltPage   *page;

	open_retrying(&scan, "api_keys");
	velt_cursor_close(scan.cursor);
	scan.spec.max_requests = 1;
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	server_answer(scan.server, 1, 503, "");
	scan.api.holds = false;
	scan_wait(&scan, 1500);
	is_int(scan_run(&scan), VELT_CURSOR_END,
		   "a retry is not counted by max_requests");
	scan_close(&scan);
}

/* The keys of a feeder that is delayed. */
static void
test_passing_feeder(void)
{
	Scan		scan;

	open_retrying(&scan, "auth_tokens");
	server_answer(scan.server, 0, 500, FAILURE("INTERNAL"));
	scan_settle(&scan);
	ok(!velt_cursor_has_news(scan.cursor), "a delayed list of keys is no news");
	scan.api.holds = false;
	scan_wait(&scan, 1500);
	is_int(scan_run(&scan), VELT_CURSOR_END, "... and then well");
	is_str(scan.rows, "t0 |t1 |", "... with all their tokens");
	is_over(&scan);
	scan_close(&scan);
}

/* A failure that will not pass ends what is in its backoff and came later. */
static void
test_failure_ends_backoff(void)
{
	static const int keys[] = {0, 1, 2};
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.config.retry_timeout_ms = 120000;
	scan.api.holds = true;
	scan_filter(&scan, keys, 3);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	scan_settle(&scan);
	fail_key(&scan, 2, 503, "");
	is_int(scan.stats.in_flight, 3, "one of three is in its backoff");
	fail_key(&scan, 0, 403, FAILURE("PERMISSION_DENIED"));
	is_int(call(&scan, &page), VELT_CURSOR_FAILED, "... and ends with another");
	scan_wait(&scan, 5000);
	is_int(server_requests(scan.server), 3, "... and is not made again");
	is_over(&scan);
	scan_close(&scan);
}

static void
test_exhausted(void)
{
	Scan		scan;
	VeltPage   *page;

	open_retrying(&scan, "api_keys");
	for (int i = 0; i < 20 && server_requests(scan.server) > i; i++)
	{
		server_answer(scan.server, i, 500, FAILURE("INTERNAL"));
		scan_wait(&scan, 30000);
	}
	is_int(call(&scan, &page), VELT_CURSOR_FAILED, "failures for two minutes");
	ok(scan.error.kind == VELT_ERROR_UNAVAILABLE && scan.error.gave_up,
	   "... exhaust the retries");
	ok(strncmp(scan.error.detail,
			   "The API replied INTERNAL (HTTP 500): m. Gave up after ",
			   53) == 0, "... and say so: %s", scan.error.detail);
	is_int(scan.stats.retries, scan.stats.requests - 1, "... after retries");
	is_over(&scan);
	scan_close(&scan);
}

/* ----------
 * News
 * ----------
 */

/* No news: the next call says to wait.  News: it does something. */
static void
test_news(const char *resource, int max_concurrency)
{
	Scan		scan;
	VeltCursorStatus status = VELT_CURSOR_WAIT;
	bool		right = true;

	scan_open(&scan, resource);
	scan.api.nkeys = 7;
	scan.spec.page_size = 2;
	scan.spec.max_concurrency = max_concurrency;
	(void) scan_begin(&scan);
	ok(velt_cursor_has_news(scan.cursor), "%s, %d at a time: nothing asked yet",
	   resource, max_concurrency);
	for (int i = 0; i < 200 && status != VELT_CURSOR_END; i++)
	{
		VeltPage   *page;
		bool		news = velt_cursor_has_news(scan.cursor);
		int64_t		nbefore = scan.stats.requests;

		status = call(&scan, &page);
		right = right && (news || status == VELT_CURSOR_WAIT) &&
			(!news || status != VELT_CURSOR_WAIT ||
			 scan.stats.requests > nbefore);
		if (status == VELT_CURSOR_PAGE)
			(void) scan_note(&scan, page);
		if (status == VELT_CURSOR_WAIT)
			(void) loop_turn(scan.server, SETTLED_MS,
							 &scan.error);
	}
	ok(right, "... it has news when there is something to do, and only then");
	ok(status == VELT_CURSOR_END && scan.nrows == 7, "... to its end");
	ok(velt_cursor_has_news(scan.cursor), "... which stays news");
	scan_close(&scan);
}

static void
test_news_of_a_probe(void)
{
	static const int key = 7;
	Scan		scan;
	VeltPage   *page;

	scan_open(&scan, "auth_tokens");
	scan.api.holds = true;
	scan_filter(&scan, &key, 1);
	(void) scan_begin(&scan);
	(void) call(&scan, &page);
	ok(!velt_cursor_has_news(scan.cursor), "a request in flight is no news");
	scan_settle(&scan);
	scan_answer(&scan, 0);
	scan_settle(&scan);
	ok(velt_cursor_has_news(scan.cursor), "a key that is not found is");
	is_int(call(&scan, &page), VELT_CURSOR_WAIT, "... to ask for the workspace");
	ok(!velt_cursor_has_news(scan.cursor), "... which is none");
	scan_settle(&scan);
	scan_answer(&scan, 1);
	scan_settle(&scan);
	ok(velt_cursor_has_news(scan.cursor), "... till its answer comes");
	is_int(call(&scan, &page), VELT_CURSOR_END, "... and all is over");
	scan_close(&scan);
}

static void
test_news_of_failure(void)
{
	Scan		scan;
	VeltPage   *page;

	open_three(&scan);
	fail_key(&scan, 2, 403, FAILURE("PERMISSION_DENIED"));
	ok(!velt_cursor_has_news(scan.cursor),
	   "a failure is no news while what began before it goes on");
	fail_key(&scan, 0, 403, FAILURE("PERMISSION_DENIED"));
	ok(velt_cursor_has_news(scan.cursor), "... and is when nothing does");
	is_int(call(&scan, &page), VELT_CURSOR_FAILED, "... namely that");
	scan_close(&scan);
}

/* ----------
 * Closing
 * ----------
 */

typedef enum Moment
{
	OPENED,
	ASKED,						/* requests not yet driven */
	IN_FLIGHT,
	HALF_A_RESPONSE,
	SOME_READY,
	HELD,
	BACKOFF,
	FAILED,
	MOMENTS
} Moment;

static const char *const moment_names[MOMENTS] = {
	"just opened", "with requests that have not left", "with requests in flight",
	"with half a response", "with pages that nobody took",
	"with a page in use", "in a backoff", "with a failure"
};

static void
reach(Scan *scan, Moment moment)
{
	VeltPage   *page;

	if (moment == OPENED)
		return;
	(void) call(scan, &page);
	if (moment == ASKED)
		return;
	scan_settle(scan);
	if (moment == HALF_A_RESPONSE)
		server_send(scan->server, 0,
					"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", 39, false);
	else if (moment == BACKOFF)
		server_answer(scan->server, 0, 500, FAILURE("INTERNAL"));
	else if (moment == FAILED)
		server_answer(scan->server, 0, 403, FAILURE("PERMISSION_DENIED"));
	else if (moment != IN_FLIGHT)
		scan_answer(scan, 0);
	scan_settle(scan);
	if (moment == HELD)
		(void) call(scan, &page);
}

static void
test_close(const char *resource, bool filtered, Moment moment)
{
	static const int keys[] = {0, 1, 2, 3, 4};
	Scan		scan;

	scan_open(&scan, resource);
	scan.api.nkeys = 5;
	scan.api.holds = true;
	scan.spec.page_size = 2;
	scan.spec.max_concurrency = 3;
	scan.config.retry_timeout_ms = moment == BACKOFF ? 120000 : 0;
	if (filtered)
		scan_filter(&scan, keys, 5);
	(void) scan_begin(&scan);
	reach(&scan, moment);
	velt_cursor_close(scan.cursor);
	is_int(scan.stats.in_flight, 0, "%s%s closed %s: none in flight", resource,
		   filtered ? ", filtered," : "", moment_names[moment]);
	scan_settle(&scan);
	is_int(velt_transport_phase(scan.transport), VELT_PHASE_IDLE,
		   "... and all idle");
	scan.api.holds = false;
	ok(scan_begin(&scan) && scan_run(&scan) == VELT_CURSOR_END &&
	   scan.nrows == 5, "... and the next scan is well");
	scan_close(&scan);
}

static void
test_closes(void)
{
	for (Moment moment = OPENED; moment < MOMENTS; moment++)
	{
		test_close("api_keys", false, moment);
		test_close("auth_tokens", true, moment);
		test_close("auth_tokens", false, moment);
	}
	velt_cursor_close(NULL);
}

/* Two scans of one session, each with pages of its own. */
static void
test_two_cursors(void)
{
	Scan		scan;
	VeltCursor *first;
	VeltCursor *second;
	int			nrows[2] = {0, 0};

	scan_open(&scan, "api_keys");
	scan.api.nkeys = 6;
	scan.spec.page_size = 2;
	scan.config.max_concurrency = 1;
	(void) scan_begin(&scan);
	first = scan.cursor;
	(void) scan_begin(&scan);
	second = scan.cursor;
	for (int i = 0; i < 6; i++)
	{
		VeltPage   *page;

		scan.cursor = i % 2 ? second : first;
		scan.nrows = 0;
		if (scan_next(&scan, &page) == VELT_CURSOR_PAGE)
			(void) scan_note(&scan, page);
		nrows[i % 2] += scan.nrows;
	}
	is_int(nrows[0], 6, "the first of two cursors has all rows");
	is_int(nrows[1], 6, "... and so has the second");
	velt_cursor_close(first);
	scan.cursor = second;
	is_int(scan_run(&scan), VELT_CURSOR_END, "... to the end");
	scan_close(&scan);
}

static void
test_all_not_found(void)
{
	for (size_t i = 0; i < LENGTH_OF(not_found_cases); i++)
	{
		test_not_found(&not_found_cases[i], 1);
		test_not_found(&not_found_cases[i], 8);
	}
	test_halves();
	for (size_t i = 0; i < LENGTH_OF(elsewhere_cases); i++)
		test_elsewhere(&elsewhere_cases[i]);
	test_unknown_status();
	test_not_found_later();
	test_gone_key();
}

static void
test_feeders(void)
{
	test_feeder(0, 4);
	test_feeder(1, 1);
	test_feeder(10, 1);
	test_feeder(10, 4);
	test_feeder(250, 8);
	test_feeder_pages();
	for (size_t i = 0; i < LENGTH_OF(feeder_cases); i++)
		test_bad_feeder(&feeder_cases[i]);
	test_feeder_denied();
}

void
test_cursor(void)
{
	for (size_t i = 0; i < LENGTH_OF(paging_cases); i++)
	{
		test_paging(&paging_cases[i], 1);
		test_paging(&paging_cases[i], 8);
	}
	test_workspace();
	test_empty_pages();
	for (size_t i = 0; i < LENGTH_OF(stuck_cases); i++)
		test_stuck(&stuck_cases[i]);
	test_prefetch();
	test_limit(-1, 60, "{\"data\":{\"pageSize\":50}}");
	test_limit(7, 9, "{\"data\":{\"pageSize\":7}}");
	test_limit(50, 60, "{\"data\":{\"pageSize\":50}}");
	test_limit(120, 130, "{\"data\":{\"pageSize\":50}}");
	test_limited_fan_out();
	test_fan_out();
	test_slices();
	test_keys_copied();
	test_no_keys("api_keys");
	test_no_keys("auth_tokens");
	test_feeders();
	test_all_not_found();
	test_budget();
	test_budget_rows();
	for (size_t i = 0; i < LENGTH_OF(passing_cases); i++)
		test_passing(&passing_cases[i]);
	test_no_envelope_later(200, "{\"result\":{\"status\":\"success\",\"data\":{\"id\":\"w\"}}}");
	test_no_envelope_later(403, FAILURE("PERMISSION_DENIED"));
	test_no_envelope_later(502, "Bad gateway");
	test_half_a_page();
	test_budget_of_retries();
	test_passing_feeder();
	test_failure_ends_backoff();
	test_exhausted();
	for (int n = 1; n <= 8; n *= 2)
	{
		test_news("api_keys", n);
		test_news("auth_tokens", n);
	}
	test_news_of_a_probe();
	test_news_of_failure();
	test_error_order();
	test_error_after_pages();
	test_error_stops();
	test_other_key();
	test_unreachable();
	test_response_size();
	test_bad_pointer();
	test_closes();
	test_two_cursors();
}
