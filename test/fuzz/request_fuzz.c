/*
 * test/fuzz/request_fuzz.c
 *		client/request_queue: keys and page tokens, in JSON and back.
 *
 * Input: how many keys (to 3), then keys and a page token between bytes 0xFF.
 */
#include "client/request_queue.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MAX_KEYS	3

/* The value at the pointer is the string. */
static void
check_string(const char *body, const char *where, VeltString expected)
{
	VeltError	error;
	VeltJsonTree *tree = velt_json_tree_create(&where, 1, &error);
	VeltJsonScanner scanner;
	VeltJsonSpan spans[VELT_JSON_MAX_DEPTH];
	VeltJsonSpan span;
	VeltBuffer	found = {0};
	size_t		length;

	velt_json_begin(&scanner, tree, spans, 0, VELT_JSON_TEXT);
	must(velt_json_scan(&scanner, body, strlen(body), &error) &&
		 velt_json_finish(&scanner, &error));
	span = spans[tree->ends[0]];
	must(span.kind == VELT_JSON_STRING);
	must(velt_json_decode_string(body, span, &found, &length, &error));
	must(length == expected.length &&
		 (length == 0 || memcmp(found.data, expected.bytes, length) == 0));
	velt_buffer_free(&found);
	free(tree);
}

static void
check_requests(const VeltString *keys, size_t nkeys, VeltString token)
{
	const VeltResource *list = velt_resource_find("api_keys");
	const VeltResource *one = velt_resource_find("auth_tokens");
	VeltError	error;
	VeltRequest *request = velt_request_create(keys, nkeys, 100, &error);
	static const char *const pointers[] = {
		"/data/apiKeys/0", "/data/apiKeys/1", "/data/apiKeys/2"
	};
	char	   *body;

	must(velt_buffer_append(&request->token, token.bytes, token.length));
	body = velt_request_body(request, list, &error);
	for (size_t i = 0; i < nkeys; i++)
		check_string(body, pointers[i], keys[i]);
	if (token.length > 0)
		check_string(body, "/data/pageToken", token);
	free(body);
	if (nkeys == 1)
	{
		body = velt_request_body(request, one, &error);
		check_string(body, "/data/apiKey", keys[0]);
		free(body);
	}
	velt_request_free(request);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	size_t		nkeys = input_byte(&input) % (MAX_KEYS + 1);
	VeltString	fields[MAX_KEYS + 1];
	bool		valid = true;

	for (size_t i = 0; i <= nkeys; i++)
	{
		fields[i] = input_field(&input);
		valid = valid && is_utf8(fields[i].bytes, fields[i].length);
	}
	/* what comes from a database, or from a response, is UTF-8 */
	if (valid)
		check_requests(fields, nkeys, fields[nkeys]);
	for (size_t i = 0; i <= nkeys; i++)
		free((char *) fields[i].bytes);
	return 0;
}
