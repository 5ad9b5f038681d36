/*
 * test/fuzz/page_fuzz.c
 *		client/page, json, json_string: a response in pieces, and all that can
 *		be read of it.
 *
 * Input: which resource, which HTTP status, the size of the pieces (0: they
 * vary), then the response.
 */
#include "client/page.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MAX_BYTES		((size_t) 64 * 1024)

/* Each pointer below has at most two tokens, and a row a key. */
#define MAX_NODES		(2 * NPOINTERS + 2)

static const VeltCredentials credentials = {"workspace-7", "token-of-7"};
static const int statuses[] = {200, 204, 301, 400, 403, 404, 429, 500, 503};

/* Of the columns, whole rows, and what lies deeper than columns do. */
static const char *const pointers[] = {
	"", "/id", "/id/0", "/domains", "/domains/1", "/a~1b", "/", "/~0",
	"/apiKeyList", "/owner/email", "/\xc3\xa4",
};

#define NPOINTERS	((int) (sizeof(pointers) / sizeof(pointers[0])))

/* ----------
 * Another way to find a value in valid JSON: step over all before it
 * ----------
 */

#define NOWHERE			SIZE_MAX

static size_t
skip_space(VeltString text, size_t at)
{
	while (at < text.length && strchr(" \t\r\n", text.bytes[at]) != NULL)
		at++;
	return at;
}

static size_t
skip_string(VeltString text, size_t at)
{
	while (text.bytes[++at] != '"')
		at += text.bytes[at] == '\\';
	return at + 1;
}

static size_t
skip_value(VeltString text, size_t at)
{
	int			depth = 0;

	do
	{
		char		c = text.bytes[at];

		if (c == '"')
			at = skip_string(text, at);
		else if (depth > 0 || c == '{' || c == '[')
		{
			depth += (c == '{' || c == '[') - (c == '}' || c == ']');
			at++;
		}
		else
			while (at < text.length &&
				   strchr(",]} \t\r\n", text.bytes[at]) == NULL)
				at++;
	} while (depth > 0);
	return at;
}

/* Returns whether the string that starts at "at" says the token. */
static bool
is_name(VeltString text, size_t at, const char *token, size_t token_length)
{
	VeltJsonSpan span = {.start = at,.end = skip_string(text, at)};
	VeltBuffer	name = {0};
	VeltError	error;
	size_t		length;
	bool		is;

	span.escaped = memchr(text.bytes + at, '\\', span.end - at) != NULL;
	is = velt_json_decode_string(text.bytes, span, &name, &length, &error) &&
		length == token_length &&
		(length == 0 || memcmp(name.data, token, length) == 0);
	velt_buffer_free(&name);
	return is;
}

/* Returns where the member or element is that the token names. */
static size_t
find_child(VeltString text, size_t at, const char *token, size_t token_length)
{
	bool		is_array = text.bytes[at] == '[';

	if (!is_array && text.bytes[at] != '{')
		return NOWHERE;
	at = skip_space(text, at + 1);
	for (int i = 0; text.bytes[at] != ']' && text.bytes[at] != '}'; i++)
	{
		char		digits[20];
		bool		found;

		if (is_array)
			found = snprintf(digits, sizeof(digits), "%d", i) ==
				(int) token_length && memcmp(digits, token, token_length) == 0;
		else
		{
			found = is_name(text, at, token, token_length);
			at = skip_space(text, skip_string(text, at));
			at = skip_space(text, at + 1);
		}
		if (found)
			return at;
		at = skip_space(text, skip_value(text, at));
		if (text.bytes[at] == ',')
			at = skip_space(text, at + 1);
	}
	return NOWHERE;
}

/* Returns where the value is that the pointer names from "at" on. */
static size_t
find_value(VeltString text, size_t at, const char *pointer)
{
	while (*pointer == '/' && at != NOWHERE)
	{
		char		token[64];
		size_t		length = 0;

		while (*++pointer != '\0' && *pointer != '/')
		{
			if (*pointer == '~')
				token[length++] = *++pointer == '0' ? '~' : '/';
			else
				token[length++] = *pointer;
		}
		at = find_child(text, at, token, length);
	}
	return at;
}

/* ----------
 * All that a page can tell
 * ----------
 */

static void read_value(VeltPage *page, VeltJsonSpan span, int depth);

static void
read_string(VeltPage *page, VeltJsonSpan span)
{
	VeltString	string;
	VeltError	error;

	if (velt_page_string(page, span, &string, &error))
		must(is_utf8(string.bytes, string.length));
	else
		must(error.kind == VELT_ERROR_UNTRANSLATABLE);
}

static void
read_array(VeltPage *page, VeltJsonSpan array, int depth)
{
	VeltJsonSpan *elements = malloc((array.end - array.start) *
									sizeof(VeltJsonSpan));
	size_t		last = array.start;
	int			nelements = 0;
	VeltPageStatus status;
	VeltJsonSpan element;
	VeltError	error;

	velt_page_begin_array(page, array);
	while ((status = velt_page_next_element(page, &element,
											&error)) == VELT_PAGE_FOUND)
	{
		must(element.start > last && element.end <= array.end - 1);
		last = element.end - 1;
		elements[nelements++] = element;
	}
	must(status == VELT_PAGE_END);
	/* each level reads all below it again */
	for (int i = 0; i < nelements && depth < 3; i++)
		read_value(page, elements[i], depth + 1);
	free(elements);
}

static void
read_value(VeltPage *page, VeltJsonSpan span, int depth)
{
	VeltString	text;

	if (span.kind == VELT_JSON_MISSING)
		return;
	text = velt_page_text(page, span);
	must(text.length > 0 && is_utf8(text.bytes, text.length));
	if (span.kind == VELT_JSON_STRING)
		read_string(page, span);
	else if (span.kind == VELT_JSON_ARRAY)
		read_array(page, span, depth);
}

/* Rows as they are found a few bytes at a time. */
typedef struct Pieces
{
	VeltString	response;
	VeltJsonScanner scanner;
	VeltJsonSpan spans[MAX_NODES];
	size_t		length;
	size_t		piece;
} Pieces;

static bool
next_in_pieces(Pieces *pieces)
{
	VeltError	error;

	for (;;)
	{
		if (!velt_json_scan(&pieces->scanner, pieces->response.bytes,
							pieces->length, &error))
			return false;
		if (pieces->scanner.stopped)
			return pieces->spans[0].kind == VELT_JSON_OBJECT;
		must(pieces->length < pieces->response.length);
		pieces->length += pieces->piece;
		if (pieces->length > pieces->response.length)
			pieces->length = pieces->response.length;
	}
}

/* What was found is where it is in the text. */
static void
check_place(VeltString response, VeltJsonSpan span, size_t row,
			const char *pointer)
{
	size_t		at = find_value(response, row, pointer);

	must((span.kind == VELT_JSON_MISSING) == (at == NOWHERE));
	must(at == NOWHERE ||
		 (span.start == at && span.end == skip_value(response, at)));
}

static void
check_row(VeltPage *page, const VeltLayout *layout, Pieces *pieces, long n)
{
	char		row_pointer[100];
	size_t		start = skip_space(pieces->response, 0);

	if (layout->resource->rows == VELT_ONE_OBJECT)
		strcpy(row_pointer, layout->resource->rows_pointer);
	else
		snprintf(row_pointer, sizeof(row_pointer), "%s/%ld",
				 layout->resource->rows_pointer, n);
	start = find_value(pieces->response, start, row_pointer);
	must(next_in_pieces(pieces));
	for (int i = 0; i < NPOINTERS; i++)
	{
		VeltJsonSpan span = velt_page_value(page, i);
		VeltJsonSpan other = pieces->spans[layout->row->ends[i]];

		check_place(pieces->response, span, start, pointers[i]);
		must(span.kind == other.kind);
		must(span.kind == VELT_JSON_MISSING ||
			 (span.start == other.start && span.end == other.end &&
			  span.escaped == other.escaped));
		read_value(page, span, 0);
	}
}

/* Counts the rows; -1 if one of them is none. */
static long
read_rows(VeltPage *page, const VeltLayout *layout, VeltString response,
		  size_t piece)
{
	Pieces		pieces = {.response = response,.piece = piece + 1};
	VeltPageStatus status;
	VeltError	error;
	long		nrows = 0;
	bool		one = layout->resource->rows == VELT_ONE_OBJECT;

	must(layout->row->nnodes <= MAX_NODES);
	velt_json_begin(&pieces.scanner, layout->row, pieces.spans,
					find_value(response, skip_space(response, 0),
							   layout->resource->rows_pointer),
					one ? VELT_JSON_VALUE : VELT_JSON_ELEMENTS);
	pieces.length = pieces.scanner.offset;
	while ((status = velt_page_next_row(page, &error)) == VELT_PAGE_FOUND)
	{
		check_row(page, layout, &pieces, nrows++);
		(void) velt_page_row_key(page);
	}
	must(!next_in_pieces(&pieces));
	if (status == VELT_PAGE_END)
		return nrows;
	must(status == VELT_PAGE_FAILED && error.kind == VELT_ERROR_PROTOCOL);
	return -1;
}

static bool
receive(VeltPage *page, int status, VeltString response, size_t piece,
		VeltError *error)
{
	size_t		sent = 0;

	while (sent < response.length)
	{
		size_t		n = (piece > 0 ? piece :
						 (size_t) (response.bytes[sent] & 15) + 1);

		if (n > response.length - sent)
			n = response.length - sent;
		if (!velt_page_receive(page, status, response.bytes + sent, n, error))
			return false;
		/* nor has it left one for who looks later */
		must(error->kind == VELT_ERROR_NONE);
		sent += n;
	}
	return velt_page_finish(page, status, error);
}

static void
check_error(const VeltError *error)
{
	must(error->kind > VELT_ERROR_NONE && error->kind < VELT_ERROR_KINDS);
	must(is_utf8(error->detail, strlen(error->detail)));
	must(!velt_error_has_credentials(error->detail, strlen(error->detail),
									 &credentials));
}

/* The response's first line as a header's value; errors in rows name it. */
static void
name_request(VeltPage *page, VeltString response)
{
	size_t		length = (response.length > 0 ?
						  strnlen(response.bytes, response.length) : 0);
	char	   *id = strndup(length > 0 ? response.bytes : "", length);
	VeltError	error = {.kind = VELT_ERROR_PROTOCOL};

	velt_page_set_request_id(page, id);
	velt_page_name_request(page, &error);
	must(is_utf8(error.request_id, strlen(error.request_id)));
	must(!velt_error_has_credentials(error.request_id,
									 strlen(error.request_id), &credentials));
	free(id);
}

/* What became of it: rows, or less than 0 for an error of that kind. */
static long
take(VeltPage *page, const VeltLayout *layout, int status,
	 VeltString response, size_t piece)
{
	VeltError	error = {.kind = VELT_ERROR_NONE};
	VeltBuffer	token = {0};
	long		nrows;

	velt_page_begin(page, velt_string("key", 3));
	name_request(page, response);
	if (!receive(page, status, response, piece, &error))
	{
		check_error(&error);
		return -100 - (long) error.kind;
	}
	must(is_utf8(response.bytes, response.length));
	if (velt_page_next_token(page, &token, &error))
		must(is_utf8(token.data, token.length));
	velt_buffer_free(&token);
	nrows = read_rows(page, layout, response, piece);
	must((velt_page_nrows(page) == 0) == (nrows == 0));
	return nrows;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	const VeltResource *resource = velt_resources[input_byte(&input) % 3];
	int			status = statuses[input_byte(&input) %
								  (sizeof(statuses) / sizeof(int))];
	size_t		piece = input_byte(&input);
	VeltString	response = {(const char *) input.at, input.left};
	VeltError	error;
	VeltLayout *layout = velt_layout_create(resource, pointers, NPOINTERS,
											&credentials, MAX_BYTES, &error);
	VeltPage   *page = velt_page_create(layout, &error);
	long		outcome = take(page, layout, status, response, piece);

	/* how it is cut makes no difference */
	if (response.length > 0 && response.length <= MAX_BYTES)
		must(take(page, layout, status, response, response.length) == outcome);
	velt_page_free(page);
	velt_layout_free(layout);
	return 0;
}
