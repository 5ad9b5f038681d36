/*
 * client/chain.h
 *		One question and the pages that answer it, one after the other.
 *
 * Knows what to ask for next, and when the answers go in circles.
 */
#ifndef VELT_CLIENT_CHAIN_H
#define VELT_CLIENT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "client/buffer.h"
#include "client/error.h"
#include "client/page.h"
#include "client/request.h"
#include "client/resource.h"

typedef struct VeltChain
{
	TAILQ_ENTRY(VeltChain) link;	/* the cursor's */
	const VeltString *keys;		/* the filter; NULL: none */
	size_t		nkeys;
	int			page_size;
	void	   *tag;			/* whose question it is, for the caller */
	bool		more;			/* there is a page to ask for */
	bool		returned;		/* the caller was given a page of it */
	bool		restarted;
	int64_t		npages;			/* pages that have come */
	int			nempty;			/* of these, the latest without a row */
	VeltBuffer	token;			/* of the page to ask for */

	/* an earlier token, to compare with, and when to take a later one */
	VeltBuffer	landmark;
	int64_t		landmark_page;
	VeltString	own_key;
	char		own_bytes[];
} VeltChain;

/*
 * The keys are borrowed (nkeys 0: no filter), but a single one is copied.
 * NULL when memory is out.
 */
extern VeltChain *velt_chain_create(const VeltString *keys, size_t nkeys,
									int page_size, VeltError *error);
extern void velt_chain_free(VeltChain *chain);

/* The body of the next request, malloc'd. */
extern char *velt_chain_request(const VeltChain *chain,
								const VeltResource *resource,
								VeltError *error);

/* The key that a single-key request is about; length 0 if it is none. */
extern VeltString velt_chain_key(const VeltChain *chain,
								 const VeltResource *resource);

/* The page asked for has come: sets "more" and the token to go on with. */
extern bool velt_chain_advance(VeltChain *chain, const VeltPage *page,
							   VeltError *error);

/* Makes the next request ask for the first page again. */
extern void velt_chain_restart(VeltChain *chain);

#endif							/* VELT_CLIENT_CHAIN_H */
