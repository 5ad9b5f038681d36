/*
 * test/unit/memory_test.c
 *		All of client/ when memory runs out, and the like.
 *
 * A scan is run again and again; in the n-th run the n-th call that can fail
 * does.  Whatever that is, the scan either has all its rows or says that it
 * failed, and leaves nothing behind.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/url.h"
#include "faults.h"
#include "scan.h"
#include "tap.h"
#include "unit.h"

/* More calls than any of these scans makes. */
#define MAX_CALLS	2000

typedef struct FaultCase
{
	const char *name;
	const char *resource;
	int			nkeys;
	int			page_size;
	int			keys[8];		/* a filter, to the first -1; none: all */
	int			nrows;
	bool		flaky;			/* so that retries are made */
	int			filter_cap;
	int			refused_page;	/* the key whose page is refused once; 0: none */
} FaultCase;

static const FaultCase fault_cases[] = {
	{"the workspace", "workspaces", 0, 100, {-1}, 1, false, 0, 0},
	{"pages of keys", "api_keys", 3, 1, {-1}, 3, false, 0, 0},
	{"some keys", "api_keys", 3, 100, {0, 1, 2, -1}, 3, false, 0, 0},
	{"some keys of which one is not there", "api_keys", 3, 100, {0, 7, 2, -1}, 2, false, 0, 0},
	{"a key that is not there", "auth_tokens", 1, 100, {7, -1}, 0, false, 0, 0},
	{"all tokens", "auth_tokens", 3, 100, {-1}, 3, false, 0, 0},
	{"some keys, asked for twice", "auth_tokens", 3, 100, {0, 1, 2, -1}, 3, true, 0, 0},
	{
		"keys, of which the API takes one at a time", "api_keys", 5, 100,
		{0, 1, 2, 3, 4, -1}, 5, false, 1, 0
	},
	{
		"all tokens, of keys that are listed again", "auth_tokens", 3, 1, {-1},
		3, false, 0, 1
	},
};

static int
open_descriptors(void)
{
	DIR		   *directory = opendir("/proc/self/fd");
	int			n = 0;

	/* cppcheck-suppress readdirCalled ; readdir_r is obsolete */
	while (readdir(directory) != NULL)
		n++;
	closedir(directory);
	return n;
}

/* What a scan may say when a call has failed. */
static bool
is_own_trouble(VeltErrorKind kind)
{
	/* CONNECT and UNAVAILABLE: a socket, a timer or an attempt that failed */
	return kind == VELT_ERROR_OUT_OF_MEMORY || kind == VELT_ERROR_SYSTEM ||
		kind == VELT_ERROR_CONNECT || kind == VELT_ERROR_UNAVAILABLE;
}

static void
prepare(Scan *scan, const FaultCase *c)
{
	int			nkeys = 0;

	while (c->keys[nkeys] >= 0)
		nkeys++;
	scan_open(scan, c->resource);
	scan->api.nkeys = c->nkeys;
	scan->spec.page_size = c->page_size;
	scan->config.request_timeout_ms = 500;
	scan->config.retry_timeout_ms = c->flaky ? 120000 : 0;
	scan->config.max_requests_per_minute = c->flaky ? 600 : 0;
	scan->api.flaky = c->flaky;
	scan->api.filter_cap = c->filter_cap;
	scan->api.refused_page = c->refused_page;
	if (nkeys > 0)
		scan_filter(scan, c->keys, nkeys);
}

/* One run; whether it ended as it may. */
static bool
survives(const FaultCase *c, long calls, bool forever)
{
	Scan		scan;
	VeltCursorStatus status = VELT_CURSOR_FAILED;
	bool		good;

	prepare(&scan, c);
	faults_arm(calls, forever);
	if (scan_begin(&scan))
		status = scan_run(&scan);
	good = status == VELT_CURSOR_END ? scan.nrows == c->nrows :
		status == VELT_CURSOR_FAILED && faults_struck() &&
		is_own_trouble(scan.error.kind) && scan.error.detail[0] != '\0';
	velt_cursor_close(scan.cursor);
	good = good && scan.stats.in_flight == 0;
	if (!good)
		diag("%ld calls: status %d, %d rows, error %d: %s", calls, status,
			 scan.nrows, scan.error.kind, scan.error.detail);
	scan.cursor = NULL;
	scan_close(&scan);
	return good;
}

static void
test_faults(const FaultCase *c, bool forever)
{
	int			nbefore = open_descriptors();
	bool		good = true;
	long		calls = 0;

	do
	{
		good = survives(c, calls, forever) && good;
		calls++;
	} while (faults_struck() && calls < MAX_CALLS);
	faults_arm(-1, false);
	ok(good, "%s survive %s failing of %ld", c->name,
	   forever ? "all calls from each on" : "each call", calls - 1);
	ok(calls > 10 && calls < MAX_CALLS, "... till none failed");
	is_int(open_descriptors(), nbefore, "... and leave no descriptor");
}

/* A scan that meets a failure, then another of the same session. */
static bool
recovers(long calls, bool *struck)
{
	Scan		scan;
	bool		good;

	prepare(&scan, &fault_cases[5]);
	(void) scan_begin(&scan);
	faults_arm(calls, false);
	(void) scan_run(&scan);
	velt_cursor_close(scan.cursor);
	*struck = faults_struck();
	faults_arm(-1, false);
	scan.cursor = NULL;
	scan.nrows = 0;
	good = scan_begin(&scan) && scan_run(&scan) == VELT_CURSOR_END &&
		scan.nrows == fault_cases[5].nrows;
	if (!good)
		diag("%ld calls: %d rows, error %d: %s", calls, scan.nrows,
			 scan.error.kind, scan.error.detail);
	scan_close(&scan);
	return good;
}

static void
test_recovery(void)
{
	bool		good = true;
	bool		struck = true;
	long		calls = 0;

	while (struck && calls < MAX_CALLS)
		good = recovers(calls++, &struck) && good;
	ok(good, "after each failure the next scan of the session is well");
	ok(calls > 10 && calls < MAX_CALLS, "... till none failed");
}

static void
test_url_memory(void)
{
	VeltError	error = {0};
	bool		plain;

	faults_arm(0, false);
	ok(!velt_url_check("https://api.velt.dev", VELT_URL_API, &plain, &error) &&
	   error.kind == VELT_ERROR_OUT_OF_MEMORY, "a URL without memory");
	faults_arm(-1, false);
}

void
test_memory(void)
{
	for (size_t i = 0; i < LENGTH_OF(fault_cases); i++)
	{
		test_faults(&fault_cases[i], false);
		if (!fault_cases[i].flaky)
			test_faults(&fault_cases[i], true);
	}
	test_recovery();
	test_url_memory();
}
