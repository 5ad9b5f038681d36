/*
 * executor/fetch.c
 *		A cursor and the hold on its session, let go of together.
 */
#include "postgres.h"

#include "executor/fetch.h"
#include "foreign/wait.h"

static void
cleanup_fetch(void *arg)
{
	velt_fetch_stop(arg);
}

void
velt_fetch_init(VeltFetch *fetch, MemoryContext context)
{
	fetch->session = NULL;
	fetch->cursor = NULL;
	fetch->cleanup.func = cleanup_fetch;
	fetch->cleanup.arg = fetch;
	MemoryContextRegisterResetCallback(context, &fetch->cleanup);
}

void
velt_fetch_spec(const VeltFetch *fetch, const VeltResource *resource,
				const VeltSettings *settings, VeltScanStats *stats,
				VeltCursorSpec *spec)
{
	memset(spec, 0, sizeof(*spec));
	spec->resource = resource;
	spec->page_size = settings->page_size;
	spec->max_concurrency = settings->max_concurrency;
	spec->max_requests = settings->max_requests;
	spec->max_response_bytes = settings->max_response_bytes;
	spec->limit = -1;
	spec->workspace_known = velt_session_workspace_known(fetch->session);
	spec->filter_limit = velt_session_filter_limit(fetch->session);
	spec->stats = stats;
}

bool
velt_fetch_open(VeltFetch *fetch, const VeltCursorSpec *spec,
				VeltError *error)
{
	Assert(fetch->cursor == NULL);
	fetch->cursor = velt_cursor_open(velt_session_transport(fetch->session),
									 spec, error);
	return fetch->cursor != NULL;
}

VeltCursorStatus
velt_fetch_next_page(VeltFetch *fetch, VeltPage **page, VeltError *error)
{
	VeltCursorStatus status;

	while ((status = velt_cursor_next_page(fetch->cursor, page, error)) ==
		   VELT_CURSOR_WAIT)
		velt_wait(fetch->session);
	return status;
}

void
velt_fetch_stop(VeltFetch *fetch)
{
	VeltSession *session = fetch->session;
	VeltCursor *cursor = fetch->cursor;

	fetch->session = NULL;
	fetch->cursor = NULL;
	velt_cursor_close(cursor);
	if (session)
		velt_session_release(session);
}
