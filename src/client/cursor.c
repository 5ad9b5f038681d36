/*
 * client/cursor.c
 *		A stream of pages: paging, prefetch, fan-out and its bounds.
 *
 * Requests wait in a queue.  A fetch is one page, from its request until the
 * caller is done with it.  Requests in flight and finished pages together
 * never exceed max_concurrency.
 *
 * A resource that must be asked key by key, without keys to ask for, has its
 * parent listed by a cursor of its own: the feeder.
 */
#include "client/cursor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "client/request_queue.h"

/* What a message shows of a key; it may be up to 8,192 bytes long. */
#define KEY_NAME_BYTES			128

typedef struct Fetch
{
	TAILQ_ENTRY(Fetch) link;
	VeltCursor *cursor;
	VeltRequest *request;
	VeltPage   *page;
	VeltTransfer *transfer;		/* NULL once it has ended */
	int64_t		number;			/* in the order of their start */
	int			attempts;
	size_t		held;			/* bytes in the page */
	void	   *tag;			/* the request's */
	bool		rowless;		/* there is nothing in the page */
	size_t		nkeys_done;		/* so many keys have no further page */
} Fetch;

typedef struct FetchList FetchList;

TAILQ_HEAD(FetchList, Fetch);

struct VeltCursor
{
	VeltTransport *transport;
	VeltCursorSpec spec;
	VeltCursor *root;			/* who counts requests: the outermost */
	VeltLayout *layout;

	VeltCursor *feeder;			/* lists the keys, or NULL */
	VeltPage   *listed;			/* its page whose keys are being asked for */
	VeltCursor *probe;			/* asks whether the workspace exists */

	VeltRequestQueue queue;
	FetchList	in_flight;
	FetchList	ready;			/* finished, in the order of finishing */
	FetchList	unused;			/* kept for their memory */
	int			nopen;			/* in flight or ready */
	Fetch	   *held;			/* with the caller */

	int			probed;			/* filter size to be tried alone; 0: none */
	int64_t		nstarted;
	int64_t		nrequests;
	int64_t		nhanded;		/* pages handed up, each with a row at least */
	bool		not_found;		/* a key was */
	bool		restarted;
	int64_t		failed_number;	/* of the fetch that failed; 0: none */
	VeltError	error;
};

static void pump(VeltCursor *cursor);

/* ----------
 * Opening and closing
 * ----------
 */

/* A cursor over all of another resource, that shares this one's bounds. */
static VeltCursor *
open_nested(VeltCursor *cursor, const VeltResource *resource,
			const char *const *pointers, int npointers, VeltError *error)
{
	VeltCursorSpec spec = cursor->spec;

	spec.resource = resource;
	spec.pointers = pointers;
	spec.npointers = npointers;
	spec.filtered = false;
	spec.nkeys = 0;
	spec.limit = -1;
	spec.within = cursor;
	spec.every_key = false;
	return velt_cursor_open(cursor->transport, &spec, error);
}

static bool
open_feeder(VeltCursor *cursor, VeltError *error)
{
	const VeltResource *resource = cursor->spec.resource;
	const char *pointer;

	if (!resource->filter_required || cursor->spec.filtered)
		return true;
	pointer = velt_resource_column(resource->parent,
								   resource->parent_column)->pointer;
	cursor->feeder = open_nested(cursor, resource->parent, &pointer, 1, error);
	return cursor->feeder != NULL;
}

static VeltLayout *
create_layout(const VeltCursor *cursor, VeltError *error)
{
	const VeltCursorSpec *spec = &cursor->spec;

	return velt_layout_create(spec->resource, spec->pointers, spec->npointers,
							  velt_transport_credentials(cursor->transport),
							  spec->max_response_bytes, error);
}

/* Adds the question for all rows, if that is what the cursor is for. */
static bool
add_list(VeltCursor *cursor, VeltError *error)
{
	return cursor->spec.filtered || cursor->spec.resource->filter_required ||
		velt_queue_add(&cursor->queue, NULL, 0, cursor->spec.page_size,
					   NULL, error);
}

VeltCursor *
velt_cursor_open(VeltTransport *transport, const VeltCursorSpec *spec,
				 VeltError *error)
{
	VeltCursor *cursor = calloc(1, sizeof(VeltCursor));

	if (cursor == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	cursor->transport = transport;
	cursor->spec = *spec;
	if (spec->resource->paged && spec->limit > 0 &&
		spec->limit < spec->page_size)
		cursor->spec.page_size = (int) spec->limit;
	cursor->root = spec->within ? spec->within->root : cursor;
	TAILQ_INIT(&cursor->in_flight);
	TAILQ_INIT(&cursor->ready);
	TAILQ_INIT(&cursor->unused);
	/* in this order, as the queue must be there to be ended whatever fails */
	if (velt_queue_begin(&cursor->queue, spec->resource, spec->keys,
						 spec->nkeys, error) &&
		(cursor->layout = create_layout(cursor, error)) != NULL &&
		open_feeder(cursor, error) && add_list(cursor, error))
		return cursor;
	velt_cursor_close(cursor);
	return NULL;
}

static void
free_fetches(FetchList *list)
{
	Fetch	   *fetch;

	while ((fetch = TAILQ_FIRST(list)) != NULL)
	{
		TAILQ_REMOVE(list, fetch, link);
		if (fetch->transfer != NULL)
		{
			velt_transfer_cancel(fetch->transfer);
			if (fetch->attempts > 0)
				fetch->cursor->spec.stats->in_flight--;
		}
		velt_transport_release(fetch->cursor->transport, fetch->held);
		velt_request_free(fetch->request);
		velt_page_free(fetch->page);
		free(fetch);
	}
}

void
velt_cursor_close(VeltCursor *cursor)
{
	if (cursor == NULL)
		return;
	if (cursor->held != NULL)
		TAILQ_INSERT_TAIL(&cursor->ready, cursor->held, link);
	free_fetches(&cursor->in_flight);
	free_fetches(&cursor->ready);
	free_fetches(&cursor->unused);
	velt_queue_end(&cursor->queue);
	velt_cursor_close(cursor->feeder);
	velt_cursor_close(cursor->probe);
	velt_layout_free(cursor->layout);
	free(cursor);
}

/* ----------
 * One fetch
 * ----------
 */

/* Forgets what the page holds. */
static void
empty_page(Fetch *fetch, VeltString key)
{
	velt_transport_release(fetch->cursor->transport, fetch->held);
	fetch->held = 0;
	velt_page_begin(fetch->page, key);
}

/* The fetch is over; its page, which is empty, may serve another. */
static void
retire(Fetch *fetch)
{
	empty_page(fetch, velt_string(NULL, 0));
	velt_request_free(fetch->request);
	fetch->request = NULL;
	TAILQ_INSERT_HEAD(&fetch->cursor->unused, fetch, link);
}

/* Put the request for the next page before all others in the queue. */
static void
continue_request(Fetch *fetch)
{
	velt_queue_return(&fetch->cursor->queue, fetch->request);
	fetch->request = NULL;
}

/* Cancels the requests that were started after that one. */
static void
cancel_later(VeltCursor *cursor, int64_t number)
{
	Fetch	   *fetch;
	Fetch	   *next;

	for (fetch = TAILQ_FIRST(&cursor->in_flight); fetch != NULL; fetch = next)
	{
		next = TAILQ_NEXT(fetch, link);
		if (fetch->number <= number)
			continue;
		velt_transfer_cancel(fetch->transfer);
		fetch->transfer = NULL;
		if (fetch->attempts > 0)
			cursor->spec.stats->in_flight--;
		TAILQ_REMOVE(&cursor->in_flight, fetch, link);
		cursor->nopen--;
		retire(fetch);
	}
}

/*
 * A request failed: no new ones, and those begun after it end.  Of several
 * that fail, the one begun first is reported, whichever failed first.
 */
static void
fail(VeltCursor *cursor, int64_t number, const VeltError *error)
{
	if (cursor->failed_number != 0 && cursor->failed_number < number)
		return;
	cursor->failed_number = number;
	cursor->error = *error;
	cancel_later(cursor, number);
}

/* Drops all requests, finished pages and questions. */
static void
drop_all(VeltCursor *cursor)
{
	Fetch	   *fetch;

	cancel_later(cursor, 0);
	while ((fetch = TAILQ_FIRST(&cursor->ready)) != NULL)
	{
		TAILQ_REMOVE(&cursor->ready, fetch, link);
		cursor->nopen--;
		retire(fetch);
	}
	if (cursor->held != NULL)
		cursor->held->request->more = false;
	velt_queue_reset(&cursor->queue);
	cursor->failed_number = 0;
	cursor->nhanded = 0;
	cursor->probed = 0;
}

bool
velt_cursor_restart(VeltCursor *cursor, VeltError *error)
{
	if (error->kind != VELT_ERROR_PAGE_TOKEN || cursor->restarted)
		return false;
	cursor->restarted = true;
	drop_all(cursor);
	return add_list(cursor, error);
}

static void
begin_attempt(void *owner)
{
	Fetch	   *fetch = owner;
	VeltCursor *cursor = fetch->cursor;
	VeltScanStats *stats = cursor->spec.stats;

	empty_page(fetch, velt_request_key(fetch->request, cursor->spec.resource));
	stats->requests++;
	if (fetch->attempts++ > 0)
		stats->retries++;
	else if (++stats->in_flight > stats->max_in_flight)
		stats->max_in_flight = stats->in_flight;
}

static bool
expect_bytes(void *owner, uint64_t length, VeltError *error)
{
	return velt_page_expect(((Fetch *) owner)->page, length, error);
}

static bool
receive_bytes(void *owner, int http_status, const char *bytes, size_t length,
			  VeltError *error)
{
	Fetch	   *fetch = owner;

	fetch->held += length;
	velt_transport_hold(fetch->cursor->transport, length);
	return velt_page_receive(fetch->page, http_status, bytes, length, error);
}

static bool
check_page(void *owner, int http_status, VeltError *error)
{
	Fetch	   *fetch = owner;
	int64_t		nrows;

	if (!velt_page_finish(fetch->page, http_status, error))
		return false;
	nrows = velt_page_nrows(fetch->page);
	return !fetch->cursor->spec.resource->paged ||
		nrows <= fetch->request->page_size ||
		velt_error_set(error, VELT_ERROR_PROTOCOL,
					   "The API replied with %lld rows where it was asked for at most %d.",
					   (long long) nrows, fetch->request->page_size);
}

/* The fetch is to go up, unless it has nothing to tell. */
static void
fetch_ready(Fetch *fetch)
{
	VeltCursor *cursor = fetch->cursor;

	if (fetch->rowless && !cursor->spec.every_key)
	{
		retire(fetch);
		return;
	}
	TAILQ_INSERT_TAIL(&cursor->ready, fetch, link);
	cursor->nopen++;
}

/* Notes that so many keys are not too many for one request. */
static void
filter_answered(VeltCursor *cursor, int nkeys)
{
	VeltFilterLimit *limit = cursor->spec.filter_limit;

	if (nkeys >= cursor->probed || nkeys >= limit->current)
		cursor->probed = 0;
	if (nkeys > limit->current)
		limit->current = nkeys;
}

/* A page has come. */
static void
fetch_succeeded(Fetch *fetch)
{
	VeltCursor *cursor = fetch->cursor;
	VeltError	error;
	bool		ok = velt_request_advance(fetch->request, fetch->page, &error);

	*cursor->spec.workspace_known = true;
	filter_answered(cursor, (int) fetch->request->nkeys);
	if (!ok)
	{
		velt_page_name_request(fetch->page, &error);
		fail(cursor, fetch->number, &error);
	}
	fetch->rowless = velt_page_nrows(fetch->page) == 0;
	fetch->nkeys_done = fetch->request->more ? 0 : fetch->request->nkeys;
	if (fetch->rowless && fetch->request->more)
	{
		continue_request(fetch);
		retire(fetch);
	}
	else
		fetch_ready(fetch);
}

/* Asks again for the keys of a failed request, in two requests. */
static bool
ask_in_halves(Fetch *fetch, VeltError *error)
{
	VeltCursor *cursor = fetch->cursor;
	VeltRequest *request = fetch->request;
	size_t		half = request->nkeys / 2;

	if (!velt_queue_add_first(&cursor->queue, request->keys + half,
							  request->nkeys - half,
							  (int) (request->nkeys - half), request->tag,
							  error) ||
		!velt_queue_add_first(&cursor->queue, request->keys, half,
							  (int) half, request->tag, error))
		return false;
	retire(fetch);
	return true;
}

/*
 * NOT_FOUND for keys that were asked for: of a single one, that there are no
 * rows; of several, nothing about each, so they are asked again in halves.
 */
static bool
keys_not_found(Fetch *fetch, VeltError *error)
{
	fetch->cursor->not_found = true;
	fetch->cursor->probed = 0;
	if (fetch->request->nkeys > 1)
		return ask_in_halves(fetch, error);
	fetch->request->more = false;
	fetch->rowless = true;
	fetch->nkeys_done = 1;
	fetch_ready(fetch);
	return true;
}

/*
 * Asks in halves for keys that the API refused to be asked for.  The reason
 * may be their number, so other requests get smaller too.
 */
static bool
filter_refused(Fetch *fetch, VeltError *error)
{
	VeltFilterLimit *limit = fetch->cursor->spec.filter_limit;
	int			half = (int) (fetch->request->nkeys + 1) / 2;

	if (half < limit->current)
		limit->current = half;
	fetch->cursor->probed = half;
	return ask_in_halves(fetch, error);
}

/*
 * Names the refused key in the error.  It may be the reason why filters that
 * it was in were refused, so the limit learned from those is void.
 */
static void
key_refused(const Fetch *fetch, VeltError *error)
{
	const VeltCursor *cursor = fetch->cursor;
	VeltString	key = fetch->request->keys[0];
	char		name[KEY_NAME_BYTES];

	if (cursor->spec.resource->filter_max > 1)
		cursor->spec.filter_limit->current =
			cursor->spec.filter_limit->configured;
	velt_error_clean_text(name, sizeof(name), key.bytes, key.length,
						  velt_transport_credentials(cursor->transport));
	velt_error_append(error, "The request was for the key \"%s\".", name);
}

/* The API's own word, or that of a server before it for a long body. */
static bool
is_refusal(const VeltError *error)
{
	return error->kind == VELT_ERROR_INVALID_ARGUMENT ||
		error->kind == VELT_ERROR_REQUEST_SIZE;
}

/* Goes on after a failed request for keys; false with *error if it cannot. */
static bool
recover_keys(Fetch *fetch, VeltError *error)
{
	if (error->kind == VELT_ERROR_NOT_FOUND && error->enveloped)
		return keys_not_found(fetch, error);
	if (!is_refusal(error))
		return false;
	if (fetch->request->nkeys > 1)
		return filter_refused(fetch, error);
	key_refused(fetch, error);
	return false;
}

/*
 * Goes on after a failed request for a following page.  The first page was
 * answered, so a refusal is about the page token, which may have expired.
 */
static bool
recover_list(Fetch *fetch, VeltError *error)
{
	VeltRequest *request = fetch->request;

	if (error->kind != VELT_ERROR_INVALID_ARGUMENT &&
		error->kind != VELT_ERROR_INVALID_REQUEST &&
		error->kind != VELT_ERROR_NOT_FOUND)
		return false;
	error->kind = VELT_ERROR_PAGE_TOKEN;
	if (request->returned || request->restarted)
		return false;
	velt_request_restart(request);
	continue_request(fetch);
	retire(fetch);
	return true;
}

static void
fetch_failed(Fetch *fetch, const VeltError *error)
{
	const VeltRequest *request = fetch->request;
	VeltError	final = *error;

	if (request->npages > 0 ? recover_list(fetch, &final) :
		request->nkeys > 0 && recover_keys(fetch, &final))
		return;
	fail(fetch->cursor, fetch->number, &final);
	retire(fetch);
}

static void
fetch_done(void *owner, const VeltOutcome *outcome)
{
	Fetch	   *fetch = owner;
	VeltCursor *cursor = fetch->cursor;

	fetch->transfer = NULL;
	TAILQ_REMOVE(&cursor->in_flight, fetch, link);
	cursor->nopen--;
	cursor->spec.stats->in_flight--;
	cursor->spec.stats->bytes_received += outcome->bytes_received;
	velt_page_set_request_id(fetch->page, outcome->request_id);
	if (outcome->error == NULL)
		fetch_succeeded(fetch);
	else
		fetch_failed(fetch, outcome->error);
	pump(cursor);
}

static const VeltSink fetch_sink = {
	.begin = begin_attempt,
	.expect = expect_bytes,
	.receive = receive_bytes,
	.check = check_page,
	.done = fetch_done,
};

/* ----------
 * Starting requests
 * ----------
 */

static Fetch *
take_fetch(VeltCursor *cursor, VeltError *error)
{
	Fetch	   *fetch = TAILQ_FIRST(&cursor->unused);

	if (fetch != NULL)
	{
		TAILQ_REMOVE(&cursor->unused, fetch, link);
		return fetch;
	}
	fetch = calloc(1, sizeof(Fetch));
	if (fetch == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	fetch->cursor = cursor;
	fetch->page = velt_page_create(cursor->layout, error);
	if (fetch->page != NULL)
		return fetch;
	free(fetch);
	return NULL;
}

/* Counts a request against max_requests. */
static bool
spend_request(VeltCursor *cursor, VeltError *error)
{
	VeltCursor *root = cursor->root;

	if (root->spec.max_requests > 0 &&
		root->nrequests >= root->spec.max_requests)
		return velt_error_set(error, VELT_ERROR_MAX_REQUESTS,
							  "The scan needs more requests than its limit of %lld.",
							  (long long) root->spec.max_requests);
	root->nrequests++;
	return true;
}

/* Start a request, which is the fetch's from now on, also if that fails. */
static bool
start_fetch(VeltCursor *cursor, VeltRequest *request, VeltError *error)
{
	Fetch	   *fetch = NULL;
	char	   *body = NULL;

	if (spend_request(cursor, error))
		fetch = take_fetch(cursor, error);
	if (fetch != NULL)
		body = velt_request_body(request, cursor->spec.resource, error);
	if (fetch == NULL || body == NULL)
	{
		velt_request_free(request);
		if (fetch != NULL)
			TAILQ_INSERT_HEAD(&cursor->unused, fetch, link);
		return false;
	}
	fetch->request = request;
	fetch->tag = request->tag;
	fetch->rowless = false;
	fetch->number = ++cursor->nstarted;
	fetch->attempts = 0;
	fetch->transfer = velt_transport_submit(cursor->transport,
											cursor->spec.resource->path, body,
											&fetch_sink, fetch, error);
	if (fetch->transfer == NULL)
	{
		if (fetch->attempts > 0)
			cursor->spec.stats->in_flight--;
		retire(fetch);
		return false;
	}
	TAILQ_INSERT_TAIL(&cursor->in_flight, fetch, link);
	cursor->nopen++;
	return true;
}

/* Lists the keys again, unless rows of some have been returned. */
static bool
restart_feeder(VeltCursor *cursor, VeltError *error)
{
	if (cursor->nhanded > 0 || !velt_cursor_restart(cursor->feeder, error))
		return false;
	drop_all(cursor);
	cursor->listed = NULL;
	return true;
}

/* Ask the feeder for its next page; *wait if none has come. */
static bool
next_listed(VeltCursor *cursor, bool *wait, VeltError *error)
{
	cursor->listed = NULL;
	switch (velt_cursor_next_page(cursor->feeder, &cursor->listed, error))
	{
		case VELT_CURSOR_PAGE:
			return true;
		case VELT_CURSOR_WAIT:
			*wait = true;
			return true;
		case VELT_CURSOR_END:
			velt_cursor_close(cursor->feeder);
			cursor->feeder = NULL;
			return true;
		case VELT_CURSOR_FAILED:
			return restart_feeder(cursor, error);
	}
	return false;
}

/* Take the next key from the feeder's page; *wait if that goes on later. */
static bool
refill_from_page(VeltCursor *cursor, bool *wait, VeltError *error)
{
	VeltPageStatus status = VELT_PAGE_END;

	if (cursor->listed != NULL)
		status = velt_queue_add_listed(&cursor->queue, cursor->listed,
									   error);
	if (status == VELT_PAGE_END)
		return next_listed(cursor, wait, error);
	if (status == VELT_PAGE_MORE)
	{
		velt_transport_drive_soon(cursor->transport);
		*wait = true;
	}
	return status != VELT_PAGE_FAILED;
}

/* Keep enough keys in the queue that no request waits for the feeder's. */
static bool
refill(VeltCursor *cursor, VeltError *error)
{
	bool		wait = false;

	while (cursor->feeder != NULL && !wait &&
		   cursor->queue.nrequests < cursor->spec.max_concurrency)
	{
		if (!refill_from_page(cursor, &wait, error))
			return false;
	}
	return true;
}

int
velt_cursor_max_keys(const VeltCursor *cursor)
{
	int			most = cursor->spec.filter_limit->current;

	return most < cursor->spec.resource->filter_max ? most :
		cursor->spec.resource->filter_max;
}

/*
 * How many requests may be in flight or finished.  While it is unknown how
 * many keys a request can have, one finds out.  Under a limit no more than
 * can be needed, if each brings a row; with all wanted rows handed up, one
 * for a caller that is done with them and goes on asking all the same.
 */
static int
open_allowed(const VeltCursor *cursor)
{
	int64_t		left = cursor->spec.limit - cursor->nhanded;
	int			most = cursor->probed > 0 ? 1 : cursor->spec.max_concurrency;

	if (cursor->spec.limit < 0 || left >= most)
		return most;
	if (left > 0)
		return (int) left;
	return cursor->held == NULL ? 1 : 0;
}

/* Starts what the bounds allow. */
static void
pump(VeltCursor *cursor)
{
	VeltError	error;

	while (cursor->failed_number == 0 &&
		   cursor->nopen < open_allowed(cursor))
	{
		VeltRequest *request;
		bool		ok = (refill(cursor, &error) &&
						  velt_queue_take(&cursor->queue,
										  velt_cursor_max_keys(cursor),
										  &request, &error));

		if (ok && request == NULL)
			return;
		if (!ok || !start_fetch(cursor, request, &error))
			fail(cursor, cursor->nstarted + 1, &error);
	}
}

/* ----------
 * Handing up
 * ----------
 */

/* The caller is done with its page. */
static void
take_back(VeltCursor *cursor)
{
	Fetch	   *fetch = cursor->held;

	cursor->held = NULL;
	if (fetch == NULL)
		return;
	if (fetch->request != NULL && fetch->request->more)
		continue_request(fetch);
	retire(fetch);
}

/*
 * Hands up a finished page.  From the second page of a list on, the request
 * for the next one leaves before this one's rows are looked at; the first
 * page might be all that the caller wants.
 */
static VeltPage *
hand_up(VeltCursor *cursor)
{
	Fetch	   *fetch = TAILQ_FIRST(&cursor->ready);

	TAILQ_REMOVE(&cursor->ready, fetch, link);
	cursor->nopen--;
	cursor->nhanded++;
	cursor->held = fetch;
	fetch->request->returned = true;
	if (fetch->request->more && fetch->request->npages > 1 &&
		(cursor->spec.limit < 0 ||
		 fetch->request->npages * fetch->request->page_size < cursor->spec.limit))
	{
		VeltString	key = velt_page_key(fetch->page);

		/* the page's key is the request's own memory, which may go first */
		if (key.length == 0)
			continue_request(fetch);
	}
	pump(cursor);
	return fetch->rowless ? NULL : fetch->page;
}

/*
 * All is done.  If keys were not found, and the session has had no other
 * answer yet, it may be the workspace that does not exist.
 */
static VeltCursorStatus
finish(VeltCursor *cursor, VeltError *error)
{
	VeltCursorStatus status;
	VeltPage   *page;

	if (!cursor->not_found || *cursor->spec.workspace_known)
		return VELT_CURSOR_END;
	if (cursor->probe == NULL)
		cursor->probe = open_nested(cursor, velt_workspace_resource, NULL, 0,
									error);
	if (cursor->probe == NULL)
		return VELT_CURSOR_FAILED;
	status = velt_cursor_next_page(cursor->probe, &page, error);
	return status == VELT_CURSOR_PAGE ? VELT_CURSOR_END : status;
}

VeltCursorStatus
velt_cursor_next_page(VeltCursor *cursor, VeltPage **page, VeltError *error)
{
	take_back(cursor);
	pump(cursor);
	if (!TAILQ_EMPTY(&cursor->ready))
	{
		*page = hand_up(cursor);
		return VELT_CURSOR_PAGE;
	}
	if (!TAILQ_EMPTY(&cursor->in_flight))
		return VELT_CURSOR_WAIT;
	if (cursor->failed_number != 0)
	{
		*error = cursor->error;
		return VELT_CURSOR_FAILED;
	}
	if (cursor->feeder != NULL)
		return VELT_CURSOR_WAIT;
	return finish(cursor, error);
}

bool
velt_cursor_wants_key(const VeltCursor *cursor)
{
	return cursor->failed_number == 0 &&
		cursor->queue.nrequests < cursor->spec.max_concurrency;
}

bool
velt_cursor_add_keys(VeltCursor *cursor, const VeltString *keys,
					 size_t nkeys, void *tag, VeltError *error)
{
	return velt_queue_add(&cursor->queue, keys, nkeys, (int) nkeys, tag,
						  error);
}

void
velt_cursor_start(VeltCursor *cursor)
{
	pump(cursor);
}

void *
velt_cursor_tag(const VeltCursor *cursor)
{
	return cursor->held ? cursor->held->tag : NULL;
}

size_t
velt_cursor_keys_done(const VeltCursor *cursor)
{
	return cursor->held ? cursor->held->nkeys_done : 0;
}

bool
velt_cursor_is_idle(const VeltCursor *cursor)
{
	return cursor->failed_number == 0 &&
		velt_queue_is_empty(&cursor->queue) && cursor->feeder == NULL &&
		TAILQ_EMPTY(&cursor->in_flight) && TAILQ_EMPTY(&cursor->ready);
}

bool
velt_cursor_has_news(const VeltCursor *cursor)
{
	const VeltCursor *feeder = cursor->feeder;

	if (!TAILQ_EMPTY(&cursor->ready))
		return true;
	/* keys have come, and there is room to ask for what they have */
	if (feeder != NULL && cursor->failed_number == 0 &&
		cursor->nopen < open_allowed(cursor) &&
		(cursor->listed != NULL || velt_cursor_has_news(feeder)))
		return true;
	if (!TAILQ_EMPTY(&cursor->in_flight))
		return false;
	if (cursor->failed_number != 0)
		return true;
	return feeder == NULL &&
		(cursor->probe == NULL || velt_cursor_has_news(cursor->probe));
}
