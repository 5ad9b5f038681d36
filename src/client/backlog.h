/*
 * client/backlog.h
 *		What a cursor has still to ask: chains, and keys to make chains of.
 *
 * Knows nothing of requests in flight.
 */
#ifndef VELT_CLIENT_BACKLOG_H
#define VELT_CLIENT_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "client/chain.h"
#include "client/error.h"
#include "client/page.h"
#include "client/request.h"
#include "client/resource.h"

TAILQ_HEAD(VeltChainList, VeltChain);

typedef struct VeltBacklog
{
	const VeltResource *resource;
	struct VeltChainList chains;	/* to be asked for their next page */
	int			nchains;
	VeltString *keys;			/* our copy of the filter's, in one chunk */
	size_t		nkeys;
	size_t		next_key;		/* of which no chain was made */
} VeltBacklog;

/* Copies the keys of a filter.  End it with velt_backlog_end in any case. */
extern bool velt_backlog_begin(VeltBacklog *backlog,
							   const VeltResource *resource,
							   const VeltString *keys, size_t nkeys,
							   VeltError *error);
extern void velt_backlog_end(VeltBacklog *backlog);

/* Drops all questions; those of the filter can be taken again. */
extern void velt_backlog_reset(VeltBacklog *backlog);

/*
 * Adds a question for these keys (nkeys 0: no filter), after or before all
 * others.  Several keys are borrowed until it is answered.
 */
extern bool velt_backlog_add(VeltBacklog *backlog, const VeltString *keys,
							 size_t nkeys, int page_size, void *tag,
							 VeltError *error);
extern bool velt_backlog_add_first(VeltBacklog *backlog,
								   const VeltString *keys, size_t nkeys,
								   int page_size, void *tag,
								   VeltError *error);

/*
 * Step to the next row of a page, and add a question for the key in it, which
 * is the row's first value.
 */
extern VeltPageStatus velt_backlog_add_listed(VeltBacklog *backlog,
											  VeltPage *page,
											  VeltError *error);

/* Takes a chain to be gone on with, before all others. */
extern void velt_backlog_return(VeltBacklog *backlog, VeltChain *chain);

/*
 * Sets *chain to the next question, now the caller's, or to NULL.  A request
 * of it has at most max_keys keys; the other keys stay in the backlog.
 */
extern bool velt_backlog_take(VeltBacklog *backlog, size_t max_keys,
							  VeltChain **chain, VeltError *error);

extern bool velt_backlog_is_empty(const VeltBacklog *backlog);

#endif							/* VELT_CLIENT_BACKLOG_H */
