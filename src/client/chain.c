/*
 * client/chain.c
 *		One question and the pages that answer it, one after the other.
 */
#include "client/chain.h"

#include <stdlib.h>
#include <string.h>

/*
 * An empty page is not the end, only a missing token is; but a server that
 * sends nothing else is stuck.
 */
#define MAX_EMPTY_PAGES		1000

VeltChain *
velt_chain_create(const VeltString *keys, size_t nkeys, int page_size,
				  VeltError *error)
{
	size_t		own = nkeys == 1 ? keys[0].length : 0;
	VeltChain  *chain = calloc(1, offsetof(VeltChain, own_bytes) + own + 1);

	if (chain == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	chain->keys = keys;
	chain->nkeys = nkeys;
	chain->page_size = page_size;
	chain->more = true;
	if (nkeys == 1)
	{
		memcpy(chain->own_bytes, keys[0].bytes, own);
		chain->own_key.bytes = chain->own_bytes;
		chain->own_key.length = own;
		chain->keys = &chain->own_key;
	}
	return chain;
}

void
velt_chain_free(VeltChain *chain)
{
	if (chain == NULL)
		return;
	velt_buffer_free(&chain->token);
	velt_buffer_free(&chain->landmark);
	free(chain);
}

char *
velt_chain_request(const VeltChain *chain, const VeltResource *resource,
				   VeltError *error)
{
	VeltString	token = {chain->token.data, chain->token.length};

	return velt_request_body(resource, chain->keys, chain->nkeys,
							 chain->page_size, token, error);
}

VeltString
velt_chain_key(const VeltChain *chain, const VeltResource *resource)
{
	if (resource->filter_max == 1 && chain->nkeys == 1)
		return chain->own_key;
	return velt_string(NULL, 0);
}

static bool
same_bytes(const VeltBuffer *a, const VeltBuffer *b)
{
	return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

/*
 * Whether tokens repeat, in a cycle of whatever length, with the memory of
 * one: each token is compared with a landmark, which moves on to the latest
 * token after 1, 2, 4, 8, ... pages (Brent's algorithm).
 */
static bool
check_cycle(VeltChain *chain, VeltError *error)
{
	if (chain->landmark.length > 0 &&
		same_bytes(&chain->token, &chain->landmark))
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  "The API replied with a page token that it had sent before.");
	if (chain->npages < chain->landmark_page)
		return true;
	chain->landmark_page = chain->npages * 2;
	chain->landmark.length = 0;
	return velt_buffer_append(&chain->landmark, chain->token.data,
							  chain->token.length) ||
		velt_error_out_of_memory(error);
}

bool
velt_chain_advance(VeltChain *chain, const VeltPage *page, VeltError *error)
{
	chain->more = false;
	chain->npages++;
	chain->nempty = velt_page_nrows(page) == 0 ? chain->nempty + 1 : 0;
	if (!velt_page_next_token(page, &chain->token, error))
		return false;
	if (chain->token.length == 0)
		return true;
	if (chain->nempty >= MAX_EMPTY_PAGES)
		return velt_error_set(error, VELT_ERROR_EMPTY_PAGES,
							  "The API replied with %d pages in a row that were empty but not the last.",
							  MAX_EMPTY_PAGES);
	if (!check_cycle(chain, error))
		return false;
	chain->more = true;
	return true;
}

void
velt_chain_restart(VeltChain *chain)
{
	chain->more = true;
	chain->npages = 0;
	chain->nempty = 0;
	chain->token.length = 0;
	chain->landmark.length = 0;
	chain->landmark_page = 0;
	chain->restarted = true;
}
