/*
 * test/bench/floor.c
 *		The least that fetching all pages of API keys can take: a bare libcurl
 *		loop over one connection, that looks for the next token and no more.
 *
 * floor URL WORKSPACE TOKEN: prints "PAGES BYTES MICROSECONDS", the time from
 * before the first request to behind the last response.
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKEN_MEMBER	"\"nextPageToken\":"

typedef struct Body
{
	char	   *data;
	size_t		length;
	size_t		allocated;
} Body;

static size_t
receive(char *bytes, size_t size, size_t count, void *data)
{
	Body	   *body = data;
	size_t		length = size * count;

	while (body->length + length + 1 > body->allocated)
	{
		body->allocated = body->allocated ? body->allocated * 2 : 65536;
		body->data = realloc(body->data, body->allocated);
		if (body->data == NULL)
			abort();
	}
	memcpy(body->data + body->length, bytes, length);
	body->length += length;
	body->data[body->length] = '\0';
	return length;
}

/* The request for the page behind the one in body; NULL behind the last. */
static char *
next_request(const Body *body, char *request, size_t size)
{
	const char *token = strstr(body->data, TOKEN_MEMBER);
	const char *end;

	if (token == NULL)
		return NULL;
	token = strchr(token + strlen(TOKEN_MEMBER), '"');
	end = token ? strchr(token + 1, '"') : NULL;
	if (end == NULL)
		return NULL;
	snprintf(request, size,
			 "{\"data\":{\"pageSize\":100,\"pageToken\":%.*s}}",
			 (int) (end - token + 1), token);
	return request;
}

static double
microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static struct curl_slist *
headers(const char *workspace, const char *token)
{
	static char line[3][8300];
	struct curl_slist *list;

	snprintf(line[0], sizeof(line[0]), "x-velt-workspace-id: %s", workspace);
	snprintf(line[1], sizeof(line[1]), "x-velt-auth-token: %s", token);
	snprintf(line[2], sizeof(line[2]), "x-velt-workspace-auth-token: %s",
			 token);
	list = curl_slist_append(NULL, "Content-Type: application/json");
	for (int i = 0; i < 3; i++)
		list = curl_slist_append(list, line[i]);
	return list;
}

int
main(int argc, char **argv)
{
	char		url[1024];
	char		buffer[65536];
	char	   *request = "{\"data\":{\"pageSize\":100}}";
	Body		body = {0};
	CURL	   *easy;
	long		pages = 0;
	size_t		bytes = 0;
	double		start;

	if (argc != 4)
		return 2;
	snprintf(url, sizeof(url), "%s/v2/workspace/apikeys/get", argv[1]);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	easy = curl_easy_init();
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers(argv[2], argv[3]));
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");

	start = microseconds();
	for (; request != NULL; pages++)
	{
		long		status = 0;

		body.length = 0;
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request);
		if (curl_easy_perform(easy) != CURLE_OK)
			return 1;
		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		if (status != 200)
			return 1;
		bytes += body.length;
		request = next_request(&body, buffer, sizeof(buffer));
	}
	printf("%ld %zu %.0f\n", pages, bytes, microseconds() - start);
	return 0;
}
