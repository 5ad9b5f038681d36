/*
 * test/unit/scan.c
 *		A cursor against a small Velt API, all in one thread.
 */
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEYS		1000
#define REPLY_BYTES		65536
#define BACKOFF_STEP_MS	500

/* ----------
 * The API
 * ----------
 */

static bool
has_path(const Request *request, const char *path)
{
	size_t		length = strlen(path);

	return strncmp(request->path, path, length) == 0 &&
		request->path[length] == ' ';
}

static void
answer_not_found(Server *server, int request, const char *what)
{
	char		reply[200];

	snprintf(reply, sizeof(reply),
			 "{\"error\":{\"status\":\"NOT_FOUND\",\"message\":\"%s not found.\"}}",
			 what);
	server_answer(server, request, 404, reply);
}

/* The number behind a text in the body, or "otherwise". */
static int
number_behind(const char *body, const char *text, int otherwise)
{
	const char *at = strstr(body, text);

	return at ? atoi(at + strlen(text)) : otherwise;
}

static void
answer_workspace(const Api *api, Server *server, int request)
{
	if (api->no_workspace)
		answer_not_found(server, request, "Workspace");
	else
		server_answer(server, request, 200,
					  "{\"result\":{\"status\":\"success\",\"data\":{\"id\":\"w\"}}}");
}

/* The number of ids in a filter. */
static int
filter_length(const char *ids)
{
	int			n = 1;

	for (; *ids != ']'; ids++)
		n += *ids == ',';
	return n;
}

static void
answer_filter(const Api *api, Server *server, int request)
{
	const char *at = strstr(server_request(server, request)->body, "[");
	char		reply[REPLY_BYTES] = "{\"result\":{\"status\":\"success\",\"data\":[";
	size_t		used = strlen(reply);
	const char *comma = "";

	if ((api->filter_cap > 0 && filter_length(at) > api->filter_cap) ||
		(api->refused != NULL && strstr(at, api->refused) != NULL))
	{
		server_answer(server, request, 400,
					  "{\"error\":{\"status\":\"INVALID_ARGUMENT\",\"message\":\"m\"}}");
		return;
	}
	while ((at = strstr(at, "\"k")) != NULL)
	{
		int			key = atoi(at += 2);

		if (key < api->nkeys)
		{
			used += sprintf(reply + used, "%s{\"id\":\"k%d\"}", comma, key);
			comma = ",";
		}
		else if (!api->leaves_out)
		{
			answer_not_found(server, request, "API key");
			return;
		}
	}
	strcpy(reply + used, "]}}");
	server_answer(server, request, 200, reply);
}

/* Page tokens are "p" and the number of the key they go on with. */
static void
answer_list(const Api *api, Server *server, int request)
{
	const char *body = server_request(server, request)->body;
	int			size = number_behind(body, "\"pageSize\":", 100);
	int			first = number_behind(body, "\"pageToken\":\"p", 0);
	bool		empty = (api->empty_every > 0 &&
						 strstr(body, "again") == NULL &&
						 first / size % api->empty_every == 0);
	char		reply[REPLY_BYTES] = "{\"result\":{\"status\":\"success\",\"data\":[";
	size_t		used = strlen(reply);
	int			i = first;

	for (; !empty && i < first + size && i < api->nkeys; i++)
		used += sprintf(reply + used, "%s{\"id\":\"\\u006b%d\"}",
						i > first ? "," : "", i);
	used += sprintf(reply + used, "]");
	if (empty || i < api->nkeys)
		used += sprintf(reply + used, ",\"nextPageToken\":\"p%d%s\"", i,
						empty ? "again" : "");
	strcpy(reply + used, "}}");
	server_answer(server, request, 200, reply);
}

static void
answer_tokens(const Api *api, Server *server, int request)
{
	int			key = number_behind(server_request(server, request)->body,
									"\"apiKey\":\"k", MAX_KEYS);
	char		reply[200];

	snprintf(reply, sizeof(reply),
			 "{\"result\":{\"status\":\"success\",\"data\":{\"apiKey\":\"k%d\",\"authTokens\":[{\"id\":\"t%d\"}]}}}",
			 key, key);
	if (key < api->nkeys)
		server_answer(server, request, 200, reply);
	else
		answer_not_found(server, request, "API key");
}

static void
answer(const Api *api, Server *server, int number)
{
	const Request *request = server_request(server, number);

	if (has_path(request, WORKSPACE_PATH))
		answer_workspace(api, server, number);
	else if (has_path(request, TOKENS_PATH))
		answer_tokens(api, server, number);
	else if (strstr(request->body, "\"apiKeys\"") != NULL)
		answer_filter(api, server, number);
	else
		answer_list(api, server, number);
}

/* Whether the request's page token is to be refused, which happens once. */
static bool
refuses_page(Api *api, const Request *request)
{
	if (api->refused_page == 0 ||
		number_behind(request->body, "\"pageToken\":\"p", 0) != api->refused_page)
		return false;
	api->refused_page = 0;
	return true;
}

static void
handle(Server *server, int request, void *data)
{
	Scan	   *scan = data;

	if (refuses_page(&scan->api, server_request(server, request)))
		server_answer(server, request, 400,
					  "{\"error\":{\"status\":\"INVALID_ARGUMENT\"}}");
	else if (scan->api.flaky && request % 2 == 0)
		server_answer(server, request, 503, "");
	else if (!scan->api.holds)
		answer(&scan->api, server, request);
}

void
scan_answer(Scan *scan, int request)
{
	answer(&scan->api, scan->server, request);
}

int
scan_find(const Scan *scan, const char *text)
{
	for (int i = 0; i < server_requests(scan->server); i++)
	{
		if (strstr(server_request(scan->server, i)->body, text) != NULL)
			return i;
	}
	return -1;
}

int
scan_count(const Scan *scan, const char *path)
{
	int			n = 0;

	for (int i = 0; i < server_requests(scan->server); i++)
		n += has_path(server_request(scan->server, i), path);
	return n;
}

/* ----------
 * The scan
 * ----------
 */

void
scan_open(Scan *scan, const char *resource)
{
	static const char *const id[] = {"/id"};

	memset(scan, 0, sizeof(*scan));
	scan->server = server_open("127.0.0.1");
	server_handle(scan->server, handle, scan);
	scan->config = loop_config(server_url(scan->server, "http"));
	scan->spec.resource = velt_resource_find(resource);
	scan->spec.pointers = id;
	scan->spec.npointers = 1;
	scan->spec.limit = -1;
	scan->spec.page_size = VELT_MAX_PAGE_SIZE;
	scan->spec.max_concurrency = 8;
	scan->spec.max_response_bytes = (size_t) 64 * 1024;
	scan->spec.workspace_known = &scan->known;
	scan->limit.configured = scan->limit.current = VELT_MAX_PAGE_SIZE;
	scan->spec.filter_limit = &scan->limit;
	scan->spec.stats = &scan->stats;
}

void
scan_filter(Scan *scan, const int *keys, int nkeys)
{
	static char names[MAX_KEYS][8];
	static VeltString strings[MAX_KEYS];

	for (int i = 0; i < nkeys; i++)
	{
		strings[i].bytes = names[i];
		strings[i].length = sprintf(names[i], "k%d", keys[i]);
	}
	scan->spec.filtered = true;
	scan->spec.keys = strings;
	scan->spec.nkeys = nkeys;
}

bool
scan_begin(Scan *scan)
{
	if (scan->transport == NULL)
		scan->transport = velt_transport_create(&scan->config,
												loop_network(), NULL,
												&scan->error);
	if (scan->transport != NULL)
		scan->cursor = velt_cursor_open(scan->transport, &scan->spec,
										&scan->error);
	return scan->cursor != NULL;
}

void
scan_close(Scan *scan)
{
	velt_cursor_close(scan->cursor);
	velt_transport_destroy(scan->transport);
	loop_close();
	server_free(scan->server);
}

VeltCursorStatus
scan_next(Scan *scan, VeltPage **page)
{
	int64_t		end = loop_now_ms() + PATIENCE_MS;
	VeltCursorStatus status;

	while ((status = velt_cursor_next_page(scan->cursor, page,
										   &scan->error)) == VELT_CURSOR_WAIT &&
		   loop_now_ms() < end)
	{
		VeltError	error = {0};

		/* a backoff takes its time on the client's clock alone */
		if (velt_transport_phase(scan->transport) == VELT_PHASE_BACKOFF)
			loop_doze(BACKOFF_STEP_MS);
		if (!loop_turn(scan->server, SETTLED_MS, &error) &&
			error.kind != VELT_ERROR_NONE)
		{
			scan->error = error;
			return VELT_CURSOR_FAILED;
		}
	}
	return status;
}

bool
scan_note(Scan *scan, VeltPage *page)
{
	size_t		used = strlen(scan->rows);
	VeltPageStatus status;

	while ((status = velt_page_next_row(page,
										&scan->error)) == VELT_PAGE_FOUND)
	{
		VeltString	value = {"-", 1};
		VeltJsonSpan span;

		scan->nrows++;
		span = velt_page_value(page, 0);
		if (span.kind == VELT_JSON_STRING &&
			!velt_page_string(page, span, &value, &scan->error))
			return false;
		used += snprintf(scan->rows + used, ROWS_BYTES - used, "%.*s ",
						 (int) value.length, value.bytes);
	}
	snprintf(scan->rows + used, ROWS_BYTES - used, "|");
	return status == VELT_PAGE_END;
}

VeltCursorStatus
scan_run(Scan *scan)
{
	VeltPage   *page;
	VeltCursorStatus status;

	while ((status = scan_next(scan, &page)) == VELT_CURSOR_PAGE)
	{
		scan->npages++;
		if (!scan_note(scan, page))
			return VELT_CURSOR_FAILED;
	}
	return status;
}

void
scan_settle(Scan *scan)
{
	loop_settle(scan->server);
}

void
scan_wait(Scan *scan, int64_t ms)
{
	loop_wait(scan->server, ms);
}
