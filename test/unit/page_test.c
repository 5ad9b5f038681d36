/*
 * test/unit/page_test.c
 *		client/page: which responses are answers, and what is in them.
 *
 * Every response is received whole and byte by byte: the outcome must be the
 * same.
 */
#include "client/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "unit.h"

#define MAX_BYTES	((size_t) 64 * 1024)

#define KEY			"velt_api_key_1"
#define OK_HEAD		"{\"result\":{\"status\":\"success\",\"message\":\"m\",\"data\":"
#define OK_TAIL		"}}"
#define KEYS(rows)	OK_HEAD "[" rows "]" OK_TAIL
#define KEYS_THEN(rows, token) \
	OK_HEAD "[" rows "],\"nextPageToken\":" token OK_TAIL
#define TOKENS(rows) \
	OK_HEAD "{\"apiKey\":\"" KEY "\",\"authTokens\":[" rows "]}" OK_TAIL
#define FAILURE(status, rest) "{\"error\":{\"status\":\"" status "\"" rest "}}"

static const VeltCredentials credentials = {"ws_1", "tok/\"en"};

/* ----------
 * Receiving
 * ----------
 */

/* A page in memory that holds the response's bytes and no more. */
static bool
receive(VeltPage *page, int http_status, const char *body, size_t length,
		size_t step, VeltError *error)
{
	for (size_t at = 0; at < length; at += step)
	{
		size_t		n = at + step < length ? step : length - at;
		char	   *copy = malloc(n);
		bool		received;

		memcpy(copy, body + at, n);
		received = velt_page_receive(page, http_status, copy, n, error);
		free(copy);
		if (!received)
			return false;
	}
	return velt_page_finish(page, http_status, error);
}

static VeltLayout *
make_layout(const char *resource, const char *const *pointers, int npointers)
{
	VeltError	error;
	VeltLayout *layout = velt_layout_create(velt_resource_find(resource),
											pointers, npointers,
											&credentials, MAX_BYTES, &error);

	if (layout == NULL)
		ok(false, "a layout of %s: %s", resource, error.detail);
	return layout;
}

/* ----------
 * Answers and failures
 * ----------
 */

#define ENVELOPED	1
#define TRANSIENT	2
#define IF_RETRY_AFTER	4

typedef struct ResponseCase
{
	const char *resource;
	int			http_status;
	const char *body;
	VeltErrorKind kind;			/* NONE: an answer */
	int			flags;
	const char *detail;			/* NULL: not compared */
} ResponseCase;

static const ResponseCase response_cases[] = {
	/* answers */
	{"workspaces", 200, OK_HEAD "{\"id\":\"\"}" OK_TAIL, VELT_ERROR_NONE, 0, NULL},
	{
		"workspaces", 200,
		OK_HEAD "{\"id\":\"w\"}" OK_TAIL,
		VELT_ERROR_NONE, 0, NULL
	},
	{"workspaces", 201, OK_HEAD "{\"id\":\"w\"}" OK_TAIL, VELT_ERROR_NONE, 0, NULL},
	{
		"workspaces", 200,
		" {\"extra\":[],\"result\":{\"data\":{\"id\":\"w\"},\"status\":\"success\"}} \n",
		VELT_ERROR_NONE, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"error\":null,\"result\":{\"status\":\"success\",\"data\":{\"id\":\"w\"}}}",
		VELT_ERROR_NONE, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"succe\\u0073s\",\"data\":{\"id\":\"w\"}}}",
		VELT_ERROR_NONE, 0, NULL
	},
	{"api_keys", 200, KEYS(""), VELT_ERROR_NONE, 0, NULL},
	{
		"api_keys", 200,
		KEYS("{\"id\":\"a\"},{\"id\":\"b\"}"),
		VELT_ERROR_NONE, 0, NULL
	},
	{"api_keys", 200, KEYS_THEN("", "null"), VELT_ERROR_NONE, 0, NULL},
	{"api_keys", 200, KEYS_THEN("", "\"\""), VELT_ERROR_NONE, 0, NULL},
	{"api_keys", 200, KEYS_THEN("", "\"t\""), VELT_ERROR_NONE, 0, NULL},
	{"auth_tokens", 200, TOKENS(""), VELT_ERROR_NONE, 0, NULL},
	{
		"auth_tokens", 200,
		TOKENS("{\"token\":\"t\"}"),
		VELT_ERROR_NONE, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_NONE, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":null,\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_NONE, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"velt\\u005fapi_key_1\",\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_NONE, 0, NULL
	},

	/* a status of the result that is another */
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"failed\",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0,
		"The API replied the status \"failed\" instead of \"success\"."
	},
	{
		"workspaces", 200,
		"{\"result\":{\"message\":\"Not \\u0007now.\",\"status\":\"failed\"}}",
		VELT_ERROR_PROTOCOL, 0,
		"The API replied the status \"failed\" instead of \"success\": Not \\x07now."
	},
	{
		"api_keys", 200,
		"{\"result\":{\"message\":[\"m\"],\"status\":\"\"}}",
		VELT_ERROR_PROTOCOL, 0,
		"The API replied the status \"\" instead of \"success\"."
	},
	{
		"api_keys", 200,
		"{\"result\":{\"status\":\"of ws_1\",\"message\":\"bad tok\\/\\\"en\"}}",
		VELT_ERROR_PROTOCOL, 0,
		"The API replied the status \"of <workspace_id>\" instead of \"success\": bad <auth_token>"
	},

	/* JSON of another shape, at every level */
	{"workspaces", 200, "{}", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"workspaces", 200, "[]", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"workspaces", 200, "null", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"workspaces", 200, "\"success\"", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"workspaces", 200, "{\"result\":null}", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"workspaces", 200, "{\"result\":[]}", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{
		"workspaces", 200,
		"{\"result\":\"success\"}",
		VELT_ERROR_NO_ENVELOPE, 0, NULL
	},
	{"workspaces", 200, "{\"result\":{}}", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{
		"workspaces", 200,
		"{\"result\":{\"data\":{}}}",
		VELT_ERROR_NO_ENVELOPE, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"success\"}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":null,\"data\":{}}}",
		VELT_ERROR_NO_ENVELOPE, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":true,\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":200,\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"SUCCESS\",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"succes\",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"success \",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"\",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"error\",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"status\":\"success\",\"data\":{}}",
		VELT_ERROR_NO_ENVELOPE, 0, NULL
	},
	{"workspaces", 200, OK_HEAD "null" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{"workspaces", 200, OK_HEAD "[]" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{
		"workspaces", 200,
		OK_HEAD "\"{}\"" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{"workspaces", 200, OK_HEAD "1" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{"api_keys", 200, OK_HEAD "null" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{"api_keys", 200, OK_HEAD "{}" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{
		"api_keys", 200,
		OK_HEAD "{\"0\":{}}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{"api_keys", 200, OK_HEAD "\"\"" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{
		"api_keys", 200,
		"{\"result\":{\"status\":\"success\",\"nextPageToken\":\"t\"}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{"api_keys", 200, KEYS_THEN("", "1"), VELT_ERROR_PROTOCOL, 0, NULL},
	{"api_keys", 200, KEYS_THEN("", "true"), VELT_ERROR_PROTOCOL, 0, NULL},
	{"api_keys", 200, KEYS_THEN("", "false"), VELT_ERROR_PROTOCOL, 0, NULL},
	{"api_keys", 200, KEYS_THEN("", "[\"t\"]"), VELT_ERROR_PROTOCOL, 0, NULL},
	{"api_keys", 200, KEYS_THEN("", "{}"), VELT_ERROR_PROTOCOL, 0, NULL},
	{"auth_tokens", 200, OK_HEAD "[]" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{"auth_tokens", 200, OK_HEAD "{}" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{"auth_tokens", 200, OK_HEAD "null" OK_TAIL, VELT_ERROR_PROTOCOL, 0, NULL},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"" KEY "\"}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"authTokens\":null}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"authTokens\":{}}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"authTokens\":\"\"}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},

	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"\\ud800\",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	/* about another key than the one asked for */
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"velt_api_key_2\",\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0,
		"The response is about another key than the one asked for."
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"velt_api_key_\",\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"velt_api_key_11\",\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"" KEY "\\u0000\",\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"\",\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":1,\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":[\"" KEY "\"],\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"auth_tokens", 200,
		OK_HEAD "{\"apiKey\":\"\\ud800\",\"authTokens\":[]}" OK_TAIL,
		VELT_ERROR_PROTOCOL, 0, NULL
	},

	/* twice the same */
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"success\",\"data\":{}},\"result\":{}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"success\",\"data\":{},\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"success\",\"status\":\"success\",\"data\":{}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"api_keys", 200,
		KEYS_THEN("", "\"t\",\"nextPageToken\":\"u\""),
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"error\":{\"status\":\"NOT_FOUND\"},\"error\":null}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{"api_keys", 200, KEYS("") KEYS(""), VELT_ERROR_PROTOCOL, 0, NULL},
	{
		"api_keys", 200,
		"{\"result\":{\"status\":\"success\",\"message\":1,\"message\":2,\"data\":[]}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"workspaces", 200,
		"{\"result\":{\"status\":\"success\",\"data\":{\"id\":\"a\",\"id\":\"a\"}}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"api_keys", 200,
		"{\"result\":{\"other\":1,\"other\":2,\"status\":\"success\",\"data\":[]}}",
		VELT_ERROR_NONE, 0, NULL
	},

	/* no JSON */
	{
		"api_keys", 200,
		"",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The server replied HTTP 200 without a body."
	},
	{
		"api_keys", 200,
		"hello",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The response is not valid JSON, from byte 1 on."
	},
	{
		"api_keys", 200,
		" \n<!DOCTYPE html><html>",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The server replied HTTP 200 with a web page instead of JSON."
	},
	{
		"api_keys", 200,
		" \n",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The response ends in the middle of its JSON, after 2 bytes."
	},
	{
		"api_keys", 304,
		"",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The server replied HTTP 304 and no error of the API."
	},
	{
		"api_keys", 307,
		"",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The server replied HTTP 307; redirects are not followed."
	},
	{"api_keys", 204, "", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{
		"api_keys", 200,
		"<html>hello</html>",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The server replied HTTP 200 with a web page instead of JSON."
	},
	{"api_keys", 200, "Rate limit exceeded", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"api_keys", 200, OK_HEAD "[", VELT_ERROR_PROTOCOL, 0, NULL},
	{"api_keys", 200, KEYS("") "x", VELT_ERROR_PROTOCOL, 0, NULL},

	/* the HTTP status decides where no envelope does, and no body is quoted */
	{
		"api_keys", 400,
		"<html>secret</html>",
		VELT_ERROR_INVALID_REQUEST, 0,
		"The server replied HTTP 400 and no error of the API."
	},
	{"api_keys", 401, "<html>", VELT_ERROR_UNAUTHENTICATED, 0, NULL},
	{"api_keys", 403, "Forbidden", VELT_ERROR_PERMISSION_DENIED, 0, NULL},
	{
		"api_keys", 404,
		"<html>",
		VELT_ERROR_NOT_FOUND, 0,
		"The server replied HTTP 404 and no error of the API."
	},
	{"api_keys", 410, "", VELT_ERROR_NOT_FOUND, 0, NULL},
	{"api_keys", 407, "", VELT_ERROR_CONNECT, 0, NULL},
	{"api_keys", 408, "", VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL},
	{"api_keys", 418, "{}", VELT_ERROR_INVALID_REQUEST, 0, NULL},
	{"api_keys", 429, "Too many", VELT_ERROR_EXHAUSTED, TRANSIENT, NULL},
	{"api_keys", 500, "", VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL},
	{
		"api_keys", 502,
		"<html>Bad gateway</html>",
		VELT_ERROR_UNAVAILABLE, TRANSIENT,
		"The server replied HTTP 502 and no error of the API."
	},
	{
		"api_keys", 503,
		"{\"message\":\"later\"}",
		VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL
	},
	{"api_keys", 501, "", VELT_ERROR_UNAVAILABLE, IF_RETRY_AFTER, NULL},
	{"api_keys", 599, "[", VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL},
	{"api_keys", 600, KEYS(""), VELT_ERROR_PROTOCOL, 0, NULL},
	{
		"api_keys", 301,
		"<html>moved",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The server replied HTTP 301; redirects are not followed."
	},
	{
		"api_keys", 302,
		"",
		VELT_ERROR_NO_ENVELOPE, 0,
		"The server replied HTTP 302; redirects are not followed."
	},
	{"api_keys", 304, "", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"api_keys", 500, KEYS(""), VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL},
	{"api_keys", 403, KEYS(""), VELT_ERROR_PERMISSION_DENIED, 0, NULL},
	{"api_keys", 500, "{\"error\":\"boom\"}", VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL},
	{"api_keys", 500, "{\"error\":{}}", VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL},
	{
		"api_keys", 500,
		"{\"error\":{\"status\":13}}",
		VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL
	},
	{
		"api_keys", 404,
		"{\"error\":{\"code\":5}}",
		VELT_ERROR_NOT_FOUND, 0, NULL
	},
	{
		"api_keys", 403,
		"{\"error\":{\"status\":\"NOT_FOUND\"",
		VELT_ERROR_PERMISSION_DENIED, 0, NULL
	},
	{
		"api_keys", 403,
		FAILURE("NOT_FOUND", "") "x",
		VELT_ERROR_PERMISSION_DENIED, 0, NULL
	},
	{"api_keys", 200, "{\"error\":\"boom\"}", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"api_keys", 200, "{\"error\":{}}", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{"api_keys", 200, "{\"error\":false}", VELT_ERROR_NO_ENVELOPE, 0, NULL},
	{
		"api_keys", 200,
		"{\"error\":{\"status\":null,\"message\":\"m\"}}",
		VELT_ERROR_NO_ENVELOPE, 0, NULL
	},
	{
		"api_keys", 200,
		"{\"error\":\"boom\",\"result\":{\"status\":\"success\",\"data\":[]}}",
		VELT_ERROR_PROTOCOL, 0, NULL
	},

	/* an envelope decides, whatever the HTTP status */
	{
		"workspaces", 404,
		FAILURE("NOT_FOUND", ",\"message\":\"Workspace not found.\""),
		VELT_ERROR_NOT_FOUND, ENVELOPED,
		"The API replied NOT_FOUND (HTTP 404): Workspace not found."
	},
	{
		"workspaces", 200,
		FAILURE("NOT_FOUND", ""),
		VELT_ERROR_NOT_FOUND, ENVELOPED,
		"The API replied NOT_FOUND (HTTP 200)."
	},
	{
		"api_keys", 500,
		FAILURE("NOT_FOUND", ""),
		VELT_ERROR_NOT_FOUND, ENVELOPED, NULL
	},
	{
		"api_keys", 301,
		FAILURE("NOT_FOUND", ""),
		VELT_ERROR_NOT_FOUND, ENVELOPED, NULL
	},
	{
		"api_keys", 403,
		FAILURE("PERMISSION_DENIED", ",\"message\":\"Invalid workspace credentials.\""),
		VELT_ERROR_PERMISSION_DENIED, ENVELOPED,
		"The API replied PERMISSION_DENIED (HTTP 403): Invalid workspace credentials."
	},
	{
		"api_keys", 404,
		FAILURE("UNAUTHENTICATED", ""),
		VELT_ERROR_UNAUTHENTICATED, ENVELOPED, NULL
	},
	{
		"api_keys", 404,
		FAILURE("INTERNAL", ""),
		VELT_ERROR_UNAVAILABLE, ENVELOPED | TRANSIENT, NULL
	},
	{
		"api_keys", 200,
		FAILURE("RESOURCE_EXHAUSTED", ""),
		VELT_ERROR_EXHAUSTED, ENVELOPED | TRANSIENT, NULL
	},
	{
		"api_keys", 400,
		FAILURE("INVALID_ARGUMENT", ",\"message\":\"\""),
		VELT_ERROR_INVALID_ARGUMENT, ENVELOPED,
		"The API replied INVALID_ARGUMENT (HTTP 400)."
	},
	{
		"api_keys", 400,
		FAILURE("INVALID_ARGUMENT", ",\"message\":null"),
		VELT_ERROR_INVALID_ARGUMENT, ENVELOPED, NULL
	},
	{
		"api_keys", 400,
		FAILURE("INVALID_ARGUMENT", ",\"message\":{\"a\":1}"),
		VELT_ERROR_INVALID_ARGUMENT, ENVELOPED,
		"The API replied INVALID_ARGUMENT (HTTP 400)."
	},
	{
		"api_keys", 400,
		FAILURE("INVALID_ARGUMENT", ",\"message\":\"\\ud800\""),
		VELT_ERROR_INVALID_ARGUMENT, ENVELOPED,
		"The API replied INVALID_ARGUMENT (HTTP 400)."
	},
	{
		"api_keys", 400,
		FAILURE("INVALID\\u005fARGUMENT", ""),
		VELT_ERROR_INVALID_ARGUMENT, ENVELOPED,
		"The API replied INVALID_ARGUMENT (HTTP 400)."
	},
	{
		"api_keys", 200,
		"{\"result\":{\"status\":\"success\",\"data\":[]},\"error\":{\"status\":\"INTERNAL\"}}",
		VELT_ERROR_UNAVAILABLE, ENVELOPED | TRANSIENT, NULL
	},

	/* details: permanent */
	{
		"api_keys", 500,
		FAILURE("INTERNAL", ",\"details\":{}"),
		VELT_ERROR_UNAVAILABLE, ENVELOPED, NULL
	},
	{
		"api_keys", 500,
		FAILURE("INTERNAL", ",\"details\":[]"),
		VELT_ERROR_UNAVAILABLE, ENVELOPED, NULL
	},
	{
		"api_keys", 500,
		FAILURE("INTERNAL", ",\"details\":\"x\""),
		VELT_ERROR_UNAVAILABLE, ENVELOPED, NULL
	},
	{
		"api_keys", 429,
		FAILURE("RESOURCE_EXHAUSTED", ",\"details\":{\"a\":1}"),
		VELT_ERROR_EXHAUSTED, ENVELOPED, NULL
	},
	{
		"api_keys", 500,
		FAILURE("INTERNAL", ",\"details\":null"),
		VELT_ERROR_UNAVAILABLE, ENVELOPED | TRANSIENT, NULL
	},

	/* a status that the table has not: the HTTP status */
	{
		"api_keys", 403,
		FAILURE("TEAPOT", ""),
		VELT_ERROR_PERMISSION_DENIED, 0, "The API replied TEAPOT (HTTP 403)."
	},
	{
		"api_keys", 404,
		FAILURE("TEAPOT", ""),
		VELT_ERROR_NOT_FOUND, 0, NULL
	},
	{
		"api_keys", 503,
		FAILURE("not_found", ""),
		VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL
	},
	{"api_keys", 503, FAILURE("", ""), VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL},
	{
		"api_keys", 501,
		FAILURE("TEAPOT", ""),
		VELT_ERROR_UNAVAILABLE, IF_RETRY_AFTER, NULL
	},
	{
		"api_keys", 501,
		FAILURE("TEAPOT", ",\"details\":[]"),
		VELT_ERROR_UNAVAILABLE, 0, NULL
	},
	{
		"api_keys", 501,
		FAILURE("PERMISSION_DENIED", ""),
		VELT_ERROR_PERMISSION_DENIED, ENVELOPED, NULL
	},
	{
		"api_keys", 503,
		FAILURE("\\ud800", ""),
		VELT_ERROR_UNAVAILABLE, TRANSIENT, NULL
	},
	{
		"api_keys", 200,
		FAILURE("TEAPOT", ""),
		VELT_ERROR_PROTOCOL, 0, NULL
	},
	{
		"api_keys", 302,
		FAILURE("TEAPOT", ""),
		VELT_ERROR_PROTOCOL, 0, NULL
	},
};

static bool
respond(const VeltLayout *layout, const ResponseCase *c, size_t step,
		VeltError *error)
{
	VeltPage   *page = velt_page_create(layout, error);
	bool		answer;

	velt_page_begin(page, velt_string(BYTES(KEY)));
	memset(error, 0, sizeof(*error));
	answer = receive(page, c->http_status, c->body, strlen(c->body), step,
					 error);
	velt_page_free(page);
	return answer;
}

static void
test_response(const ResponseCase *c)
{
	VeltLayout *layout = make_layout(c->resource, NULL, 0);
	VeltError	error;
	VeltError	bytewise;
	bool		answer = respond(layout, c, 1000000, &error);
	bool		again = respond(layout, c, 1, &bytewise);
	int			flags = (error.enveloped * ENVELOPED +
						 error.transient * TRANSIENT +
						 error.if_retry_after * IF_RETRY_AFTER);

	is_int(error.kind, c->kind, "%s, HTTP %d: %s", c->resource,
		   c->http_status, c->body);
	ok(answer == (c->kind == VELT_ERROR_NONE) && again == answer &&
	   memcmp(&error, &bytewise, offsetof(VeltError, detail)) == 0 &&
	   strcmp(error.detail, bytewise.detail) == 0,
	   "... whole as byte by byte");
	is_int(flags, c->flags, "... enveloped and transient, or not");
	if (c->detail != NULL)
		is_str(error.detail, c->detail, "... and says so");
	if (c->flags != 0 || c->http_status < 200 || c->http_status > 299)
		is_int(error.http_status, c->http_status,
			   "... and has the HTTP status");
	velt_layout_free(layout);
}

/* ----------
 * Secrets in what is said
 * ----------
 */

static const char *const echoes[] = {
	FAILURE("INTERNAL", ",\"message\":\"bad tok/\\\"en of ws_1\""),
	FAILURE("INTERNAL", ",\"message\":\"bad tok\\/\\\"en of ws\\u005f1\""),
	FAILURE("INTERNAL", ",\"message\":\"bad tok\\u002f\\u0022en of ws_1\""),
	FAILURE("INTERNAL", ",\"message\":\"bad tok\\\\/\\\\\\\"en of ws\\\\u005f1\""),
	FAILURE("INTERNAL", ",\"message\":\"bad tok%2F%22en of ws%5f1\""),
	FAILURE("INTERNAL", ",\"message\":\"bad %74%6f%6B%2f%22%65%6e of %77s_1\""),
	FAILURE("tok/\\\"en", ",\"message\":\"bad tok/\\\"en of ws_1\""),
};

/* A member that is missing or of the wrong type, and must be named. */
typedef struct MemberCase
{
	const char *resource;
	const char *body;
	const char *named;
} MemberCase;

static const MemberCase member_cases[] = {
	{"workspaces", OK_HEAD "null" OK_TAIL, "/result/data is null instead of an object"},
	{"workspaces", OK_HEAD "[]" OK_TAIL, "/result/data is an array instead of an object"},
	{"workspaces", OK_HEAD "{}" OK_TAIL, "/result/data/id is missing"},
	{"workspaces", OK_HEAD "{\"name\":\"n\"}" OK_TAIL, "/result/data/id is missing"},
	{"workspaces", OK_HEAD "{\"id\":null}" OK_TAIL, "/result/data/id is null instead of a string"},
	{"workspaces", OK_HEAD "{\"id\":5}" OK_TAIL, "/result/data/id is a number instead of a string"},
	{"workspaces", OK_HEAD "{\"id\":{}}" OK_TAIL, "/result/data/id is an object instead of a string"},
	{"workspaces", "{\"result\":{\"status\":\"success\"}}", "/result/data is missing"},
	{"api_keys", "{\"result\":{\"status\":\"success\"}}", "/result/data is missing"},
	{"api_keys", OK_HEAD "{}" OK_TAIL, "/result/data is an object instead of an array"},
	{"api_keys", KEYS_THEN("", "7"), "/result/nextPageToken is a number instead of a string"},
	{"api_keys", KEYS_THEN("", "false"), "/result/nextPageToken is a boolean instead of a string"},
	{"auth_tokens", "{\"result\":{\"status\":\"success\"}}", "/result/data is missing"},
	{"auth_tokens", OK_HEAD "[]" OK_TAIL, "/result/data is an array instead of an object"},
	{"auth_tokens", OK_HEAD "{\"apiKey\":\"" KEY "\"}" OK_TAIL, "/result/data/authTokens is missing"},
	{"auth_tokens", OK_HEAD "{\"authTokens\":null}" OK_TAIL, "/result/data/authTokens is null instead of an array"},
	{"auth_tokens", OK_HEAD "{\"authTokens\":{}}" OK_TAIL, "/result/data/authTokens is an object instead of an array"},
	{"auth_tokens", OK_HEAD "{\"apiKey\":5,\"authTokens\":[]}" OK_TAIL, "/result/data/apiKey is a number instead of a string"},
	{"api_keys", "{\"result\":{\"status\":true}}", "/result/status is a boolean instead of a string"},
	{"api_keys", "{\"error\":\"no\"}", "/error is a string instead of an object"},
	{"api_keys", "{\"error\":{}}", "/error/status is missing"},
	{"api_keys", "{\"error\":{\"status\":404}}", "/error/status is a number instead of a string"},
	{"api_keys", "{\"hello\":\"world\"}", "it has neither a result with a status nor an error"},
};

static void
test_member(const MemberCase *c)
{
	const ResponseCase response = {c->resource, 200, c->body, 0, 0, NULL};
	VeltLayout *layout = make_layout(c->resource, NULL, 0);
	char		detail[200];
	VeltError	error;

	snprintf(detail, sizeof(detail),
			 "The response is not of the documented shape: %s.", c->named);
	(void) respond(layout, &response, 1000000, &error);
	is_str(error.detail, detail, "%s: %s", c->resource, c->body);
	velt_layout_free(layout);
}

static void
test_echoes(void)
{
	VeltLayout *layout = make_layout("api_keys", NULL, 0);

	for (size_t i = 0; i < LENGTH_OF(echoes); i++)
	{
		ResponseCase c = {"api_keys", 500, echoes[i], 0, 0, NULL};
		VeltError	error;

		(void) respond(layout, &c, 1000000, &error);
		ok(strstr(error.detail, "bad <auth_token> of <workspace_id>") != NULL &&
		   strstr(error.detail, "tok/") == NULL &&
		   strstr(error.detail, "ws_1") == NULL,
		   "%s says no secret", echoes[i]);
	}
	velt_layout_free(layout);
}

static void
test_long_message(void)
{
	VeltLayout *layout = make_layout("api_keys", NULL, 0);
	char		body[3000];
	char		status[201];
	char		message[1001];
	ResponseCase c = {"api_keys", 500, body, 0, 0, NULL};
	VeltError	error;

	memset(status, 'S', sizeof(status));
	memset(message, 'm', sizeof(message));
	status[200] = message[1000] = '\0';
	snprintf(body, sizeof(body), FAILURE("%s", ",\"message\":\"%s\""), status,
			 message);
	(void) respond(layout, &c, 1000000, &error);
	is_int(strspn(strrchr(error.detail, ' ') + 1, "m"), 500,
		   "500 bytes of a message are quoted");
	ok(strspn(strchr(error.detail, 'S'), "S") < 100,
	   "... and fewer of a status");
	velt_layout_free(layout);
}

/* A string that takes long to decode is not decoded for a message. */
static void
test_long_strings(size_t length, bool is_long)
{
	VeltError	error = {0};
	VeltLayout *layout = velt_layout_create(velt_resource_find("api_keys"),
											NULL, 0, &credentials, 200000,
											&error);
	VeltPage   *page = velt_page_create(layout, &error);
	char	   *text = malloc(length + 1);
	char	   *body = malloc(200000);

	memset(text, 'm', length);
	text[length] = '\0';
	sprintf(body, FAILURE("INTERNAL", ",\"message\":\"%s\\n\""), text);
	ok(!receive(page, 500, body, strlen(body), 10000, &error) &&
	   (strchr(error.detail, 'm') == NULL) == is_long,
	   "a message of %zu bytes is %squoted", length, is_long ? "not " : "");

	memset(&error, 0, sizeof(error));
	velt_page_begin(page, velt_string(NULL, 0));
	sprintf(body, KEYS("{\"id\":\"%s\\n\"}"), text);
	ok(receive(page, 200, body, strlen(body), 10000, &error),
	   "a key of %zu bytes", length);
	while (velt_page_next_row(page, &error) == VELT_PAGE_MORE)
		;
	is_int(velt_page_row_key(page).length, is_long ? 0 : length + 1,
		   "... names its row or not");
	free(body);
	free(text);
	velt_page_free(page);
	velt_layout_free(layout);
}

/* ----------
 * Rows
 * ----------
 */

#define MAX_VALUES	4

typedef struct RowsCase
{
	const char *resource;
	const char *pointers[MAX_VALUES];
	const char *body;
	const char *rows;			/* values by |, each row ended by ; */
	VeltErrorKind kind;			/* where it ends */
} RowsCase;

static const RowsCase rows_cases[] = {
	{"workspaces", {"/id", "/owner/email", "/x"},
	OK_HEAD "{\"owner\":{\"email\":\"e\"},\"id\":\"w\"}" OK_TAIL,
	"\"w\"|\"e\"|-;", VELT_ERROR_NONE},
	{"workspaces", {""}, OK_HEAD " { \"id\":\"w\" } " OK_TAIL, "{ \"id\":\"w\" };", VELT_ERROR_NONE},
	{"workspaces", {NULL}, OK_HEAD "{\"id\":\"w\"}" OK_TAIL, ";", VELT_ERROR_NONE},
	{"api_keys", {"/id", "/type"}, KEYS(""), "", VELT_ERROR_NONE},
	{"api_keys", {"/id", "/type"}, KEYS(" \n "), "", VELT_ERROR_NONE},
	{"api_keys", {"/id", "/type"},
	KEYS("{\"id\":\"a\",\"type\":\"t\"},{\"id\":\"b\",\"type\":null},{\"type\":1}"),
	"\"a\"|\"t\";\"b\"|null;-|1;", VELT_ERROR_NONE},
	{
		"api_keys",
		{"/id"}, KEYS(" {\"id\":\"a\"} ,\n\t{ \"id\" : \"b\" } \r"),
		"\"a\";\"b\";", VELT_ERROR_NONE
	},
	{"api_keys", {"/id"}, KEYS("{},{}"), "-;-;", VELT_ERROR_NONE},
	{"api_keys", {NULL}, KEYS("{},{\"a\":[1,{}]},{}"), ";;;", VELT_ERROR_NONE},
	{
		"api_keys", {"", "/id", "/id"}, KEYS("{\"id\":1.50}"),
		"{\"id\":1.50}|1.50|1.50;", VELT_ERROR_NONE
	},
	{
		"api_keys", {"/a/0", "/a/1/b", "/a"}, KEYS("{\"a\":[1,{\"b\":[]}]}"),
		"1|[]|[1,{\"b\":[]}];", VELT_ERROR_NONE
	},
	{
		"api_keys", {"/id"}, KEYS("{\"id\":\"]\"},{\"id\":\"}],\"}"),
		"\"]\";\"}],\";", VELT_ERROR_NONE
	},
	/* other members than those of the row before */
	{
		"api_keys", {"/id", "/type"},
		KEYS("{\"id\":\"a\",\"type\":\"b\"},{\"type\":\"c\",\"id\":\"d\"},"
			 "{\"type\":\"e\"},{\"id\":\"f\",\"x\":\"g\",\"type\":\"h\"},"
			 "{\"idx\":\"i\",\"type\":\"j\"},{\"id\" :\"k\",\"type\":7},"
			 "{\"i\\u0064\":\"l\"},{},{\"id\":\"m\",\"type\":\"n\"}"),
		"\"a\"|\"b\";\"d\"|\"c\";-|\"e\";\"f\"|\"h\";-|\"j\";\"k\"|7;\"l\"|-;"
		"-|-;\"m\"|\"n\";", VELT_ERROR_NONE
	},
	/* an element that is no object, where it is met */
	{"api_keys", {"/id"}, KEYS("1"), "", VELT_ERROR_PROTOCOL},
	{"api_keys", {"/id"}, KEYS("{\"id\":1},null"), "1;", VELT_ERROR_PROTOCOL},
	{"api_keys", {"/id"}, KEYS("{\"id\":1},[]"), "1;", VELT_ERROR_PROTOCOL},
	{"api_keys", {"/id"}, KEYS("{\"id\":1},\"a\",{}"), "1;", VELT_ERROR_PROTOCOL},
	{"api_keys", {NULL}, KEYS("true"), "", VELT_ERROR_PROTOCOL},
	/* a member twice, if it is one that is wanted */
	{
		"api_keys", {"/id"}, KEYS("{\"id\":1},{\"id\":1,\"id\":2}"), "1;",
		VELT_ERROR_PROTOCOL
	},
	{
		"api_keys", {"/id", "/type"},
		KEYS("{\"id\":\"a\",\"type\":\"b\"},{\"id\":\"c\",\"id\":\"d\"}"),
		"\"a\"|\"b\";", VELT_ERROR_PROTOCOL
	},
	{
		"api_keys", {"/id"}, KEYS("{\"id\":1,\"type\":1,\"type\":2}"), "1;",
		VELT_ERROR_NONE
	},
	/* or the one that names the row */
	{
		"api_keys", {"/type"},
		KEYS("{\"type\":1},{\"id\":\"a\",\"type\":2,\"id\":\"a\"}"), "1;",
		VELT_ERROR_PROTOCOL
	},
	{
		"auth_tokens", {"/name"},
		TOKENS("{\"token\":1,\"token\":2,\"name\":3}"), "3;", VELT_ERROR_NONE
	},
	{"auth_tokens", {"/token", "/domains"},
	TOKENS("{\"token\":\"t\",\"domains\":[]},{}"), "\"t\"|[];-|-;",
	VELT_ERROR_NONE},
	{
		"auth_tokens", {"/token"}, TOKENS("{\"token\":\"t\"},3"), "\"t\";",
		VELT_ERROR_PROTOCOL
	},
	{"auth_tokens", {"/token"},
	OK_HEAD "{\"authTokens\":[{\"token\":1}],\"apiKey\":\"" KEY "\",\"x\":[{\"token\":2}]}" OK_TAIL,
	"1;", VELT_ERROR_NONE},
};

static void
append_row(VeltPage *page, int nvalues, char *rows, size_t size)
{
	for (int i = 0; i < nvalues; i++)
	{
		VeltJsonSpan span = velt_page_value(page, i);
		VeltString	text = {"-", 1};
		size_t		used = strlen(rows);

		if (span.kind != VELT_JSON_MISSING)
			text = velt_page_text(page, span);
		snprintf(rows + used, size - used, "%s%.*s", i ? "|" : "",
				 (int) text.length, text.bytes);
	}
	strcat(rows, ";");
}

/* Steps to the next row; whether it is there. */
static bool
next_row(VeltPage *page, VeltError *error)
{
	VeltPageStatus status;

	while ((status = velt_page_next_row(page, error)) == VELT_PAGE_MORE)
		;
	return status == VELT_PAGE_FOUND;
}

static void
test_rows(const RowsCase *c)
{
	char		rows[300] = "";
	int			nvalues = 0;
	VeltError	error = {0};
	VeltLayout *layout;
	VeltPage   *page;

	while (nvalues < MAX_VALUES && c->pointers[nvalues] != NULL)
		nvalues++;
	layout = make_layout(c->resource, c->pointers, nvalues);
	page = velt_page_create(layout, &error);
	velt_page_begin(page, velt_string(BYTES(KEY)));
	if (!ok(receive(page, 200, c->body, strlen(c->body), 7, &error),
			"%s", c->body))
		diag("%s", error.detail);
	is_int(velt_page_nrows(page) == 0, c->rows[0] == '\0' &&
		   c->kind == VELT_ERROR_NONE, "... is empty or not");
	while (next_row(page, &error))
		append_row(page, nvalues, rows, sizeof(rows));
	is_str(rows, c->rows, "... has its rows");
	is_int(error.kind, c->kind, "... to the end");
	if (c->kind == VELT_ERROR_NONE)
		is_int(velt_page_next_row(page, &error), VELT_PAGE_END,
			   "... which stays the end");
	velt_page_free(page);
	velt_layout_free(layout);
}

#define MANY_VALUES		2000

static void
test_many_values(void)
{
	static char names[MANY_VALUES][8];
	static char body[80 * MANY_VALUES];
	static const char *pointers[MANY_VALUES];
	char	   *at = body + sprintf(body, OK_HEAD "[{");
	VeltLayout *layout;
	VeltPage   *page;
	VeltError	error = {0};
	int			nright = 0;
	int			nsteps = 0;

	for (int i = 0; i < MANY_VALUES; i++)
	{
		sprintf(names[i], "/m%d", i);
		pointers[i] = names[i];
	}
	for (int row = 0; row < 2; row++)
	{
		for (int i = 0; i < MANY_VALUES; i++)
			at += sprintf(at, "%s\"m%d\":\"%d\"", i ? "," : "", i,
						  10000 * row + i);
		at += sprintf(at, row ? "}]" OK_TAIL : "},{");
	}
	layout = make_layout("api_keys", pointers, MANY_VALUES);
	page = velt_page_create(layout, &error);
	ok(receive(page, 200, body, strlen(body), 1000, &error),
	   "a response of %zu bytes", strlen(body));
	for (int row = 0; row < 2; row++)
	{
		for (nsteps++; velt_page_next_row(page, &error) == VELT_PAGE_MORE;)
			nsteps++;
		for (int i = 0; i < MANY_VALUES; i++)
			nright += velt_page_value(page, i).kind == VELT_JSON_STRING &&
				atoi(velt_page_text(page, velt_page_value(page, i)).bytes + 1) ==
				10000 * row + i;
	}
	is_int(nright, 2 * MANY_VALUES, "%d values of each of two rows",
		   MANY_VALUES);
	is_int(nsteps, 2, "... each found in one step");
	is_int(velt_page_next_row(page, &error), VELT_PAGE_END, "... and no more");
	velt_page_free(page);
	velt_layout_free(layout);
}

/* A step scans so much at most. */
#define SLICE_BYTES		((size_t) 64 * 1024)
#define LONG_ROW_BYTES	(20 * SLICE_BYTES)

/* A page of one long row, whose members x and z frame y. */
static VeltPage *
make_long_row(VeltLayout *layout, const char *filler)
{
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);
	char	   *body = malloc(LONG_ROW_BYTES + 1000);
	char	   *at = body + sprintf(body, OK_HEAD "[{\"x\":0,\"y\":[0");

	while ((size_t) (at - body) < LONG_ROW_BYTES)
		at = stpcpy(at, filler);
	strcpy(at, ",7],\"z\":8}]" OK_TAIL);
	ok(receive(page, 200, body, strlen(body), 10000, &error),
	   "a row of a megabyte of \"%.10s\"", filler);
	free(body);
	return page;
}

/* However long a row or an array is, a step scans 64 kB of it at most. */
static void
test_slices(const char *filler, size_t array_steps)
{
	const char *pointers[] = {"", "/x", "/y", "/z"};
	VeltError	error = {0};
	VeltLayout *layout = velt_layout_create(velt_resource_find("api_keys"),
											pointers, 4, &credentials,
											2 * LONG_ROW_BYTES, &error);
	VeltPage   *page = make_long_row(layout, filler);
	VeltJsonSpan last = {0};
	VeltJsonSpan element;
	VeltPageStatus status;
	size_t		length;
	size_t		nsteps;

	for (nsteps = 1; velt_page_next_row(page, &error) == VELT_PAGE_MORE;)
		nsteps++;
	length = velt_page_text(page, velt_page_value(page, 0)).length;
	is_int(nsteps, (length + SLICE_BYTES) / SLICE_BYTES,
		   "... takes a step for each slice");
	is_int(*velt_page_text(page, velt_page_value(page, 1)).bytes, '0',
		   "... to the value before it");
	is_int(*velt_page_text(page, velt_page_value(page, 3)).bytes, '8',
		   "... and the one after");

	nsteps = 0;
	velt_page_begin_array(page, velt_page_value(page, 2));
	while ((status = velt_page_next_element(page, &element,
											&error)) < VELT_PAGE_END)
	{
		nsteps += status == VELT_PAGE_MORE;
		if (status == VELT_PAGE_FOUND)
			last = element;
	}
	is_int(status, VELT_PAGE_END, "... its array is read to the end");
	is_int(nsteps, array_steps, "... slice by slice");
	is_int(*velt_page_text(page, last).bytes, '7', "... to the last element");
	is_int(velt_page_next_row(page, &error), VELT_PAGE_END,
		   "... and the row was the only one");
	velt_page_free(page);
	velt_layout_free(layout);
}

/* As deep as pointers go within a row, which is deeper than responses may. */
static void
test_deep_pointer(void)
{
	char		deep[2 * VELT_JSON_MAX_DEPTH] = "";
	const char *pointers[] = {deep, "/id"};
	VeltLayout *layout;
	VeltPage   *page;
	VeltError	error = {0};

	for (int i = 1; i < VELT_JSON_MAX_DEPTH; i++)
		strcat(deep, "/a");
	layout = make_layout("auth_tokens", pointers, 2);
	page = velt_page_create(layout, &error);
	velt_page_begin(page, velt_string(BYTES(KEY)));
	ok(receive(page, 200, BYTES(TOKENS("{\"a\":{\"a\":1},\"id\":2}")), 7,
			   &error) && next_row(page, &error),
	   "a row, and a pointer of %d parts", VELT_JSON_MAX_DEPTH - 1);
	is_int(velt_page_value(page, 0).kind, VELT_JSON_MISSING,
		   "... which names nothing");
	is_int(velt_page_value(page, 1).kind, VELT_JSON_NUMBER,
		   "... beside one that does");
	velt_page_free(page);
	velt_layout_free(layout);
}

static void
test_many_rows(void)
{
	const int	nrows = 3000;
	const char *pointers[] = {"/id", "/id", "/none"};
	VeltLayout *layout = make_layout("api_keys", pointers, 3);
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);
	char	   *body = malloc(100 + 20 * (size_t) nrows);
	char	   *at = body + sprintf(body, OK_HEAD "[");
	int			nright = 0;

	for (int i = 0; i < nrows; i++)
		at += sprintf(at, "{\"id\":%d},", i);
	sprintf(at - 1, "]" OK_TAIL);
	(void) receive(page, 200, body, strlen(body), 1000, &error);
	while (next_row(page, &error))
	{
		VeltJsonSpan id = velt_page_value(page, 1);

		nright += id.kind == VELT_JSON_NUMBER &&
			atoi(velt_page_text(page, id).bytes) == nright &&
			velt_page_value(page, 2).kind == VELT_JSON_MISSING;
	}
	is_int(nright, nrows, "%d rows of a response", nrows);
	velt_page_free(page);
	velt_layout_free(layout);
	free(body);
}

/* ----------
 * Page tokens
 * ----------
 */

typedef struct TokenCase
{
	const char *resource;
	const char *body;
	const char *token;
	size_t		length;
} TokenCase;

static const TokenCase token_cases[] = {
	{"api_keys", KEYS(""), BYTES("")},
	{"api_keys", KEYS_THEN("", "null"), BYTES("")},
	{"api_keys", KEYS_THEN("", "\"\""), BYTES("")},
	{"api_keys", KEYS_THEN("", "\"eyJ==\""), BYTES("eyJ==")},
	{"api_keys", KEYS_THEN("", "\"a\\/b\\u00e9\\n\\\"\""), BYTES("a/b\xc3\xa9\n\"")},
	{"api_keys", KEYS_THEN("", "\"a\\u0000b\""), BYTES("a\0b")},
	{"api_keys", OK_HEAD "[{\"nextPageToken\":\"x\"}]" OK_TAIL, BYTES("")},
	{"api_keys", "{\"nextPageToken\":\"x\",\"result\":{\"status\":\"success\",\"data\":[]}}", BYTES("")},
	{"auth_tokens", OK_HEAD "{\"authTokens\":[]},\"nextPageToken\":\"x\"" OK_TAIL, BYTES("")},
	{"workspaces", OK_HEAD "{\"id\":\"w\"},\"nextPageToken\":\"x\"" OK_TAIL, BYTES("")},
};

static void
test_token(const TokenCase *c)
{
	VeltLayout *layout = make_layout(c->resource, NULL, 0);
	VeltBuffer	token = {0};
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);

	(void) velt_buffer_append(&token, BYTES("of the page before"));
	ok(receive(page, 200, c->body, strlen(c->body), 3, &error) &&
	   velt_page_next_token(page, &token, &error), "token of %s", c->body);
	is_bytes(token.data, token.length, c->token, c->length, "... is this");
	velt_buffer_free(&token);
	velt_page_free(page);
	velt_layout_free(layout);
}

static void
test_broken_token(void)
{
	VeltLayout *layout = make_layout("api_keys", NULL, 0);
	VeltBuffer	token = {0};
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);

	ok(receive(page, 200, BYTES(KEYS_THEN("", "\"\\ud800\"")), 100, &error) &&
	   !velt_page_next_token(page, &token, &error),
	   "a token with half a surrogate pair is no token");
	velt_buffer_free(&token);
	velt_page_free(page);
	velt_layout_free(layout);
}

/* ----------
 * Values
 * ----------
 */

typedef struct ArrayCase
{
	const char *array;
	const char *elements;		/* kind and text of each */
} ArrayCase;

static const ArrayCase array_cases[] = {
	{"[]", ""},
	{"[ \n ]", ""},
	{"[1]", "4 1;"},
	{"[ 1 , 2,3 ]", "4 1;4 2;4 3;"},
	{"[\"a\",\"b,]\",\"\"]", "5 \"a\";5 \"b,]\";5 \"\";"},
	{"[null,true,false]", "1 null;3 true;2 false;"},
	{"[[1,[2]],{\"a\":[3]},[]]", "6 [1,[2]];7 {\"a\":[3]};6 [];"},
	{"[-0.5e+1,\"\\\"\"]", "4 -0.5e+1;5 \"\\\"\";"},
};

static void
test_array(const ArrayCase *c)
{
	const char *pointers[] = {"/a"};
	char		body[200];
	char		elements[200] = "";
	VeltLayout *layout = make_layout("api_keys", pointers, 1);
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);
	VeltJsonSpan element;
	VeltPageStatus status;

	snprintf(body, sizeof(body), KEYS("{\"a\":%s},{\"a\":[9]}"), c->array);
	(void) receive(page, 200, body, strlen(body), 1000, &error);
	(void) next_row(page, &error);
	velt_page_begin_array(page, velt_page_value(page, 0));
	while ((status = velt_page_next_element(page, &element,
											&error)) == VELT_PAGE_FOUND)
	{
		VeltString	text = velt_page_text(page, element);

		sprintf(elements + strlen(elements), "%d %.*s;", element.kind,
				(int) text.length, text.bytes);
	}
	is_int(status, VELT_PAGE_END, "elements of %s", c->array);
	is_str(elements, c->elements, "... are these");
	ok(next_row(page, &error),
	   "... and the next row follows");
	velt_page_free(page);
	velt_layout_free(layout);
}

static void
test_strings(void)
{
	const char *pointers[] = {"/a", "/b", "/c"};
	VeltLayout *layout = make_layout("api_keys", pointers, 3);
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);
	VeltString	string = {NULL, 0};

	(void) receive(page, 200,
				   BYTES(KEYS("{\"a\":\"\xc3\xa9\",\"b\":\"\\u0000\\n\",\"c\":\"\\ud800\"}")),
				   1000, &error);
	(void) next_row(page, &error);
	ok(velt_page_string(page, velt_page_value(page, 0), &string, &error),
	   "a string without escapes");
	is_bytes(string.bytes, string.length, BYTES("\xc3\xa9"), "... as it came");
	ok(velt_page_string(page, velt_page_value(page, 1), &string, &error),
	   "a string with escapes");
	is_bytes(string.bytes, string.length, BYTES("\0\n"), "... decoded");
	ok(!velt_page_string(page, velt_page_value(page, 2), &string, &error) &&
	   error.kind == VELT_ERROR_UNTRANSLATABLE, "half a pair is no string");
	velt_page_free(page);
	velt_layout_free(layout);
}

/* ----------
 * What names a row
 * ----------
 */

typedef struct KeyCase
{
	const char *resource;
	const char *body;
	const char *key;
} KeyCase;

static const KeyCase key_cases[] = {
	{"api_keys", KEYS("{\"x\":1,\"id\":\"a\\/b\"}"), "a/b"},
	{"api_keys", KEYS("{\"id\":7}"), ""},
	{"api_keys", KEYS("{\"id\":null}"), ""},
	{"api_keys", KEYS("{}"), ""},
	{"api_keys", KEYS("{\"id\":\"\\ud800\"}"), ""},
	{"workspaces", OK_HEAD "{\"id\":\"w\"}" OK_TAIL, "w"},
	{"auth_tokens", TOKENS("{\"token\":\"secret\"}"), KEY},
};

static void
test_row_key(const KeyCase *c)
{
	const char *pointers[] = {"/x"};
	VeltLayout *layout = make_layout(c->resource, pointers, 1);
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);
	bool		by_row = strcmp(c->resource, "auth_tokens") != 0;
	VeltString	key;

	velt_page_begin(page, velt_string(BYTES(KEY)));
	(void) receive(page, 200, c->body, strlen(c->body), 1000, &error);
	key = velt_page_row_key(page);
	ok(by_row ? key.length == 0 : key.length > 0,
	   "before its first row a page of %s has %s", c->resource,
	   by_row ? "no key" : "the one asked for");
	(void) next_row(page, &error);
	key = velt_page_row_key(page);
	is_bytes(key.bytes, key.length, c->key, strlen(c->key), "key of %s",
			 c->body);
	ok(!next_row(page, &error) && error.kind == VELT_ERROR_NONE,
	   "... after which there is no further row");
	key = velt_page_key(page);
	is_bytes(key.bytes, key.length, BYTES(KEY), "... of the request");
	velt_page_free(page);
	velt_layout_free(layout);
}

/* A row that cannot be read is not named by the one before it. */
static void
test_row_key_of_broken(void)
{
	const char *pointers[] = {"/id"};
	VeltLayout *layout = make_layout("api_keys", pointers, 1);
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);
	VeltString	key;

	(void) receive(page, 200, BYTES(KEYS("{\"id\":\"a\"},1")), 1000, &error);
	(void) next_row(page, &error);
	ok(!next_row(page, &error), "the second row is none");
	key = velt_page_row_key(page);
	is_bytes(key.bytes, key.length, BYTES(""), "... and has no key");
	velt_page_free(page);
	velt_layout_free(layout);
}

/* ----------
 * Limits, and pages used again
 * ----------
 */

static void
test_size(size_t length, int http_status, VeltErrorKind kind)
{
	VeltLayout *layout = make_layout("api_keys", NULL, 0);
	char	   *body = malloc(length);
	VeltError	error;

	memset(body, ' ', length);
	memcpy(body, KEYS(""), strlen(KEYS("")));
	for (int way = 0; way < 2; way++)
	{
		VeltPage   *page = velt_page_create(layout, &error);

		memset(&error, 0, sizeof(error));
		(void) receive(page, http_status, body, length, way ? 1000 : length,
					   &error);
		is_int(error.kind, kind, "a response of %zu bytes, %s", length,
			   way ? "in pieces" : "at once");
		velt_page_free(page);
	}
	free(body);
	velt_layout_free(layout);
}

/* A response of a length that is known before it comes. */
static void
test_expected_size(void)
{
	VeltLayout *layout = make_layout("api_keys", NULL, 0);
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);

	ok(velt_page_expect(page, 0, &error) &&
	   velt_page_expect(page, MAX_BYTES, &error),
	   "a response of the largest size is waited for");
	ok(!velt_page_expect(page, MAX_BYTES + 1, &error) &&
	   error.kind == VELT_ERROR_RESPONSE_SIZE, "... a larger one is not");
	ok(!velt_page_expect(page, UINT64_MAX, &error), "... nor the largest");
	velt_page_free(page);
	velt_layout_free(layout);
}

static void
test_nested_response(void)
{
	VeltLayout *layout = make_layout("api_keys", NULL, 0);
	char		body[1000];
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);

	memset(body, '[', sizeof(body));
	ok(!receive(page, 200, body, sizeof(body), 100, &error) &&
	   error.kind == VELT_ERROR_NESTING, "a response that nests too deep");
	velt_page_begin(page, velt_string(NULL, 0));
	ok(!receive(page, 500, body, sizeof(body), 100, &error) &&
	   error.kind == VELT_ERROR_UNAVAILABLE, "... is an HTTP error if it is one");
	velt_page_free(page);
	velt_layout_free(layout);
}

static void
test_reuse(void)
{
	const char *pointers[] = {"/id"};
	VeltLayout *layout = make_layout("api_keys", pointers, 1);
	VeltError	error = {0};
	VeltPage   *page = velt_page_create(layout, &error);
	VeltBuffer	token = {0};

	(void) receive(page, 200, BYTES(KEYS_THEN("{\"id\":\"a\"}", "\"t\"")), 100,
				   &error);
	(void) next_row(page, &error);
	velt_page_begin(page, velt_string(NULL, 0));
	is_int(velt_page_row_key(page).length, 0, "a page begun anew has no row");
	ok(receive(page, 200, BYTES(KEYS("{\"id\":\"b\"}")), 100, &error),
	   "... takes another response");
	ok(velt_page_next_token(page, &token, &error) && token.length == 0,
	   "... with its own token");
	ok(next_row(page, &error) &&
	   velt_page_text(page, velt_page_value(page, 0)).bytes[1] == 'b',
	   "... and rows");

	velt_page_begin(page, velt_string(NULL, 0));
	ok(!receive(page, 500, BYTES(FAILURE("INTERNAL", "")), 100, &error),
	   "an attempt fails");
	velt_page_begin(page, velt_string(NULL, 0));
	ok(receive(page, 200, BYTES(KEYS("")), 100, &error),
	   "... and what came of it is void in the next");
	velt_buffer_free(&token);
	velt_page_free(page);
	velt_layout_free(layout);
}

static void
test_bad_layout(void)
{
	const char *pointers[] = {"/id", "id", "/type"};
	VeltError	error = {0};

	ok(velt_layout_create(velt_resource_find("api_keys"), pointers, 3,
						  &credentials, MAX_BYTES, &error) == NULL &&
	   error.kind == VELT_ERROR_INVALID_VALUE,
	   "a layout of what is no pointer is refused");
	velt_layout_free(NULL);
	velt_page_free(NULL);
}

void
test_page(void)
{
	for (size_t i = 0; i < LENGTH_OF(response_cases); i++)
		test_response(&response_cases[i]);
	for (size_t i = 0; i < LENGTH_OF(member_cases); i++)
		test_member(&member_cases[i]);
	test_echoes();
	test_long_message();
	test_long_strings(65532, false);
	test_long_strings(65533, true);
	for (size_t i = 0; i < LENGTH_OF(rows_cases); i++)
		test_rows(&rows_cases[i]);
	test_deep_pointer();
	test_many_rows();
	test_many_values();
	test_slices(",{\"last\":1}", 0);
	test_slices("   ", LONG_ROW_BYTES / SLICE_BYTES - 1);
	for (size_t i = 0; i < LENGTH_OF(token_cases); i++)
		test_token(&token_cases[i]);
	test_broken_token();
	for (size_t i = 0; i < LENGTH_OF(array_cases); i++)
		test_array(&array_cases[i]);
	test_strings();
	for (size_t i = 0; i < LENGTH_OF(key_cases); i++)
		test_row_key(&key_cases[i]);
	test_row_key_of_broken();
	test_size(MAX_BYTES, 200, VELT_ERROR_NONE);
	test_size(MAX_BYTES + 1, 200, VELT_ERROR_RESPONSE_SIZE);
	test_expected_size();
	test_nested_response();
	test_reuse();
	test_bad_layout();
}
