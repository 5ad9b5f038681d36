/*
 * client/request_queue.c
 *		Requests that a pager has still to make, and their bodies.
 */
#include "client/request_queue.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/*
 * An empty page is not the end, only a missing token is; but a server that
 * sends nothing else is stuck.
 */
#define MAX_EMPTY_PAGES		1000

/* ----------
 * Bodies
 * ----------
 */

/* Adds value under name; takes value over in any case. */
static bool
add_member(struct json_object *object, const char *name,
		   struct json_object *value)
{
	if (value != NULL && json_object_object_add(object, name, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static struct json_object *
json_string(VeltString string)
{
	return json_object_new_string_len(string.bytes, (int) string.length);
}

static struct json_object *
json_array(const VeltString *strings, size_t nstrings)
{
	struct json_object *array = json_object_new_array_ext((int) nstrings);

	for (size_t i = 0; array != NULL && i < nstrings; i++)
	{
		struct json_object *string = json_string(strings[i]);

		if (string == NULL || json_object_array_add(array, string) != 0)
		{
			json_object_put(string);
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

static bool
fill_data(struct json_object *data, const VeltRequest *request,
		  const VeltResource *resource)
{
	VeltString	token = {request->token.data, request->token.length};

	if (request->nkeys > 0 &&
		!add_member(data, resource->filter_member,
					resource->filter_max == 1 ?
					json_string(request->keys[0]) :
					json_array(request->keys, request->nkeys)))
		return false;
	if (resource->paged &&
		!add_member(data, "pageSize",
					json_object_new_int(request->page_size)))
		return false;
	return token.length == 0 ||
		add_member(data, "pageToken", json_string(token));
}

char *
velt_request_body(const VeltRequest *request, const VeltResource *resource,
				  VeltError *error)
{
	struct json_object *data = json_object_new_object();
	struct json_object *document = json_object_new_object();
	const char *text = NULL;
	char	   *body = NULL;

	if (data == NULL || document == NULL ||
		!fill_data(data, request, resource))
		json_object_put(data);
	else if (add_member(document, "data", data))
		text = json_object_to_json_string_ext(document,
											  JSON_C_TO_STRING_PLAIN |
											  JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text != NULL)
		body = strdup(text);
	json_object_put(document);
	if (body == NULL)
		velt_error_out_of_memory(error);
	return body;
}

/* ----------
 * A request, and the requests for the pages that follow
 * ----------
 */

VeltRequest *
velt_request_create(const VeltString *keys, size_t nkeys, int page_size,
					VeltError *error)
{
	size_t		own = nkeys == 1 ? keys[0].length : 0;
	VeltRequest *request = calloc(1, offsetof(VeltRequest, own_bytes) + own + 1);

	if (request == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	request->keys = keys;
	request->nkeys = nkeys;
	request->page_size = page_size;
	request->more = true;
	if (nkeys == 1)
	{
		memcpy(request->own_bytes, keys[0].bytes, own);
		request->own_key.bytes = request->own_bytes;
		request->own_key.length = own;
		request->keys = &request->own_key;
	}
	return request;
}

void
velt_request_free(VeltRequest *request)
{
	if (request == NULL)
		return;
	velt_buffer_free(&request->token);
	velt_buffer_free(&request->landmark);
	free(request);
}

VeltString
velt_request_key(const VeltRequest *request, const VeltResource *resource)
{
	if (resource->filter_max == 1 && request->nkeys == 1)
		return request->own_key;
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
check_cycle(VeltRequest *request, VeltError *error)
{
	if (request->landmark.length > 0 &&
		same_bytes(&request->token, &request->landmark))
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  "The API replied with a page token that it had sent before.");
	if (request->npages < request->landmark_page)
		return true;
	request->landmark_page = request->npages * 2;
	request->landmark.length = 0;
	return velt_buffer_append(&request->landmark, request->token.data,
							  request->token.length) ||
		velt_error_out_of_memory(error);
}

bool
velt_request_advance(VeltRequest *request, const VeltPage *page, VeltError *error)
{
	request->more = false;
	request->npages++;
	request->nempty = velt_page_nrows(page) == 0 ? request->nempty + 1 : 0;
	if (!velt_page_next_token(page, &request->token, error))
		return false;
	if (request->token.length == 0)
		return true;
	if (request->nempty >= MAX_EMPTY_PAGES)
		return velt_error_set(error, VELT_ERROR_EMPTY_PAGES,
							  "The API replied with %d pages in a row that were empty but not the last.",
							  MAX_EMPTY_PAGES);
	if (!check_cycle(request, error))
		return false;
	request->more = true;
	return true;
}

void
velt_request_restart(VeltRequest *request)
{
	request->more = true;
	request->npages = 0;
	request->nempty = 0;
	request->token.length = 0;
	request->landmark.length = 0;
	request->landmark_page = 0;
	request->restarted = true;
}

/* ----------
 * The queue
 * ----------
 */

bool
velt_queue_begin(VeltRequestQueue *queue, const VeltResource *resource,
				 const VeltString *keys, size_t nkeys, VeltError *error)
{
	size_t		size = nkeys * sizeof(VeltString);
	char	   *bytes;

	memset(queue, 0, sizeof(*queue));
	queue->resource = resource;
	TAILQ_INIT(&queue->requests);
	if (nkeys == 0)
		return true;
	for (size_t i = 0; i < nkeys; i++)
		size += keys[i].length;
	queue->keys = malloc(size);
	if (queue->keys == NULL)
		return velt_error_out_of_memory(error);
	queue->nkeys = nkeys;
	bytes = (char *) (queue->keys + nkeys);
	for (size_t i = 0; i < nkeys; i++)
	{
		memcpy(bytes, keys[i].bytes, keys[i].length);
		queue->keys[i].bytes = bytes;
		queue->keys[i].length = keys[i].length;
		bytes += keys[i].length;
	}
	return true;
}

void
velt_queue_reset(VeltRequestQueue *queue)
{
	VeltRequest *request;

	while ((request = TAILQ_FIRST(&queue->requests)) != NULL)
	{
		TAILQ_REMOVE(&queue->requests, request, link);
		velt_request_free(request);
	}
	queue->nrequests = 0;
	queue->next_key = 0;
}

void
velt_queue_end(VeltRequestQueue *queue)
{
	velt_queue_reset(queue);
	free(queue->keys);
}

bool
velt_queue_add(VeltRequestQueue *queue, const VeltString *keys, size_t nkeys,
			   int page_size, void *tag, VeltError *error)
{
	VeltRequest *request = velt_request_create(keys, nkeys, page_size, error);

	if (request == NULL)
		return false;
	request->tag = tag;
	TAILQ_INSERT_TAIL(&queue->requests, request, link);
	queue->nrequests++;
	return true;
}

void
velt_queue_return(VeltRequestQueue *queue, VeltRequest *request)
{
	TAILQ_INSERT_HEAD(&queue->requests, request, link);
	queue->nrequests++;
}

bool
velt_queue_add_first(VeltRequestQueue *queue, const VeltString *keys,
					 size_t nkeys, int page_size, void *tag,
					 VeltError *error)
{
	VeltRequest *request = velt_request_create(keys, nkeys, page_size, error);

	if (request == NULL)
		return false;
	request->tag = tag;
	velt_queue_return(queue, request);
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
velt_queue_add_listed(VeltRequestQueue *queue, VeltPage *page,
					  VeltError *error)
{
	VeltPageStatus status = velt_page_next_row(page, error);
	VeltString	key;

	if (status == VELT_PAGE_FOUND &&
		(!read_key(page, &key, error) ||
		 !velt_queue_add(queue, &key, 1, 0, NULL, error)))
		return VELT_PAGE_FAILED;
	return status;
}

/* Adds the next slice of the filter, if one is left. */
static bool
add_slice(VeltRequestQueue *queue, size_t max_keys, VeltError *error)
{
	size_t		left = queue->nkeys - queue->next_key;
	size_t		nkeys = left < max_keys ? left : max_keys;

	if (nkeys == 0)
		return true;
	/* a filtered request's page holds all it can answer with */
	if (!velt_queue_add(queue, queue->keys + queue->next_key, nkeys,
						(int) nkeys, NULL, error))
		return false;
	queue->next_key += nkeys;
	return true;
}

/* Moves the first keys of the first request to a request of their own. */
static bool
split_first(VeltRequestQueue *queue, size_t nkeys, VeltError *error)
{
	VeltRequest *rest = TAILQ_FIRST(&queue->requests);
	const VeltString *keys = rest->keys;

	if (!velt_queue_add_first(queue, keys, nkeys, (int) nkeys, rest->tag,
							  error))
		return false;
	rest->keys += nkeys;
	rest->nkeys -= nkeys;
	rest->page_size = (int) rest->nkeys;
	return true;
}

bool
velt_queue_take(VeltRequestQueue *queue, size_t max_keys, VeltRequest **request,
				VeltError *error)
{
	VeltRequest *first;

	*request = NULL;
	if (queue->nrequests == 0 && !add_slice(queue, max_keys, error))
		return false;
	first = TAILQ_FIRST(&queue->requests);
	if (first == NULL)
		return true;
	/* a page token is good for the filter that it came with */
	if (first->npages == 0 && first->nkeys > max_keys &&
		!split_first(queue, max_keys, error))
		return false;
	*request = TAILQ_FIRST(&queue->requests);
	TAILQ_REMOVE(&queue->requests, *request, link);
	queue->nrequests--;
	return true;
}

bool
velt_queue_is_empty(const VeltRequestQueue *queue)
{
	return queue->nrequests == 0 && queue->next_key == queue->nkeys;
}
