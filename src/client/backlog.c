/*
 * client/backlog.c
 *		What a cursor has still to ask: chains, and keys to make chains of.
 */
#include "client/backlog.h"

#include <stdlib.h>
#include <string.h>

bool
velt_backlog_begin(VeltBacklog *backlog, const VeltResource *resource,
				   const VeltString *keys, size_t nkeys, VeltError *error)
{
	size_t		size = nkeys * sizeof(VeltString);
	char	   *bytes;

	memset(backlog, 0, sizeof(*backlog));
	backlog->resource = resource;
	TAILQ_INIT(&backlog->chains);
	if (nkeys == 0)
		return true;
	for (size_t i = 0; i < nkeys; i++)
		size += keys[i].length;
	backlog->keys = malloc(size);
	if (backlog->keys == NULL)
		return velt_error_out_of_memory(error);
	backlog->nkeys = nkeys;
	bytes = (char *) (backlog->keys + nkeys);
	for (size_t i = 0; i < nkeys; i++)
	{
		memcpy(bytes, keys[i].bytes, keys[i].length);
		backlog->keys[i].bytes = bytes;
		backlog->keys[i].length = keys[i].length;
		bytes += keys[i].length;
	}
	return true;
}

void
velt_backlog_reset(VeltBacklog *backlog)
{
	VeltChain  *chain;

	while ((chain = TAILQ_FIRST(&backlog->chains)) != NULL)
	{
		TAILQ_REMOVE(&backlog->chains, chain, link);
		velt_chain_free(chain);
	}
	backlog->nchains = 0;
	backlog->next_key = 0;
}

void
velt_backlog_end(VeltBacklog *backlog)
{
	velt_backlog_reset(backlog);
	free(backlog->keys);
}

bool
velt_backlog_add(VeltBacklog *backlog, const VeltString *keys, size_t nkeys,
				 int page_size, void *tag, VeltError *error)
{
	VeltChain  *chain = velt_chain_create(keys, nkeys, page_size, error);

	if (chain == NULL)
		return false;
	chain->tag = tag;
	TAILQ_INSERT_TAIL(&backlog->chains, chain, link);
	backlog->nchains++;
	return true;
}

void
velt_backlog_return(VeltBacklog *backlog, VeltChain *chain)
{
	TAILQ_INSERT_HEAD(&backlog->chains, chain, link);
	backlog->nchains++;
}

bool
velt_backlog_add_first(VeltBacklog *backlog, const VeltString *keys,
					   size_t nkeys, int page_size, void *tag,
					   VeltError *error)
{
	VeltChain  *chain = velt_chain_create(keys, nkeys, page_size, error);

	if (chain == NULL)
		return false;
	chain->tag = tag;
	velt_backlog_return(backlog, chain);
	return true;
}

/* A row can be shown without a key, but not be asked about. */
static bool
read_key(VeltPage *page, VeltString *key, VeltError *error)
{
	VeltJsonSpan span = velt_page_value(page, 0);

	if (span.kind == VELT_JSON_STRING)
		return velt_page_string(page, span, key, error);
	velt_error_set(error, VELT_ERROR_PROTOCOL,
				   "The response is not of the documented shape: %s.",
				   span.kind <= VELT_JSON_NULL ? "a row has no key" :
				   "a row's key is no string");
	velt_page_name_request(page, error);
	return false;
}

VeltPageStatus
velt_backlog_add_listed(VeltBacklog *backlog, VeltPage *page,
						VeltError *error)
{
	VeltPageStatus status = velt_page_next_row(page, error);
	VeltString	key;

	if (status == VELT_PAGE_FOUND &&
		(!read_key(page, &key, error) ||
		 !velt_backlog_add(backlog, &key, 1, 0, NULL, error)))
		return VELT_PAGE_FAILED;
	return status;
}

/* Adds the next slice of the filter, if one is left. */
static bool
add_slice(VeltBacklog *backlog, size_t max_keys, VeltError *error)
{
	size_t		left = backlog->nkeys - backlog->next_key;
	size_t		nkeys = left < max_keys ? left : max_keys;

	if (nkeys == 0)
		return true;
	/* a filtered request's page holds all it can answer with */
	if (!velt_backlog_add(backlog, backlog->keys + backlog->next_key, nkeys,
						  (int) nkeys, NULL, error))
		return false;
	backlog->next_key += nkeys;
	return true;
}

/* Moves the first keys of the first chain to a chain of their own. */
static bool
split_first(VeltBacklog *backlog, size_t nkeys, VeltError *error)
{
	VeltChain  *rest = TAILQ_FIRST(&backlog->chains);
	const VeltString *keys = rest->keys;

	if (!velt_backlog_add_first(backlog, keys, nkeys, (int) nkeys, rest->tag,
								error))
		return false;
	rest->keys += nkeys;
	rest->nkeys -= nkeys;
	rest->page_size = (int) rest->nkeys;
	return true;
}

bool
velt_backlog_take(VeltBacklog *backlog, size_t max_keys, VeltChain **chain,
				  VeltError *error)
{
	VeltChain  *first;

	*chain = NULL;
	if (backlog->nchains == 0 && !add_slice(backlog, max_keys, error))
		return false;
	first = TAILQ_FIRST(&backlog->chains);
	if (first == NULL)
		return true;
	/* a page token is good for the filter that it came with */
	if (first->npages == 0 && first->nkeys > max_keys &&
		!split_first(backlog, max_keys, error))
		return false;
	*chain = TAILQ_FIRST(&backlog->chains);
	TAILQ_REMOVE(&backlog->chains, *chain, link);
	backlog->nchains--;
	return true;
}

bool
velt_backlog_is_empty(const VeltBacklog *backlog)
{
	return backlog->nchains == 0 && backlog->next_key == backlog->nkeys;
}
