/*
 * client/page.c
 *		One response: its rows, and the token of the next page or the error
 *		the API replied.
 */
#include "client/page.h"

#include <stdlib.h>
#include <string.h>

#include "client/layout.h"

/* Documented statuses have at most 19 characters. */
#define STATUS_BYTES	64

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

/* An HTTP status that says by itself that this is no answer. */
static bool
http_error(int http_status, VeltError *error)
{
	VeltStatus	meaning = velt_error_http_status(http_status);

	if (http_status >= 300 && http_status <= 399)
		velt_error_set(error, meaning.kind,
					   "The server replied HTTP %d; redirects are not followed.",
					   http_status);
	else
		velt_error_set(error, meaning.kind,
					   "The server replied HTTP %d and no error of the API.",
					   http_status);
	error->http_status = http_status;
	error->transient = meaning.transient;
	error->if_retry_after = meaning.if_retry_after;
	return false;
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

/*
 * The response is wrong in its form.  If nothing in it is the API's, somebody
 * else may have replied.
 */
static bool
misformed(const VeltPage *page, VeltError *error)
{
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
		http_error(http_status, error);
	return misformed(page, error);
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

static bool
wrong_shape(const char *what, VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The response is not of the documented shape: %s.",
						  what);
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
		return wrong_shape("the key it is about is no string", error);
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

static bool
check_result(VeltPage *page, VeltError *error)
{
	VeltJsonKind rows = page->arrived[VELT_AT_ROWS].kind;
	VeltJsonKind token = page->arrived[VELT_AT_NEXT_PAGE_TOKEN].kind;

	if (page->arrived[VELT_AT_RESULT_STATUS].kind != VELT_JSON_STRING)
		return wrong_shape("it has neither a result with a status nor an error",
						   error);
	if (!is_success(page))
		return failed_result(page, error);
	if (page->layout->resource->rows == VELT_ONE_OBJECT ?
		rows != VELT_JSON_OBJECT : rows != VELT_JSON_ARRAY)
		return wrong_shape("its data is missing or of another type", error);
	if (token > VELT_JSON_NULL && token != VELT_JSON_STRING)
		return wrong_shape("its page token is no string", error);
	if (page->layout->resource->echo_pointer && !check_echo(page, error))
		return false;

	/* rows are searched behind the bracket, or where the only one stands */
	page->next_row = page->arrived[VELT_AT_ROWS].start +
		(rows == VELT_JSON_ARRAY ? 1 : 0);
	return true;
}

static bool
check_response(VeltPage *page, int http_status, VeltError *error)
{
	bool		whole = velt_json_finish(&page->scanner, error);

	if (whole && page->arrived[VELT_AT_ERROR_STATUS].kind == VELT_JSON_STRING)
		return api_error(page, http_status, error);
	if (!http_success(http_status))
		return http_error(http_status, error);
	if (whole && page->arrived[VELT_AT_ERROR].kind > VELT_JSON_NULL)
		return wrong_shape("its error has no status", error);
	return whole && check_result(page, error);
}

bool
velt_page_finish(VeltPage *page, int http_status, VeltError *error)
{
	return check_response(page, http_status, error) || misformed(page, error);
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
no_object(VeltError *error)
{
	return wrong_shape("an element of its data is no object", error);
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
		return no_object(error);
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
		return no_object(error);
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
