/*
 * test/unit/scan.h
 *		A cursor against a small Velt API, all in one thread.
 */
#ifndef VELT_UNIT_SCAN_H
#define VELT_UNIT_SCAN_H

#include <stdbool.h>

#include "client/cursor.h"
#include "loop.h"
#include "server.h"

#define ROWS_BYTES		8192

/*
 * The API: keys k0, k1, ...; the tokens of key kN are one, tN.  Pages follow
 * the page size and token asked for.
 */
typedef struct Api
{
	int			nkeys;
	bool		no_workspace;	/* workspace/get says NOT_FOUND */
	bool		leaves_out;		/* unknown ids of a filter, not NOT_FOUND */
	bool		holds;			/* answers only when it is told to */
	bool		flaky;			/* each second request is refused for now */
	int			empty_every;	/* each so manyth page is empty; 0: none */
	int			filter_cap;		/* most ids in a filter; 0: no limit */
	int			refused_page;	/* first key of a page refused once; 0: none */
	const char *refused;		/* ids in a filter with this text are refused */
} Api;

typedef struct Scan
{
	Api			api;
	Server	   *server;
	VeltTransportConfig config;
	VeltTransport *transport;
	VeltCursorSpec spec;
	VeltCursor *cursor;
	VeltScanStats stats;
	bool		known;			/* that the workspace exists */
	VeltFilterLimit limit;
	VeltError	error;
	char		rows[ROWS_BYTES];	/* "k0 k1 |k2 |": values, and pages */
	int			nrows;
	int			npages;
} Scan;

/* Prepares a scan of all of a resource; change it before scan_begin. */
extern void scan_open(Scan *scan, const char *resource);

/* Restricts it to keys named by numbers. */
extern void scan_filter(Scan *scan, const int *keys, int nkeys);

/* Creates transport (unless there is one) and cursor; false on failure. */
extern bool scan_begin(Scan *scan);
extern void scan_close(Scan *scan);

/* Waits for what comes next; WAIT if nothing does. */
extern VeltCursorStatus scan_next(Scan *scan, VeltPage **page);

/* Notes the rows of a page; false if they cannot be read. */
extern bool scan_note(Scan *scan, VeltPage *page);

/* All that is left. */
extern VeltCursorStatus scan_run(Scan *scan);

/* Lets both sides do what they can. */
extern void scan_settle(Scan *scan);

/* ... and so much time pass, on the client's clock. */
extern void scan_wait(Scan *scan, int64_t ms);

/* Answers a request that was held, as the API would. */
extern void scan_answer(Scan *scan, int request);

/* The number of the request whose body has the text, or -1. */
extern int	scan_find(const Scan *scan, const char *text);

/* How many requests had that path. */
extern int	scan_count(const Scan *scan, const char *path);

#define WORKSPACE_PATH	"/v2/workspace/get"
#define KEYS_PATH		"/v2/workspace/apikeys/get"
#define TOKENS_PATH		"/v2/workspace/authtokens/get"

#endif							/* VELT_UNIT_SCAN_H */
