/*
 * test/fuzz/page_fuzz.c
 *		client/page, json, json_string: a response in pieces, and all that can
 *		be read of it.
 *
 * Input: which resource, which HTTP status, the size of the pieces (0: they
 * vary), then the response.
 */
#include "client/layout.h"
#include "client/page.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define MAX_BYTES		((size_t) 64 * 1024)

static const VeltCredentials credentials = {"workspace-7", "token-of-7"};
static const int statuses[] = {200, 204, 301, 400, 403, 404, 429, 500, 503};

/* Of the columns, whole rows, and what lies deeper than columns do. */
static const char *const pointers[] = {
	"", "/id", "/id/0", "/domains", "/domains/1", "/a~1b", "/", "/~0",
	"/apiKeyList", "/owner/email", "/\xc3\xa4",
};

#define NPOINTERS	((int) (sizeof(pointers) / sizeof(pointers[0])))

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
	VeltJsonSpan element = {.kind = VELT_JSON_MISSING};
	size_t		last = array.start;
	VeltError	error;

	for (;;)
	{
		must(velt_page_next_element(page, array, &element, &error));
		if (element.kind == VELT_JSON_MISSING)
			return;
		must(element.start > last && element.end <= array.end - 1);
		last = element.end - 1;
		read_value(page, element, depth + 1);
	}
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
	/* each level reads all below it again */
	else if (span.kind == VELT_JSON_ARRAY && depth < 3)
		read_array(page, span, depth);
}

/* Of where all values of all rows stand, and whether they are strings. */
static uint64_t places;

static void
note_place(VeltJsonSpan span)
{
	size_t		parts[] = {span.kind, span.escaped, span.start, span.end};

	for (int i = 0; i < (span.kind == VELT_JSON_MISSING ? 1 : 4); i++)
		places = (places ^ parts[i]) * UINT64_C(0x100000001b3);
}

/* Counts the rows; -1 if one of them is none. */
static long
read_rows(VeltPage *page)
{
	bool		found;
	VeltError	error;
	long		nrows = 0;

	while (velt_page_next_row(page, &found, &error))
	{
		if (!found)
			return nrows;
		nrows++;
		(void) velt_page_row_key(page);
		for (int i = 0; i < NPOINTERS; i++)
		{
			note_place(velt_page_value(page, i));
			read_value(page, velt_page_value(page, i), 0);
		}
	}
	must(error.kind == VELT_ERROR_PROTOCOL);
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
take(VeltPage *page, int status, VeltString response, size_t piece)
{
	VeltError	error = {.kind = VELT_ERROR_NONE};
	VeltBuffer	token = {0};
	long		nrows;

	places = 0;
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
	nrows = velt_page_is_empty(page) ? 0 : -2;
	must(nrows != 0 || read_rows(page) == 0);
	return nrows == 0 ? 0 : read_rows(page);
}

/* With more values than can be noted as they arrive, rows are searched. */
static VeltLayout *
make_layout(const VeltResource *resource, bool noted)
{
	const char *wanted[NPOINTERS + VELT_JSON_MAX_POINTERS];
	int			nwanted = 0;
	VeltError	error;

	for (; nwanted < NPOINTERS; nwanted++)
		wanted[nwanted] = pointers[nwanted];
	while (!noted && nwanted < NPOINTERS + VELT_JSON_MAX_POINTERS)
		wanted[nwanted++] = "/unknown";
	return velt_layout_create(resource, wanted, nwanted, &credentials,
							  MAX_BYTES, &error);
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
	long		outcomes[2];
	uint64_t	found[2];

	for (int noted = 0; noted < 2; noted++)
	{
		VeltError	error;
		VeltLayout *layout = make_layout(resource, noted);
		VeltPage   *page = velt_page_create(layout, &error);

		outcomes[noted] = take(page, status, response, piece);
		found[noted] = places;
		/* how it is cut makes no difference */
		if (response.length > 0 && response.length <= MAX_BYTES)
			must(take(page, status, response, response.length) ==
				 outcomes[noted] && places == found[noted]);
		velt_page_free(page);
		velt_layout_free(layout);
	}
	/* nor does it whether rows are noted or searched */
	must(outcomes[0] == outcomes[1] && found[0] == found[1]);
	return 0;
}
