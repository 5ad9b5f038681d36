/*
 * test/unit/paging_test.c
 *		client/request_queue: what to ask for next, and answers that go in circles.
 */
#include "client/page.h"
#include "client/request_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "unit.h"

#define MAX_BYTES	((size_t) 1024 * 1024)

/* The longest token that is taken. */
#define LONG_TOKEN	((size_t) 64 * 1024)

/* A request of API keys, and the page that its answers come as. */
typedef struct Feed
{
	VeltRequest *request;
	VeltLayout *layout;
	VeltPage   *page;
	VeltError	error;
} Feed;

static void
feed_open(Feed *feed)
{
	memset(feed, 0, sizeof(*feed));
	feed->layout = velt_layout_create(velt_resource_find("api_keys"), NULL, 0,
									  NULL, MAX_BYTES, &feed->error);
	feed->page = velt_page_create(feed->layout, &feed->error);
	feed->request = velt_request_create(NULL, 0, 100, &feed->error);
}

static void
feed_close(Feed *feed)
{
	velt_request_free(feed->request);
	velt_page_free(feed->page);
	velt_layout_free(feed->layout);
}

/* A page comes, with or without a row, and the token unless it is NULL. */
static bool
feed_page(Feed *feed, bool row, const char *token)
{
	static char body[MAX_BYTES];

	snprintf(body, sizeof(body),
			 "{\"result\":{\"status\":\"success\",\"data\":[%s],\"nextPageToken\":%s%s%s}}",
			 row ? "{}" : "", token ? "\"" : "", token ? token : "null",
			 token ? "\"" : "");
	velt_page_begin(feed->page, velt_string(NULL, 0));
	if (!velt_page_receive(feed->page, 200, body, strlen(body), &feed->error) ||
		!velt_page_finish(feed->page, 200, &feed->error))
	{
		ok(false, "%s is a page: %s", body, feed->error.detail);
		return false;
	}
	return velt_request_advance(feed->request, feed->page, &feed->error);
}

/* ----------
 * Paging
 * ----------
 */

static void
is_request(const Feed *feed, const char *expected, const char *name)
{
	VeltError	error;
	char	   *body = velt_request_body(feed->request,
										 velt_resource_find("api_keys"),
										 &error);

	is_str(body, expected, "%s", name);
	free(body);
}

static void
test_paging(void)
{
	Feed		feed;

	feed_open(&feed);
	ok(feed.request->more, "a new request has a page to ask for");
	is_request(&feed, "{\"data\":{\"pageSize\":100}}", "... the first");
	ok(feed_page(&feed, true, "t1") && feed.request->more, "a token: more");
	is_request(&feed, "{\"data\":{\"pageSize\":100,\"pageToken\":\"t1\"}}",
			   "... with the token");
	ok(feed_page(&feed, false, "t2") && feed.request->more,
	   "an empty page with a token: more");
	ok(feed_page(&feed, true, "") && !feed.request->more,
	   "an empty token: the end");
	is_int(feed.request->npages, 3, "pages were counted");
	feed_close(&feed);

	feed_open(&feed);
	ok(feed_page(&feed, true, NULL) && !feed.request->more,
	   "no token: the end");
	feed_close(&feed);
}

static void
test_filter(void)
{
	char		bytes[] = "ab";
	VeltString	keys[] = {{bytes, 1}, {bytes + 1, 1}};
	const VeltResource *many = velt_resource_find("api_keys");
	const VeltResource *one = velt_resource_find("auth_tokens");
	VeltError	error;
	VeltRequest *request = velt_request_create(keys, 1, 1, &error);
	char	   *body;

	bytes[0] = 'x';
	is_bytes(velt_request_key(request, one).bytes, velt_request_key(request, one).length,
			 BYTES("a"), "a single key is copied");
	is_int(velt_request_key(request, many).length, 0,
		   "... and is not what a request is about that could have several");
	body = velt_request_body(request, many, &error);
	is_str(body, "{\"data\":{\"apiKeys\":[\"a\"],\"pageSize\":1}}",
		   "... but is its filter");
	free(body);
	velt_request_free(request);

	request = velt_request_create(keys, 2, 2, &error);
	body = velt_request_body(request, many, &error);
	is_str(body, "{\"data\":{\"apiKeys\":[\"x\",\"b\"],\"pageSize\":2}}",
		   "several keys are borrowed");
	is_int(velt_request_key(request, one).length, 0, "... and are no key");
	free(body);
	velt_request_free(request);
	velt_request_free(NULL);
}

/* ----------
 * Circles
 * ----------
 */

/*
 * Tokens that repeat with the given period from the given page on are noticed
 * before a page has been asked for much more often than once.
 */
static bool
finds_cycle(int start, int period)
{
	int			limit = 2 * (start + 1 > period ? start + 1 : period) + period;
	Feed		feed;
	int			page = 0;
	bool		found = false;

	feed_open(&feed);
	while (!found && page <= limit)
	{
		char		token[20];

		sprintf(token, "t%d", page < start ? page :
				start + (page - start) % period);
		found = !feed_page(&feed, true, token);
		page++;
	}
	if (!found || feed.error.kind != VELT_ERROR_PROTOCOL ||
		feed.request->more || page <= start + period)
	{
		diag("start %d, period %d: %s after %d pages", start, period,
			 found ? feed.error.detail : "not found", page);
		found = false;
	}
	feed_close(&feed);
	return found;
}

static void
test_cycles(void)
{
	for (int period = 1; period <= 50; period++)
	{
		int			nfound = 0;

		for (int start = 0; start <= 20; start++)
			nfound += finds_cycle(start, period);
		is_int(nfound, 21, "a cycle of %d is found wherever it begins", period);
	}
}

static void
test_no_cycle(void)
{
	Feed		feed;
	int			ngood = 0;

	feed_open(&feed);
	for (int page = 0; page < 5000; page++)
	{
		char		token[20];

		/* of one length, with a common head, and one the head of another */
		sprintf(token, page % 2 ? "token%06d" : "token%06d-", page);
		ngood += feed_page(&feed, true, token) && feed.request->more;
	}
	is_int(ngood, 5000, "5,000 pages that do not repeat are let be");
	feed_close(&feed);
}

/* ----------
 * Empty pages
 * ----------
 */

static void
test_empty_pages(void)
{
	Feed		feed;
	char		token[20];
	int			ngood = 0;
	int			page;

	feed_open(&feed);
	for (page = 0; page < 999; page++)
	{
		sprintf(token, "a%d", page);
		ngood += feed_page(&feed, false, token);
	}
	is_int(ngood, 999, "999 empty pages in a row are let be");
	ok(feed_page(&feed, true, "b"), "... then a row");
	ngood = 0;
	for (page = 0; page < 999; page++)
	{
		sprintf(token, "c%d", page);
		ngood += feed_page(&feed, false, token);
	}
	is_int(ngood, 999, "... starts the count anew");
	ok(!feed_page(&feed, false, "d") &&
	   feed.error.kind == VELT_ERROR_EMPTY_PAGES && !feed.request->more,
	   "the 1,000th is one too many");
	feed_close(&feed);
}

static void
test_empty_last_page(void)
{
	Feed		feed;
	char		token[20];

	feed_open(&feed);
	for (int page = 0; page < 999; page++)
	{
		sprintf(token, "a%d", page);
		(void) feed_page(&feed, false, token);
	}
	ok(feed_page(&feed, false, NULL) && !feed.request->more,
	   "the 1,000th empty page may be the last");
	feed_close(&feed);
}

static void
test_bad_token(void)
{
	Feed		feed;

	feed_open(&feed);
	ok(!feed_page(&feed, true, "\\ud800") && !feed.request->more,
	   "a token that cannot be sent back ends the request");
	feed_close(&feed);
}

/* So many of these characters are a token, or are too many of them. */
static void
test_token_size(const char *character, size_t n, bool accepted)
{
	size_t		length = strlen(character);
	char	   *token = malloc(n * length + 1);
	Feed		feed;

	feed_open(&feed);
	for (size_t i = 0; i < n; i++)
		memcpy(token + i * length, character, length);
	token[n * length] = '\0';
	is_int(feed_page(&feed, true, token), accepted,
		   "a token of %zu characters %s", n, character);
	is_int(feed.request->more, accepted, "... is gone on with, or not");
	ok(accepted || feed.error.kind == VELT_ERROR_TOKEN_SIZE,
	   "... for its size: %s", feed.error.detail);
	free(token);
	feed_close(&feed);
}

void
test_pages(void)
{
	test_paging();
	test_filter();
	test_cycles();
	test_no_cycle();
	test_empty_pages();
	test_empty_last_page();
	test_bad_token();
	test_token_size("t", LONG_TOKEN, true);
	test_token_size("t", LONG_TOKEN + 1, false);
	test_token_size("\\u0074", LONG_TOKEN, true);
	test_token_size("\\u0074", LONG_TOKEN + 1, false);
}
