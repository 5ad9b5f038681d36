/*
 * client/request_queue.h
 *		Requests that a pager has still to make, and their bodies.
 *
 * A request is for a list or for keys.  When its response names a next page
 * it becomes the request for that one.  The queue makes requests of a
 * filter's keys as they are taken.
 */
#ifndef VELT_CLIENT_REQUEST_QUEUE_H
#define VELT_CLIENT_REQUEST_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "client/buffer.h"
#include "client/error.h"
#include "client/page.h"
#include "client/resource.h"

typedef struct VeltRequest
{
	TAILQ_ENTRY(VeltRequest) link;	/* in the queue */
	const VeltString *keys;		/* the filter; NULL: none */
	size_t		nkeys;
	int			page_size;
	void	   *tag;			/* the caller's */
	bool		more;			/* there is a page to ask for */
	bool		returned;		/* the caller was given a page of it */
	bool		restarted;
	int64_t		npages;			/* pages received so far */
	int			nempty;			/* consecutive empty pages so far */
	VeltBuffer	token;			/* of the page to ask for */

	/* an earlier token, to compare with, and when to take a later one */
	VeltBuffer	landmark;
	int64_t		landmark_page;
	VeltString	own_key;
	char		own_bytes[];
} VeltRequest;

/*
 * Create a request for keys (nkeys 0: no filter), which are borrowed; but a
 * single one is copied.  NULL when memory is out.
 */
extern VeltRequest *velt_request_create(const VeltString *keys, size_t nkeys,
										int page_size, VeltError *error);
extern void velt_request_free(VeltRequest *request);

/* Return the request's body: free() it.  NULL when memory is out. */
extern char *velt_request_body(const VeltRequest *request,
							   const VeltResource *resource,
							   VeltError *error);

/* Return the key that a single-key request is about; length 0 if it is none. */
extern VeltString velt_request_key(const VeltRequest *request,
								   const VeltResource *resource);

/* The page has been received: set "more" and the token of the next one. */
extern bool velt_request_advance(VeltRequest *request, const VeltPage *page,
								 VeltError *error);

/* Ask for the first page again. */
extern void velt_request_restart(VeltRequest *request);

TAILQ_HEAD(VeltRequestList, VeltRequest);

typedef struct VeltRequestQueue
{
	const VeltResource *resource;
	struct VeltRequestList requests;
	int			nrequests;
	VeltString *keys;			/* copy of the filter's keys, in one chunk */
	size_t		nkeys;
	size_t		next_key;		/* first key without a request */
} VeltRequestQueue;

/* Copies the keys of a filter.  End it with velt_queue_end in any case. */
extern bool velt_queue_begin(VeltRequestQueue *queue,
							 const VeltResource *resource,
							 const VeltString *keys, size_t nkeys,
							 VeltError *error);
extern void velt_queue_end(VeltRequestQueue *queue);

/* Drop all requests; those for the filter's keys can be taken again. */
extern void velt_queue_reset(VeltRequestQueue *queue);

/*
 * Add a request for these keys (nkeys 0: no filter), after or before all
 * others.  Several keys are borrowed until it is answered.
 */
extern bool velt_queue_add(VeltRequestQueue *queue, const VeltString *keys,
						   size_t nkeys, int page_size, void *tag,
						   VeltError *error);
extern bool velt_queue_add_first(VeltRequestQueue *queue,
								 const VeltString *keys, size_t nkeys,
								 int page_size, void *tag, VeltError *error);

/*
 * Step to the next row of a page, and add a request for the key in it, which
 * is the row's first value.
 */
extern VeltPageStatus velt_queue_add_listed(VeltRequestQueue *queue,
											VeltPage *page, VeltError *error);

/* Put a request back, for its next page, before all others. */
extern void velt_queue_return(VeltRequestQueue *queue, VeltRequest *request);

/*
 * Set *request to the next request, which is the caller's then, or to NULL.
 * It has at most max_keys keys; the other keys stay in the queue.
 */
extern bool velt_queue_take(VeltRequestQueue *queue, size_t max_keys,
							VeltRequest **request, VeltError *error);

extern bool velt_queue_is_empty(const VeltRequestQueue *queue);

#endif							/* VELT_CLIENT_REQUEST_QUEUE_H */
