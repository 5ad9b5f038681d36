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

#include "client/layout.h"

/* Documented statuses have at most 19 characters. */
#define STATUS_BYTES	64

/* A response may be JSON, and even the API's, and still not be an answer. */
#define WRONG_SHAPE		"The response is not of the documented shape: "

/* A page that held a large response gives its memory back. */
#define KEPT_BYTES		((size_t) 256 * 1024)

/* Rows beyond these are found when they are read, once more. */
#define MAX_NOTED_BYTES	((size_t) 128 * 1024)

struct VeltPage
{
	const VeltLayout *layout;
	VeltString	key;
	VeltBuffer	body;
	VeltBuffer	scratch;		/* a decoded string */
	VeltBuffer	noted;			/* spans: a row's and its values', and again */
	bool		noting;			/* no row has been left out yet */
	size_t		next_noted;		/* of the bytes of noted */
	size_t		next_row;		/* where the search for it begins */
	VeltJsonSpan row;
	const VeltJsonSpan *row_values;
	char		request_id[VELT_REQUEST_ID_BYTES];	/* as it came */
	VeltJsonScanner scanner;
	VeltJsonSpan arrived[VELT_JSON_MAX_POINTERS];	/* by layout->arrival */
	VeltJsonSpan values[];		/* of a row that was not noted */
};

/* ----------
 * Arrival
 * ----------
 */

VeltPage *
velt_page_create(const VeltLayout *layout, VeltError *error)
{
	VeltPage   *page = malloc(offsetof(VeltPage, values) +
							  layout->nvalues * sizeof(VeltJsonSpan));

	if (page == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	page->layout = layout;
	memset(&page->body, 0, sizeof(page->body));
	memset(&page->scratch, 0, sizeof(page->scratch));
	memset(&page->noted, 0, sizeof(page->noted));
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
	velt_buffer_free(&page->noted);
	free(page);
}

void
velt_page_begin(VeltPage *page, VeltString key)
{
	const VeltLayout *layout = page->layout;

	page->key = key;
	velt_buffer_reset(&page->body, KEPT_BYTES);
	velt_buffer_reset(&page->scratch, KEPT_BYTES);
	velt_buffer_reset(&page->noted, KEPT_BYTES);
	page->noting = layout->row > 0;
	page->next_noted = 0;
	page->request_id[0] = '\0';
	page->next_row = 0;
	page->row.kind = VELT_JSON_MISSING;
	page->row_values = page->values;
	memset(page->arrived, 0, layout->narrival * sizeof(VeltJsonSpan));
	velt_json_begin(&page->scanner,
					(const VeltJsonPointer *const *) layout->arrival,
					page->arrived, layout->narrival, 0, false);
	if (page->noting)
		velt_json_stop_at_rows(&page->scanner, layout->row);
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
		page->arrived[VELT_AT_RESULT_STATUS].kind <= VELT_JSON_NULL &&
		page->arrived[VELT_AT_ERROR_STATUS].kind <= VELT_JSON_NULL)
		error->kind = VELT_ERROR_NO_ENVELOPE;
	return false;
}

/*
 * Takes down where the row that has arrived stands, and its values; unless
 * that comes to much, or it has a value twice: it fails when it is read.
 */
static bool
note_row(VeltPage *page)
{
	const VeltLayout *layout = page->layout;
	size_t		bytes = (layout->narrival - layout->row) * sizeof(VeltJsonSpan);

	page->noting = page->noting && !page->scanner.row_doubtful &&
		page->noted.length + bytes <= MAX_NOTED_BYTES;
	if (page->noting &&
		!velt_buffer_append(&page->noted,
							(const char *) &page->arrived[layout->row], bytes))
		return false;
	velt_json_forget_row(&page->scanner);
	return true;
}

/* Scans what has arrived. */
static bool
scan_arrival(VeltPage *page, VeltError *error)
{
	do
	{
		if (!velt_json_scan(&page->scanner, page->body.data,
							page->body.length, error))
			return false;
		if (page->scanner.stopped && !note_row(page))
			return velt_error_out_of_memory(error);
	} while (page->scanner.stopped);
	return true;
}

bool
velt_page_receive(VeltPage *page, int http_status, const char *bytes,
				  size_t length, VeltError *error)
{
	if (length > page->layout->max_bytes - page->body.length)
		return too_long(page, error);
	if (!velt_buffer_append(&page->body, bytes, length))
		return velt_error_out_of_memory(error);
	if (scan_arrival(page, error))
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

/* Finds "npointers" values of the value that starts at byte "start". */
static bool
locate(VeltPage *page, size_t start, const VeltJsonPointer *const *pointers,
	   VeltJsonSpan *spans, int npointers, size_t *end, VeltError *error)
{
	velt_json_begin(&page->scanner, pointers, spans, npointers, start, true);
	if (!velt_json_scan(&page->scanner, page->body.data, page->body.length,
						error))
		return false;
	*end = page->scanner.offset;
	return true;
}

/* Remote text of one member, made safe; "" if it is no string. */
static void
clean_member(VeltPage *page, VeltJsonSpan span, char *out, size_t size)
{
	VeltString	string;
	VeltError	ignored;

	out[0] = '\0';
	if (span.kind == VELT_JSON_STRING &&
		velt_page_string(page, span, &string, &ignored))
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

	if (velt_page_string(page, page->arrived[VELT_AT_ERROR_STATUS], &code, error))
		meaning = velt_error_api_status(code.bytes, code.length);
	known = meaning.kind != VELT_ERROR_NONE;
	if (!known)
		meaning = velt_error_http_status(http_status);
	clean_member(page, page->arrived[VELT_AT_ERROR_STATUS], status, sizeof(status));
	if (status[0] == '\0')
		strcpy(status, "an error without a name");
	clean_member(page, page->arrived[VELT_AT_ERROR_MESSAGE], message,
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
	detailed = page->arrived[VELT_AT_ERROR_DETAILS].kind > VELT_JSON_NULL;
	error->transient = meaning.transient && !detailed;
	error->if_retry_after = meaning.if_retry_after && !detailed;
	return false;
}

/* An answer about another key would put rows where they do not belong. */
static bool
check_echo(VeltPage *page, VeltError *error)
{
	VeltJsonSpan span = page->arrived[VELT_AT_ECHO];
	VeltString	echo;

	if (span.kind <= VELT_JSON_NULL)
		return true;
	if (span.kind != VELT_JSON_STRING)
		return wrong_member(page->layout->resource->echo_pointer, span.kind,
							"a string", error);
	if (velt_page_string(page, span, &echo, error) &&
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
	VeltError	ignored;

	return velt_page_string(page, page->arrived[VELT_AT_RESULT_STATUS], &status,
							&ignored) &&
		status.length == strlen("success") &&
		memcmp(status.bytes, "success", status.length) == 0;
}

/* The API says itself that it has failed, in a way that is not documented. */
static bool
failed_result(VeltPage *page, VeltError *error)
{
	const VeltJsonPointer *pointers[] = {page->layout->message};
	VeltJsonSpan span = {0};
	size_t		end;
	char		status[STATUS_BYTES];
	char		message[VELT_REMOTE_TEXT_BYTES + 1] = "";

	clean_member(page, page->arrived[VELT_AT_RESULT_STATUS], status, sizeof(status));
	if (locate(page, 0, pointers, &span, 1, &end, error))
		clean_member(page, span, message, sizeof(message));
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The API replied the status \"%s\" instead of \"success\"%s%s",
						  status, message[0] ? ": " : ".", message);
}

/* Sets the error for rows, or the data they are in, that are something else. */
static bool
wrong_rows(VeltPage *page, VeltError *error)
{
	static const char data[] = "/result/data";
	const VeltResource *resource = page->layout->resource;
	VeltJsonPointer *pointer = velt_json_pointer_parse(data, error);
	const VeltJsonPointer *pointers[] = {pointer};
	VeltJsonSpan span;
	size_t		end;
	bool		found;

	found = pointer != NULL &&
		locate(page, 0, pointers, &span, 1, &end, error);
	free(pointer);
	if (!found)
		return false;
	if (strcmp(resource->rows_pointer, data) != 0 &&
		span.kind != VELT_JSON_OBJECT)
		return wrong_member(data, span.kind, "an object", error);
	return wrong_member(resource->rows_pointer,
						page->arrived[VELT_AT_ROWS].kind,
						resource->rows == VELT_ONE_OBJECT ?
						"an object" : "an array", error);
}

/* A single object without its key is not the one that was asked for. */
static bool
check_object_key(VeltPage *page, VeltError *error)
{
	const VeltResource *resource = page->layout->resource;
	const VeltJsonPointer *pointers[] = {page->layout->row_key};
	VeltJsonSpan span;
	size_t		end;
	char		pointer[100];

	if (!locate(page, page->arrived[VELT_AT_ROWS].start, pointers, &span, 1,
				&end, error))
		return false;
	if (span.kind == VELT_JSON_STRING)
		return true;
	snprintf(pointer, sizeof(pointer), "%s%s", resource->rows_pointer,
			 velt_resource_column(resource, resource->key_column)->pointer);
	return wrong_member(pointer, span.kind, "a string", error);
}

/* Checks where the rows should be, and where they begin. */
static bool
check_rows(VeltPage *page, VeltError *error)
{
	const VeltJsonSpan *rows = &page->arrived[VELT_AT_ROWS];

	if (page->layout->resource->rows == VELT_ONE_OBJECT)
	{
		if (rows->kind != VELT_JSON_OBJECT)
			return wrong_rows(page, error);
		page->next_row = rows->start;
		return check_object_key(page, error);
	}
	if (rows->kind != VELT_JSON_ARRAY)
		return wrong_rows(page, error);
	page->next_row = rows->start + 1;
	return true;
}

static bool
check_result(VeltPage *page, VeltError *error)
{
	VeltJsonKind status = page->arrived[VELT_AT_RESULT_STATUS].kind;
	VeltJsonKind token = page->arrived[VELT_AT_NEXT_PAGE_TOKEN].kind;

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
	VeltJsonKind kind = page->arrived[VELT_AT_ERROR].kind;

	if (kind != VELT_JSON_OBJECT)
		return wrong_member("/error", kind, "an object", error);
	return wrong_member("/error/status",
						page->arrived[VELT_AT_ERROR_STATUS].kind, "a string",
						error);
}

static bool
check_response(VeltPage *page, int http_status, VeltError *error)
{
	bool		whole = velt_json_finish(&page->scanner, error);

	if (whole && page->arrived[VELT_AT_ERROR_STATUS].kind == VELT_JSON_STRING)
		return api_error(page, http_status, error);
	if (!http_success(http_status))
		return velt_error_set_http(error, http_status);
	if (page->body.length == 0)
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  "The server replied HTTP %d without a body.",
							  http_status);
	if (whole && page->arrived[VELT_AT_ERROR].kind > VELT_JSON_NULL)
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
	VeltJsonSpan span = page->arrived[VELT_AT_NEXT_PAGE_TOKEN];
	size_t		length;

	token->length = 0;
	if (!page->layout->resource->paged || span.kind != VELT_JSON_STRING)
		return true;
	return velt_json_decode_string(page->body.data, span, token, &length,
								   error);
}

/* ----------
 * Rows
 * ----------
 */

/* Skips the space and the comma before an element; false at the array's end. */
static bool
find_element(const VeltPage *page, size_t *at)
{
	const char *text = page->body.data;
	char		c;

	while ((c = text[*at]) == ',' || c == ' ' || c == '\n' || c == '\r' ||
		   c == '\t')
		(*at)++;
	return c != ']';
}

bool
velt_page_is_empty(const VeltPage *page)
{
	size_t		at = page->next_row;

	return page->layout->resource->rows == VELT_ARRAY_OF_OBJECTS &&
		!find_element(page, &at);
}

static bool
no_object(const VeltPage *page, VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  WRONG_SHAPE "an element of %s is not an object.",
						  page->layout->resource->rows_pointer);
}

/* Steps to the next row, if it was noted. */
static bool
take_noted(VeltPage *page, bool *found, VeltError *error)
{
	const VeltLayout *layout = page->layout;
	const VeltJsonSpan *spans;

	*found = page->next_noted < page->noted.length;
	if (!*found)
		return true;
	spans = (const VeltJsonSpan *) (page->noted.data + page->next_noted);
	if (spans[0].kind != VELT_JSON_OBJECT)
		return no_object(page, error);
	page->next_noted += (layout->narrival - layout->row) * sizeof(VeltJsonSpan);
	page->row = spans[0];
	page->row_values = &spans[1];
	return true;
}

/* Finds the values of the row that begins at byte "start". */
static bool
find_values(VeltPage *page, size_t start, VeltError *error)
{
	const VeltLayout *layout = page->layout;
	const VeltJsonPointer *const *pointers;
	int			first = 0;

	pointers = (const VeltJsonPointer *const *) layout->values;
	/* a scan finds so many values at a time, and skips the row if none */
	do
	{
		int			n = layout->nvalues - first;

		if (n > VELT_JSON_MAX_POINTERS)
			n = VELT_JSON_MAX_POINTERS;
		if (!locate(page, start, pointers + first, page->values + first, n,
					&page->row.end, error))
			return false;
		first += n;
	} while (first < layout->nvalues);
	page->row.kind = VELT_JSON_OBJECT;
	page->row.start = start;
	page->row_values = page->values;
	return true;
}

/* Steps to the next row by a scan of it. */
static bool
find_row(VeltPage *page, bool *found, VeltError *error)
{
	size_t		start = page->next_row;

	*found = page->layout->resource->rows == VELT_ONE_OBJECT ?
		start != 0 : find_element(page, &start);
	if (!*found)
		return true;
	if (page->body.data[start] != '{')
		return no_object(page, error);
	return find_values(page, start, error);
}

bool
velt_page_next_row(VeltPage *page, bool *found, VeltError *error)
{
	page->row.kind = VELT_JSON_MISSING;
	if (!take_noted(page, found, error) ||
		(!*found && !find_row(page, found, error)))
	{
		velt_page_name_request(page, error);
		return false;
	}
	if (*found)
		page->next_row = page->layout->resource->rows == VELT_ONE_OBJECT ?
			0 : page->row.end;
	return true;
}

VeltJsonSpan
velt_page_value(const VeltPage *page, int i)
{
	return page->row_values[i];
}

bool
velt_page_next_element(VeltPage *page, VeltJsonSpan array,
					   VeltJsonSpan *element, VeltError *error)
{
	static const VeltJsonPointer whole = {0};
	const VeltJsonPointer *pointers[] = {&whole};
	size_t		start = (element->kind == VELT_JSON_MISSING ?
						 array.start + 1 : element->end);

	if (!find_element(page, &start))
	{
		element->kind = VELT_JSON_MISSING;
		return true;
	}
	return locate(page, start, pointers, element, 1, &start, error);
}

VeltString
velt_page_key(const VeltPage *page)
{
	return page->key;
}

VeltString
velt_page_row_key(VeltPage *page)
{
	const VeltJsonPointer *pointers[] = {page->layout->row_key};
	VeltString	key = {NULL, 0};
	VeltJsonSpan span;
	VeltError	ignored;
	size_t		end;

	if (page->layout->row_key == NULL)
		return page->key;
	if (page->row.kind == VELT_JSON_OBJECT &&
		locate(page, page->row.start, pointers, &span, 1, &end, &ignored) &&
		span.kind == VELT_JSON_STRING)
		(void) velt_page_string(page, span, &key, &ignored);
	return key;
}
