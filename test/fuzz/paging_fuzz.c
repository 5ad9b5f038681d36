/*
 * test/fuzz/paging_fuzz.c
 *		client/request_queue: tokens of pages that follow each other.
 *
 * Input: a byte a page: its token (0: none), and whether it has a row.
 */
#include "client/page.h"
#include "client/request_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* Tokens that differ, of how many pages a cycle could be. */
#define TOKENS		128

static VeltPage *
page_with(VeltPage *page, int token, bool row)
{
	char		text[200];
	VeltError	error;
	int			length = snprintf(text, sizeof(text),
								  "{\"result\":{\"status\":\"success\",\"data\":[%s],"
								  "\"nextPageToken\":\"\\u00%02x\"}}",
								  row ? "{}" : "", token);

	if (token == 0)
		length = snprintf(text, sizeof(text),
						  "{\"result\":{\"status\":\"success\",\"data\":[]}}");
	velt_page_begin(page, velt_string(NULL, 0));
	must(velt_page_receive(page, 200, text, length, &error) &&
		 velt_page_finish(page, 200, &error));
	return page;
}

/*
 * Goes round the last pages of the input for ever: the request has to notice,
 * and that before it has asked for many times as many pages.
 */
static void
go_round(VeltRequest *request, VeltPage *page, Input pages)
{
	VeltError	error;
	size_t		most = (request->npages + pages.left) * 4 + 8;
	size_t		n = 0;

	if (pages.left == 0)
		return;
	while (velt_request_advance(request,
								page_with(page, pages.at[n % pages.left] % TOKENS,
										  pages.at[n % pages.left] >= TOKENS),
								&error))
	{
		if (!request->more)
			return;
		must(++n <= most);
	}
	must(error.kind == VELT_ERROR_PROTOCOL ||
		 error.kind == VELT_ERROR_EMPTY_PAGES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const VeltCredentials credentials = {"workspace", "token"};
	Input		input = {data, size};
	VeltError	error;
	VeltLayout *layout = velt_layout_create(velt_resource_find("api_keys"),
											NULL, 0, &credentials, 65536,
											&error);
	VeltPage   *page = velt_page_create(layout, &error);
	VeltRequest *request = velt_request_create(NULL, 0, 100, &error);
	bool		seen[TOKENS] = {false};

	/* tokens that are new are no cycle */
	while (input.left > 0 && input.at[0] % TOKENS != 0 &&
		   !seen[input.at[0] % TOKENS])
	{
		uint8_t		byte = input_byte(&input);

		seen[byte % TOKENS] = true;
		must(velt_request_advance(request, page_with(page, byte % TOKENS,
													 byte >= TOKENS), &error));
		must(request->more);
	}
	go_round(request, page, input);
	velt_request_free(request);
	velt_page_free(page);
	velt_layout_free(layout);
	return 0;
}
