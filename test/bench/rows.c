/*
 * test/bench/rows.c
 *		Reads pages of 100 API keys, as a scan does between the network and
 *		the database: as they arrive in pieces, then row by row.
 *
 * rows PAGES: prints the number of rows.  Under callgrind, with
 * --toggle-collect=read_page, it tells how many instructions a row takes,
 * which no other load of the machine changes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/page.h"

#define KEYS		100
/* what arrives at once */
#define PIECE_BYTES	((size_t) 4096)

static const char *const pointers[] = {"/id", "/apiKeyName", "/type"};
static const VeltCredentials credentials = {"workspace", "token"};

static size_t
make_page(char *body, size_t size)
{
	size_t		length = snprintf(body, size, "{\"result\":{\"status\":"
								  "\"success\",\"message\":\"API keys retrieved "
								  "successfully.\",\"data\":[");

	for (int i = 0; i < KEYS; i++)
		length += snprintf(body + length, size - length,
						   "%s{\"id\":\"velt_api_key_%06d\",\"apiKeyName\":"
						   "\"Key %d\",\"type\":\"%s\"}", i ? "," : "", i, i,
						   i % 2 ? "testing" : "production");
	return length + snprintf(body + length, size - length, "]}}");
}

static void
must(bool done, const VeltError *error)
{
	if (!done)
	{
		fprintf(stderr, "%s\n", error->detail);
		exit(1);
	}
}

/* Not inlined, as callgrind is to find it. */
__attribute__((noinline))
static long
read_page(VeltPage *page, const char *body, size_t length)
{
	VeltPageStatus status;
	VeltError	error;
	long		nrows = 0;

	velt_page_begin(page, velt_string(NULL, 0));
	for (size_t at = 0; at < length; at += PIECE_BYTES)
	{
		size_t		piece = length - at;

		must(velt_page_receive(page, 200, body + at,
							   piece < PIECE_BYTES ? piece : PIECE_BYTES,
							   &error), &error);
	}
	must(velt_page_finish(page, 200, &error), &error);
	while ((status = velt_page_next_row(page, &error)) != VELT_PAGE_END)
	{
		must(status == VELT_PAGE_FOUND, &error);
		nrows++;
		for (int i = 0; i < 3; i++)
		{
			VeltString	string;

			must(velt_page_string(page, velt_page_value(page, i), &string,
								  &error), &error);
		}
	}
	return nrows;
}

int
main(int argc, char **argv)
{
	char	   *body = malloc(65536);
	size_t		length = make_page(body, 65536);
	long		nrows = 0;
	VeltError	error;
	VeltLayout *layout = velt_layout_create(velt_resource_find("api_keys"),
											pointers, 3, &credentials,
											65536, &error);
	VeltPage   *page = velt_page_create(layout, &error);

	for (int i = argc > 1 ? atoi(argv[1]) : 1; i > 0; i--)
		nrows += read_page(page, body, length);
	velt_page_free(page);
	velt_layout_free(layout);
	free(body);
	printf("%ld\n", nrows);
	return 0;
}
