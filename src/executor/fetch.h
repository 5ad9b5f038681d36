/*
 * executor/fetch.h
 *		A cursor and the hold on its session, let go of together.
 *
 * Both are beyond the reach of memory contexts: one reset callback frees
 * them, whatever ends the query.
 */
#ifndef VELT_EXECUTOR_FETCH_H
#define VELT_EXECUTOR_FETCH_H

#include "postgres.h"

#include "client/cursor.h"
#include "foreign/option.h"
#include "foreign/session.h"

typedef struct VeltFetch
{
	VeltSession *session;		/* NULL: nothing is held */
	VeltCursor *cursor;
	MemoryContextCallback cleanup;
} VeltFetch;

/* Arms the cleanup, before there is anything to clean up. */
extern void velt_fetch_init(VeltFetch *fetch, MemoryContext context);

/*
 * A spec for all rows of the resource, with the bounds that the settings
 * give; the session must be held.
 */
extern void velt_fetch_spec(const VeltFetch *fetch,
							const VeltResource *resource,
							const VeltSettings *settings,
							VeltScanStats *stats, VeltCursorSpec *spec);

extern bool velt_fetch_open(VeltFetch *fetch, const VeltCursorSpec *spec,
							VeltError *error);

/* The cursor's next page; waits for it, so never VELT_CURSOR_WAIT. */
extern VeltCursorStatus velt_fetch_next_page(VeltFetch *fetch,
											 VeltPage **page,
											 VeltError *error);

/* Ends what is in flight and lets go; raises no error. */
extern void velt_fetch_stop(VeltFetch *fetch);

#endif							/* VELT_EXECUTOR_FETCH_H */
