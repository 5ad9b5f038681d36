/*
 * client/page.c
 *		One response: its rows, and the token of the next page or the error
 *		the API replied.
 */
#include "client/page.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* Documented statuses have at most 19 characters. */
#define STATUS_BYTES	64

/* A response may be JSON, and even the API's, and still not be an answer. */
#define WRONG_SHAPE		"The response is not of the documented shape: "

/* A page that held a large response gives its memory back. */
#define KEPT_BYTES		((size_t) 256 * 1024)

/* One step to a row or an element scans at most so much. */
#define SLICE_BYTES		((size_t) 64 * 1024)

/*
 * A page token names a place in a list, for which some hundred bytes will do.
 * With this many, a thousand empty pages (client/request_queue) bring no more bytes
 * than one response may have by default.
 */
#define MAX_TOKEN_BYTES	((size_t) 64 * 1024)

/* Longer than any pointer to what all responses of a resource have. */
#define POINTER_BYTES	100

struct VeltPage
{
	const VeltLayout *layout;
	VeltString	key;
	VeltBuffer	body;
	VeltBuffer	scratch;		/* a decoded string */
	char		request_id[VELT_REQUEST_ID_BYTES];	/* as it came */
	VeltJsonScanner scanner;	/* of the response, then of its rows */
	VeltJsonScanner elements;	/* of an array value */
	VeltJsonSpan element;
	VeltJsonSpan *row;			/* by node of layout->row, behind the others */
	VeltJsonSpan arrived[];		/* by node of layout->arrival */
};

/* ----------
 * Layouts
 * ----------
 */

static VeltJsonTree *
make_arrival(const VeltResource *resource, const char *key_pointer,
			 VeltError *error)
{
	const char *rows = resource->rows_pointer;
	const char *echo = resource->echo_pointer;
	bool		one = resource->rows == VELT_ONE_OBJECT;
	char		object_key[POINTER_BYTES];
	const char *pointers[VELT_ENVELOPE_POINTERS] = {
		[VELT_AT_ERROR] = "/error",
		[VELT_AT_ERROR_STATUS] = "/error/status",
		[VELT_AT_ERROR_MESSAGE] = "/error/message",
		[VELT_AT_ERROR_DETAILS] = "/error/details",
		[VELT_AT_RESULT_STATUS] = "/result/status",
		[VELT_AT_RESULT_MESSAGE] = "/result/message",
		[VELT_AT_NEXT_PAGE_TOKEN] = "/result/nextPageToken",
		[VELT_AT_DATA] = "/result/data",
		[VELT_AT_ROWS] = rows,
		[VELT_AT_OBJECT_KEY] = object_key,
		[VELT_AT_ECHO] = echo ? echo : "",
	};

	snprintf(object_key, sizeof(object_key), "%s%s", rows,
			 one ? key_pointer : "");
	return velt_json_tree_create(pointers, VELT_ENVELOPE_POINTERS, error);
}

/* Compiles the pointers of the values, and of the row's key if it has one. */
static VeltJsonTree *
make_row(const char *const *values, int nvalues, const char *key_pointer,
		 VeltError *error)
{
	size_t		size = nvalues * sizeof(char *);
	const char **pointers = malloc(size + sizeof(char *));
	VeltJsonTree *tree = NULL;

	if (pointers == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	if (nvalues > 0)
		memcpy(pointers, values, size);
	pointers[nvalues] = key_pointer;
	tree = velt_json_tree_create(pointers,
								 key_pointer ? nvalues + 1 : nvalues, error);
	free(pointers);
	return tree;
}

VeltLayout *
velt_layout_create(const VeltResource *resource, const char *const *pointers,
				   int npointers, const VeltCredentials *credentials,
				   size_t max_bytes, VeltError *error)
{
	const VeltColumn *key = velt_resource_column(resource,
												 resource->key_column);
	VeltLayout *layout = calloc(1, sizeof(VeltLayout));

	if (layout == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	layout->resource = resource;
	layout->credentials = credentials;
	layout->max_bytes = max_bytes;
	layout->row_key = key->pointer ? npointers : -1;
	layout->arrival = make_arrival(resource, key->pointer, error);
	layout->row = make_row(pointers, npointers, key->pointer, error);
	if (layout->arrival != NULL && layout->row != NULL)
		return layout;
	velt_layout_free(layout);
	return NULL;
}

void
velt_layout_free(VeltLayout *layout)
{
	if (layout == NULL)
		return;
	free(layout->arrival);
	free(layout->row);
	free(layout);
}

/* ----------
 * Arrival
 * ----------
 */

VeltPage *
velt_page_create(const VeltLayout *layout, VeltError *error)
{
	VeltPage   *page = malloc(offsetof(VeltPage, arrived) +
							  (layout->arrival->nnodes + layout->row->nnodes) *
							  sizeof(VeltJsonSpan));

	if (page == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	page->layout = layout;
	memset(&page->body, 0, sizeof(page->body));
	memset(&page->scratch, 0, sizeof(page->scratch));
	page->row = page->arrived + layout->arrival->nnodes;
	velt_page_begin(page, velt_string(NULL, 0));
	return page;
}

void
velt_page_free(VeltPage *page)
{
	if (page == NULL)
		return;
	velt_buffer_free(&page->body);
	velt_buffer_free(&page->scratch);
	free(page);
}

void
velt_page_begin(VeltPage *page, VeltString key)
{
	const VeltLayout *layout = page->layout;

	page->key = key;
	velt_buffer_reset(&page->body, KEPT_BYTES);
	velt_buffer_reset(&page->scratch, KEPT_BYTES);
	page->request_id[0] = '\0';
	memset(page->row, 0, layout->row->nnodes * sizeof(VeltJsonSpan));
	velt_json_begin(&page->scanner, layout->arrival, page->arrived, 0,
					VELT_JSON_TEXT);
}

void
velt_page_set_request_id(VeltPage *page, const char *id)
{
	size_t		length = strnlen(id, sizeof(page->request_id) - 1);

	memcpy(page->request_id, id, length);
	page->request_id[length] = '\0';
}

void
velt_page_name_request(const VeltPage *page, VeltError *error)
{
	velt_error_set_request_id(error, page->request_id,
							  page->layout->credentials);
}

static bool
http_success(int http_status)
{
	return http_status >= 200 && http_status <= 299;
}

static bool
too_long(const VeltPage *page, VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_RESPONSE_SIZE,
						  "The response is longer than %zu bytes.",
						  page->layout->max_bytes);
}

bool
velt_page_expect(const VeltPage *page, uint64_t length, VeltError *error)
{
	return length <= page->layout->max_bytes || too_long(page, error);
}

/* Returns what the response has where a pointer of its layout leads. */
static VeltJsonSpan
arrived(const VeltPage *page, int pointer)
{
	return page->arrived[page->layout->arrival->ends[pointer]];
}

/* Returns whether the response begins like HTML or XML. */
static bool
is_markup(const VeltPage *page)
{
	size_t		at = 0;

	while (at < page->body.length && isspace((unsigned char) page->body.data[at]))
		at++;
	return at < page->body.length && page->body.data[at] == '<';
}

/*
 * The response is wrong in its form.  If nothing in it is the API's, somebody
 * else may have replied.
 */
static bool
misformed(const VeltPage *page, int http_status, VeltError *error)
{
	if (http_success(http_status) && is_markup(page))
		velt_error_set(error, VELT_ERROR_PROTOCOL,
					   "The server replied HTTP %d with a web page instead of JSON.",
					   http_status);
	if (error->kind == VELT_ERROR_PROTOCOL &&
		arrived(page, VELT_AT_RESULT_STATUS).kind <= VELT_JSON_NULL &&
		arrived(page, VELT_AT_ERROR_STATUS).kind <= VELT_JSON_NULL)
		error->kind = VELT_ERROR_NO_ENVELOPE;
	return false;
}

bool
velt_page_receive(VeltPage *page, int http_status, const char *bytes,
				  size_t length, VeltError *error)
{
	if (length > page->layout->max_bytes - page->body.length)
		return too_long(page, error);
	if (!velt_buffer_append(&page->body, bytes, length))
		return velt_error_out_of_memory(error);
	if (velt_json_scan(&page->scanner, page->body.data, page->body.length,
					   error))
		return true;
	/* what a proxy or a web server says of its troubles is seldom JSON */
	if (!http_success(http_status))
		velt_error_set_http(error, http_status);
	return misformed(page, http_status, error);
}

/* ----------
 * The whole response
 * ----------
 */

VeltString
velt_page_text(const VeltPage *page, VeltJsonSpan span)
{
	return velt_string(page->body.data + span.start, span.end - span.start);
}

bool
velt_page_string(VeltPage *page, VeltJsonSpan span, VeltString *string,
				 VeltError *error)
{
	size_t		length;

	if (!span.escaped)
	{
		string->bytes = page->body.data + span.start + 1;
		string->length = span.end - span.start - 2;
		return true;
	}
	velt_buffer_reset(&page->scratch, KEPT_BYTES);
	if (!velt_json_decode_string(page->body.data, span, &page->scratch,
								 &length, error))
		return false;
	string->bytes = page->scratch.data;
	string->length = length;
	return true;
}

/*
 * Sets *string to the characters of a short string; false if it is anything
 * else.  A long one could take longer to decode than a cancel may take.
 */
static bool
short_string(VeltPage *page, VeltJsonSpan span, VeltString *string)
{
	VeltError	ignored;

	return span.kind == VELT_JSON_STRING &&
		span.end - span.start <= SLICE_BYTES &&
		velt_page_string(page, span, string, &ignored);
}

/* Sets the error for a member that is missing, or something else than wanted. */
static bool
wrong_member(const char *pointer, VeltJsonKind kind, const char *wanted,
			 VeltError *error)
{
	static const char *const names[] = {
		[VELT_JSON_NULL] = "null",
		[VELT_JSON_FALSE] = "a boolean",
		[VELT_JSON_TRUE] = "a boolean",
		[VELT_JSON_NUMBER] = "a number",
		[VELT_JSON_STRING] = "a string",
		[VELT_JSON_ARRAY] = "an array",
		[VELT_JSON_OBJECT] = "an object",
	};

	if (kind == VELT_JSON_MISSING)
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  WRONG_SHAPE "%s is missing.", pointer);
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  WRONG_SHAPE "%s is %s instead of %s.", pointer,
						  names[kind], wanted);
}

/* Remote text of one member, made safe; "" if it is not a short string. */
static void
clean_member(VeltPage *page, VeltJsonSpan span, char *out, size_t size)
{
	VeltString	string;

	out[0] = '\0';
	if (short_string(page, span, &string))
		velt_error_clean_text(out, size, string.bytes, string.length,
							  page->layout->credentials);
}

/* The API's own error decides, the HTTP status only if it is an unknown one. */
static bool
api_error(VeltPage *page, int http_status, VeltError *error)
{
	VeltString	code;
	VeltStatus	meaning = {VELT_ERROR_NONE, false, false};
	bool		known;
	bool		detailed;
	char		status[STATUS_BYTES];
	char		message[VELT_REMOTE_TEXT_BYTES + 1];

	if (short_string(page, arrived(page, VELT_AT_ERROR_STATUS), &code))
		meaning = velt_error_api_status(code.bytes, code.length);
	known = meaning.kind != VELT_ERROR_NONE;
	if (!known)
		meaning = velt_error_http_status(http_status);
	clean_member(page, arrived(page, VELT_AT_ERROR_STATUS), status, sizeof(status));
	if (status[0] == '\0')
		strcpy(status, "an error without a name");
	clean_member(page, arrived(page, VELT_AT_ERROR_MESSAGE), message,
				 sizeof(message));
	if (message[0] != '\0')
		velt_error_set(error, meaning.kind,
					   "The API replied %s (HTTP %d): %s",
					   status, http_status, message);
	else
		velt_error_set(error, meaning.kind,
					   "The API replied %s (HTTP %d).", status, http_status);
	error->http_status = http_status;
	error->enveloped = known;
	/* an error that carries details is documented to be permanent */
	detailed = arrived(page, VELT_AT_ERROR_DETAILS).kind > VELT_JSON_NULL;
	error->transient = meaning.transient && !detailed;
	error->if_retry_after = meaning.if_retry_after && !detailed;
	return false;
}

/* An answer about another key would put rows where they do not belong. */
static bool
check_echo(VeltPage *page, VeltError *error)
{
	VeltJsonSpan span = arrived(page, VELT_AT_ECHO);
	VeltString	echo;

	if (span.kind <= VELT_JSON_NULL)
		return true;
	if (span.kind != VELT_JSON_STRING)
		return wrong_member(page->layout->resource->echo_pointer, span.kind,
							"a string", error);
	if (short_string(page, span, &echo) &&
		echo.length == page->key.length &&
		memcmp(echo.bytes, page->key.bytes, echo.length) == 0)
		return true;
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The response is about another key than the one asked for.");
}

static bool
is_success(VeltPage *page)
{
	VeltString	status;

	return short_string(page, arrived(page, VELT_AT_RESULT_STATUS), &status) &&
		status.length == strlen("success") &&
		memcmp(status.bytes, "success", status.length) == 0;
}

/* The API says itself that it has failed, in a way that is not documented. */
static bool
failed_result(VeltPage *page, VeltError *error)
{
	char		status[STATUS_BYTES];
	char		message[VELT_REMOTE_TEXT_BYTES + 1];

	clean_member(page, arrived(page, VELT_AT_RESULT_STATUS), status,
				 sizeof(status));
	clean_member(page, arrived(page, VELT_AT_RESULT_MESSAGE), message,
				 sizeof(message));
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The API replied the status \"%s\" instead of \"success\"%s%s",
						  status, message[0] ? ": " : ".", message);
}

/* Sets the error for rows, or the data they are in, that are something else. */
static bool
wrong_rows(const VeltPage *page, VeltError *error)
{
	static const char data[] = "/result/data";
	const VeltResource *resource = page->layout->resource;
	VeltJsonKind kind = arrived(page, VELT_AT_DATA).kind;

	if (strcmp(resource->rows_pointer, data) != 0 && kind != VELT_JSON_OBJECT)
		return wrong_member(data, kind, "an object", error);
	return wrong_member(resource->rows_pointer,
						arrived(page, VELT_AT_ROWS).kind,
						resource->rows == VELT_ONE_OBJECT ?
						"an object" : "an array", error);
}

/* A single object without its key is not the one that was asked for. */
static bool
check_object_key(const VeltPage *page, VeltError *error)
{
	const VeltResource *resource = page->layout->resource;
	VeltJsonKind kind = arrived(page, VELT_AT_OBJECT_KEY).kind;
	char		pointer[POINTER_BYTES];

	if (kind == VELT_JSON_STRING)
		return true;
	snprintf(pointer, sizeof(pointer), "%s%s", resource->rows_pointer,
			 velt_resource_column(resource, resource->key_column)->pointer);
	return wrong_member(pointer, kind, "a string", error);
}

/* Checks what the rows are, and prepares to step through them. */
static bool
check_rows(VeltPage *page, VeltError *error)
{
	bool		one = page->layout->resource->rows == VELT_ONE_OBJECT;
	VeltJsonSpan rows = arrived(page, VELT_AT_ROWS);

	if (rows.kind != (one ? VELT_JSON_OBJECT : VELT_JSON_ARRAY))
		return wrong_rows(page, error);
	velt_json_begin(&page->scanner, page->layout->row, page->row, rows.start,
					one ? VELT_JSON_VALUE : VELT_JSON_ELEMENTS);
	return !one || check_object_key(page, error);
}

static bool
check_result(VeltPage *page, VeltError *error)
{
	VeltJsonKind status = arrived(page, VELT_AT_RESULT_STATUS).kind;
	VeltJsonKind token = arrived(page, VELT_AT_NEXT_PAGE_TOKEN).kind;

	if (status == VELT_JSON_MISSING)
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  WRONG_SHAPE "it has neither a result with a status nor an error.");
	if (status != VELT_JSON_STRING)
		return wrong_member("/result/status", status, "a string", error);
	if (!is_success(page))
		return failed_result(page, error);
	if (!check_rows(page, error))
		return false;
	if (token > VELT_JSON_NULL && token != VELT_JSON_STRING)
		return wrong_member("/result/nextPageToken", token, "a string", error);
	return page->layout->resource->echo_pointer == NULL ||
		check_echo(page, error);
}

/* An error of the API has a status, which is a string. */
static bool
wrong_error(const VeltPage *page, VeltError *error)
{
	VeltJsonKind kind = arrived(page, VELT_AT_ERROR).kind;

	if (kind != VELT_JSON_OBJECT)
		return wrong_member("/error", kind, "an object", error);
	return wrong_member("/error/status",
						arrived(page, VELT_AT_ERROR_STATUS).kind, "a string",
						error);
}

static bool
check_response(VeltPage *page, int http_status, VeltError *error)
{
	bool		whole = velt_json_finish(&page->scanner, error);

	if (whole && arrived(page, VELT_AT_ERROR_STATUS).kind == VELT_JSON_STRING)
		return api_error(page, http_status, error);
	if (!http_success(http_status))
		return velt_error_set_http(error, http_status);
	if (page->body.length == 0)
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  "The server replied HTTP %d without a body.",
							  http_status);
	if (whole && arrived(page, VELT_AT_ERROR).kind > VELT_JSON_NULL)
		return wrong_error(page, error);
	return whole && check_result(page, error);
}

bool
velt_page_finish(VeltPage *page, int http_status, VeltError *error)
{
	return check_response(page, http_status, error) ||
		misformed(page, http_status, error);
}

bool
velt_page_next_token(const VeltPage *page, VeltBuffer *token,
					 VeltError *error)
{
	VeltJsonSpan span = arrived(page, VELT_AT_NEXT_PAGE_TOKEN);
	size_t		length;

	token->length = 0;
	if (!page->layout->resource->paged || span.kind != VELT_JSON_STRING)
		return true;
	/* an escape has at most six bytes for one */
	if (span.end - span.start - 2 <= 6 * MAX_TOKEN_BYTES)
	{
		if (!velt_json_decode_string(page->body.data, span, token, &length,
									 error))
			return false;
		if (length <= MAX_TOKEN_BYTES)
			return true;
	}
	return velt_error_set(error, VELT_ERROR_TOKEN_SIZE,
						  "The API replied with a page token longer than %zu bytes.",
						  MAX_TOKEN_BYTES);
}

/* ----------
 * Rows
 * ----------
 */

int64_t
velt_page_nrows(const VeltPage *page)
{
	return page->layout->resource->rows == VELT_ARRAY_OF_OBJECTS ?
		arrived(page, VELT_AT_ROWS).nelements : 1;
}

/* Scans on, up to the end of a row or an element. */
static VeltPageStatus
scan_slice(const VeltPage *page, VeltJsonScanner *scanner, VeltError *error)
{
	size_t		left = page->body.length - scanner->offset;
	size_t		slice = left < SLICE_BYTES ? left : SLICE_BYTES;

	if (!velt_json_scan(scanner, page->body.data, scanner->offset + slice,
						error))
		return VELT_PAGE_FAILED;
	if (!scanner->stopped)
		return VELT_PAGE_MORE;
	return scanner->spans[0].kind == VELT_JSON_MISSING ?
		VELT_PAGE_END : VELT_PAGE_FOUND;
}

VeltPageStatus
velt_page_next_row(VeltPage *page, VeltError *error)
{
	VeltPageStatus status = scan_slice(page, &page->scanner, error);

	if (status == VELT_PAGE_FOUND && page->row[0].kind != VELT_JSON_OBJECT)
	{
		velt_error_set(error, VELT_ERROR_PROTOCOL,
					   WRONG_SHAPE "an element of %s is not an object.",
					   page->layout->resource->rows_pointer);
		status = VELT_PAGE_FAILED;
	}
	if (status == VELT_PAGE_FAILED)
		velt_page_name_request(page, error);
	return status;
}

VeltJsonSpan
velt_page_value(const VeltPage *page, int i)
{
	return page->row[page->layout->row->ends[i]];
}

void
velt_page_begin_array(VeltPage *page, VeltJsonSpan array)
{
	static const VeltJsonNode root = {0};
	static const VeltJsonTree whole = {.nodes = &root,.nnodes = 1};

	velt_json_begin(&page->elements, &whole, &page->element, array.start,
					VELT_JSON_ELEMENTS);
}

VeltPageStatus
velt_page_next_element(VeltPage *page, VeltJsonSpan *element,
					   VeltError *error)
{
	VeltPageStatus status = scan_slice(page, &page->elements, error);

	*element = page->element;
	return status;
}

VeltString
velt_page_key(const VeltPage *page)
{
	return page->key;
}

VeltString
velt_page_row_key(VeltPage *page)
{
	VeltString	key = {NULL, 0};

	if (page->layout->row_key < 0)
		return page->key;
	(void) short_string(page, velt_page_value(page, page->layout->row_key),
						&key);
	return key;
}
