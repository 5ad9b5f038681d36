/*
 * client/cursor.h
 *		A stream of pages: paging, prefetch, fan-out and its bounds.
 *
 * A cursor asks for all rows of a resource, or for those with certain keys,
 * in as many requests as that takes, and hands up pages as they finish.  It
 * never waits: velt_cursor_next_page says so when there is something to wait
 * for, and velt_transport_drive moves on.
 *
 * Knows nothing of PostgreSQL.
 */
#ifndef VELT_CLIENT_CURSOR_H
#define VELT_CLIENT_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/error.h"
#include "client/page.h"
#include "client/resource.h"
#include "client/transport.h"

typedef struct VeltCursor VeltCursor;

/* What scans cost: totals over all cursors that were given it. */
typedef struct VeltScanStats
{
	int64_t		requests;
	int64_t		retries;
	int64_t		bytes_received;
	int			in_flight;
	int			max_in_flight;
} VeltScanStats;

/*
 * The most keys of a filter.  The API documents no maximum, so a refused
 * filter is asked for in halves; all cursors of a connection share what they
 * learn from that.
 */
typedef struct VeltFilterLimit
{
	int			configured;		/* the limit to begin with */
	int			current;		/* the limit of new requests */
} VeltFilterLimit;

/* All of it is borrowed, and must outlive the cursor, but for the keys. */
typedef struct VeltCursorSpec
{
	const VeltResource *resource;
	const char *const *pointers;	/* the values wanted of a row */
	int			npointers;
	bool		filtered;		/* only rows with these keys */
	const VeltString *keys;		/* UTF-8, distinct, not empty; copied */
	size_t		nkeys;
	int			page_size;
	int			max_concurrency;
	int64_t		max_requests;	/* 0: no limit */
	int64_t		limit;			/* rows wanted, as a hint; less than 0: all */
	size_t		max_response_bytes;
	bool	   *workspace_known;	/* set once the session had an answer */
	VeltFilterLimit *filter_limit;
	VeltScanStats *stats;

	/*
	 * A cursor of the same scan, which counts this one's requests against
	 * max_requests too and must outlive it; or NULL.
	 */
	VeltCursor *within;
	bool		every_key;		/* hand up what became of each key asked for */
} VeltCursorSpec;

typedef enum VeltCursorStatus
{
	VELT_CURSOR_PAGE,			/* here is one */
	VELT_CURSOR_WAIT,			/* none yet */
	VELT_CURSOR_END,			/* there is none left, unless keys are added */
	VELT_CURSOR_FAILED
} VeltCursorStatus;

/* Makes no request yet.  NULL on failure. */
extern VeltCursor *velt_cursor_open(VeltTransport *transport,
									const VeltCursorSpec *spec,
									VeltError *error);

/* Ends what is in flight. */
extern void velt_cursor_close(VeltCursor *cursor);

/*
 * The next page, ready for velt_page_next_row.  It is the cursor's, and
 * stands until the next call.  Requests that the bounds allow leave before
 * this returns.  With every_key, NULL stands for a key that has no rows.
 */
extern VeltCursorStatus velt_cursor_next_page(VeltCursor *cursor,
											  VeltPage **page,
											  VeltError *error);

/*
 * Makes the cursor ask from the first page again, if *error is a refused page
 * token and this was not done before.  Otherwise returns false with the error.
 * Only for a caller that can still forget the pages it was given.  Requests
 * already made stay counted, and keys that were added are dropped.
 */
extern bool velt_cursor_restart(VeltCursor *cursor, VeltError *error);

/*
 * A filtered cursor takes further keys.  Whether it has use for some now, with
 * fewer requests at hand than it can make at once.
 */
extern bool velt_cursor_wants_key(const VeltCursor *cursor);

/* Returns how many keys a request can have now. */
extern int	velt_cursor_max_keys(const VeltCursor *cursor);

/*
 * Has it ask for these keys, in one request unless they are more than
 * velt_cursor_max_keys by then.  A single one is copied; several are borrowed
 * until all of them are done with.
 */
extern bool velt_cursor_add_keys(VeltCursor *cursor, const VeltString *keys,
								 size_t nkeys, void *tag, VeltError *error);

/*
 * Has requests leave that the bounds allow, for who is not going to ask for a
 * page now.  What is wrong with them velt_cursor_next_page will say.
 */
extern void velt_cursor_start(VeltCursor *cursor);

/*
 * The tag of the keys that the page handed up last is about, and how many of
 * them are done with by that page.
 */
extern void *velt_cursor_tag(const VeltCursor *cursor);
extern size_t velt_cursor_keys_done(const VeltCursor *cursor);

/* Whether all keys that it was given are done with, and all pages handed up. */
extern bool velt_cursor_is_idle(const VeltCursor *cursor);

/*
 * Whether velt_cursor_next_page can do something now.  If not, it says
 * VELT_CURSOR_WAIT until the transport was driven.
 */
extern bool velt_cursor_has_news(const VeltCursor *cursor);

#endif							/* VELT_CLIENT_CURSOR_H */
