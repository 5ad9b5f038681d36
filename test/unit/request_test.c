/*
 * test/unit/request_test.c
 *		client/request_queue: the body of a request, to the byte.
 */
#include "client/request_queue.h"

#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "unit.h"

#define MAX_KEYS	3

typedef struct RequestCase
{
	const char *resource;
	const char *keys[MAX_KEYS];
	int			page_size;
	const char *token;
	const char *body;
} RequestCase;

static const RequestCase request_cases[] = {
	{"workspaces", {NULL}, 100, "", "{\"data\":{}}"},
	{"api_keys", {NULL}, 100, "", "{\"data\":{\"pageSize\":100}}"},
	{
		"api_keys", {NULL}, 1, "t/=+",
		"{\"data\":{\"pageSize\":1,\"pageToken\":\"t/=+\"}}"
	},
	{
		"api_keys", {"a"}, 1, "",
		"{\"data\":{\"apiKeys\":[\"a\"],\"pageSize\":1}}"
	},
	{
		"api_keys", {"a", "b", "c"}, 3, "t",
		"{\"data\":{\"apiKeys\":[\"a\",\"b\",\"c\"],\"pageSize\":3,\"pageToken\":\"t\"}}"
	},
	{
		"auth_tokens", {"velt_api_key_1"}, 100, "",
		"{\"data\":{\"apiKey\":\"velt_api_key_1\"}}"
	},
	/* text of users' choosing stays within its string */
	{
		"auth_tokens", {"\"},{\"apiKey\":\"b"}, 100, "",
		"{\"data\":{\"apiKey\":\"\\\"},{\\\"apiKey\\\":\\\"b\"}}"
	},
	{"auth_tokens", {"a\\"}, 100, "", "{\"data\":{\"apiKey\":\"a\\\\\"}}"},
	{
		"auth_tokens", {"\b\f\n\r\t\x01\x1f"}, 100, "",
		"{\"data\":{\"apiKey\":\"\\b\\f\\n\\r\\t\\u0001\\u001f\"}}"
	},
	{"auth_tokens", {"a/b"}, 100, "", "{\"data\":{\"apiKey\":\"a/b\"}}"},
	{
		"auth_tokens", {"\xc3\xa9\xf0\x9f\x98\x80\x7f"}, 100, "",
		"{\"data\":{\"apiKey\":\"\xc3\xa9\xf0\x9f\x98\x80\x7f\"}}"
	},
	{"auth_tokens", {""}, 100, "", "{\"data\":{\"apiKey\":\"\"}}"},
	{
		"api_keys", {NULL}, 100, "\"\\\n",
		"{\"data\":{\"pageSize\":100,\"pageToken\":\"\\\"\\\\\\n\"}}"
	},
};

/* Return the body of a request with these keys and that page token. */
static char *
make_body(const char *resource, const VeltString *keys, size_t nkeys,
		  int page_size, VeltString token)
{
	VeltError	error = {0};
	VeltRequest *request = velt_request_create(keys, nkeys, page_size, &error);
	char	   *body = NULL;

	if (velt_buffer_append(&request->token, token.bytes, token.length))
		body = velt_request_body(request, velt_resource_find(resource),
								 &error);
	velt_request_free(request);
	return body;
}

static void
test_body(const RequestCase *c)
{
	VeltString	keys[MAX_KEYS];
	VeltString	token = {c->token, strlen(c->token)};
	size_t		nkeys = 0;
	char	   *body;

	for (; nkeys < MAX_KEYS && c->keys[nkeys] != NULL; nkeys++)
		keys[nkeys] = velt_string(c->keys[nkeys], strlen(c->keys[nkeys]));
	body = make_body(c->resource, keys, nkeys, c->page_size, token);
	is_str(body, c->body, "%s, %zu keys, token \"%s\"", c->resource, nkeys,
		   c->token);
	free(body);
}

static void
test_lengths(void)
{
	VeltString	key = {"a\0bcdef", 3};
	VeltString	token = {"tokenize", 5};
	char	   *body = make_body("api_keys", &key, 1, 1, token);

	is_str(body,
		   "{\"data\":{\"apiKeys\":[\"a\\u0000b\"],\"pageSize\":1,\"pageToken\":\"token\"}}",
		   "strings are taken by their length");
	free(body);
}

static void
test_many_keys(void)
{
	VeltString	keys[100];
	char	   *body;
	size_t		commas = 0;

	for (int i = 0; i < 100; i++)
		keys[i] = velt_string("key", 3);
	body = make_body("api_keys", keys, 100, 100, velt_string(NULL, 0));
	for (const char *at = body; at != NULL && *at != '\0'; at++)
		commas += *at == ',';
	is_int(commas, 100, "100 keys and a page size in one request");
	free(body);
}

void
test_request(void)
{
	for (size_t i = 0; i < LENGTH_OF(request_cases); i++)
		test_body(&request_cases[i]);
	test_lengths();
	test_many_keys();
}
