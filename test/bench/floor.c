/*
 * test/bench/floor.c
 *		The least that fetching can take: a bare libcurl program that asks for
 *		the same as a query does, as many requests at once, and of the
 *		responses looks for no more than what the next requests need.
 *
 * floor [OPTION...] URL (WORKSPACE TOKEN)...: for each line of its input, over
 * the same connections, all pages of API keys of the workspaces, side by side.
 *	-t		also the auth tokens of each key
 *	-p		... of production keys alone
 *	-c N	requests at once (8)
 *	-s N	page size (100)
 *	-o		the first page alone
 *	-k N	no pages: of so many keys whose names are known, 30 a request,
 *			or of each its tokens
 *	-j		also parse each response with json-c, and do nothing with that
 *	-a FILE	certificate authorities
 * prints for each time "REQUESTS BYTES WALL CPU FIRST": microseconds to the end,
 * of CPU, to the first response.  The first includes all that it takes to get
 * ready.
 */
#include <curl/curl.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MAX_TRANSFERS	64
/* how many keys a request names: velt_fdw's default */
#define MAX_NAMES		30
#define PAGE_PATH		"/v2/workspace/apikeys/get"
#define TOKENS_PATH		"/v2/workspace/authtokens/get"

typedef struct Workspace
{
	struct curl_slist *headers;
} Workspace;

typedef struct Transfer
{
	CURL	   *easy;
	Workspace  *workspace;
	bool		is_page;
	char	   *data;
	size_t		length;
	size_t		allocated;
	char		request[4096];
	struct Transfer *next;		/* of those at rest */
} Transfer;

typedef struct Key
{
	char	   *name;
	Workspace  *workspace;
} Key;

/* What the command line says. */
static const char *url;
static const char *ca_file;
static bool with_tokens;
static bool production_alone;
static bool one_page;
static int	nknown;
static bool parse;
static int	concurrency = 8;
static int	page_size = 100;
static Workspace workspaces[MAX_TRANSFERS];
static int	nworkspaces;

static CURLM *multi;
static Transfer *at_rest;
static int	running;
static json_tokener *tokener;
static long nrequests;
static size_t nbytes;
static double started_at;
static double first_us;

/* Keys whose tokens have not been asked for: keys[first] to keys[last - 1]. */
static Key *keys;
static size_t first_key;
static size_t last_key;
static size_t allocated_keys;

static void *
checked(void *memory)
{
	if (memory == NULL)
		abort();
	return memory;
}

static void
fail(const char *what)
{
	fprintf(stderr, "floor: %s\n", what);
	exit(1);
}

static double
wall(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static double
cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
		usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static size_t
receive(char *bytes, size_t size, size_t count, void *data)
{
	Transfer   *transfer = data;
	size_t		length = size * count;

	while (transfer->length + length + 1 > transfer->allocated)
	{
		transfer->allocated = transfer->allocated ?
			transfer->allocated * 2 : 16384;
		transfer->data = checked(realloc(transfer->data,
										 transfer->allocated));
	}
	memcpy(transfer->data + transfer->length, bytes, length);
	transfer->length += length;
	transfer->data[transfer->length] = '\0';
	return length;
}

/* A transfer at rest, or a new one. */
static Transfer *
take_transfer(void)
{
	Transfer   *transfer = at_rest;

	if (transfer != NULL)
	{
		at_rest = transfer->next;
		return transfer;
	}
	transfer = checked(calloc(1, sizeof(Transfer)));
	transfer->easy = checked(curl_easy_init());
	curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(transfer->easy, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(transfer->easy, CURLOPT_HTTP_VERSION,
					 (long) CURL_HTTP_VERSION_1_1);
	if (ca_file)
	{
		curl_easy_setopt(transfer->easy, CURLOPT_CAINFO, ca_file);
		curl_easy_setopt(transfer->easy, CURLOPT_CAPATH, NULL);
	}
	return transfer;
}

/* Sends the transfer's request. */
static void
send_request(Transfer *transfer, Workspace *workspace, const char *path,
			 bool is_page)
{
	char		address[1024];

	snprintf(address, sizeof(address), "%s%s", url, path);
	transfer->workspace = workspace;
	transfer->is_page = is_page;
	transfer->length = 0;
	curl_easy_setopt(transfer->easy, CURLOPT_URL, address);
	curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, workspace->headers);
	curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS, transfer->request);
	if (curl_multi_add_handle(multi, transfer->easy) != CURLM_OK)
		fail("curl_multi_add_handle");
	nrequests++;
	running++;
}

static void
send_first(Workspace *workspace)
{
	Transfer   *transfer = take_transfer();

	snprintf(transfer->request, sizeof(transfer->request),
			 "{\"data\":{\"pageSize\":%d}}", page_size);
	send_request(transfer, workspace, PAGE_PATH, true);
}

/* The string that is the member's value, quotes included; NULL without one. */
static const char *
member(const char *text, const char *name, int *length)
{
	const char *value = strstr(text, name);
	const char *end;

	if (value == NULL)
		return NULL;
	value = strchr(value + strlen(name), '"');
	end = value ? strchr(value + 1, '"') : NULL;
	if (end == NULL)
		fail("a member without a value");
	*length = end + 1 - value;
	return value;
}

static void
note_key(const char *name, int length, Workspace *workspace)
{
	if (last_key == allocated_keys)
	{
		allocated_keys = allocated_keys ? allocated_keys * 2 : 1024;
		keys = checked(realloc(keys, allocated_keys * sizeof(Key)));
	}
	keys[last_key].name = checked(strndup(name, length));
	keys[last_key++].workspace = workspace;
}

/* Notes the keys of a page whose tokens are wanted. */
static void
note_keys(const Transfer *transfer)
{
	const char *at = transfer->data;
	const char *name;
	int			length;

	while ((name = member(at, "\"id\":", &length)) != NULL)
	{
		int			type_length;
		const char *type = member(name, "\"type\":", &type_length);

		at = name + length;
		if (production_alone && (type == NULL || type[1] != 'p'))
			continue;
		note_key(name, length, transfer->workspace);
	}
}

static void
note_known_keys(void)
{
	char		name[32];

	for (int i = 1; i <= nknown; i++)
		note_key(name, snprintf(name, sizeof(name), "\"velt_api_key_%06d\"", i),
				 &workspaces[0]);
}

/* What has arrived leads to further requests. */
static void
follow(Transfer *transfer)
{
	const char *token = NULL;
	int			length;

	nbytes += transfer->length;
	if (first_us == 0)
		first_us = wall() - started_at;
	if (parse)
	{
		json_tokener_reset(tokener);
		json_object_put(json_tokener_parse_ex(tokener, transfer->data,
											  transfer->length));
		if (json_tokener_get_error(tokener) != json_tokener_success)
			fail("what came is no JSON");
	}
	if (transfer->is_page && !one_page)
		token = member(transfer->data, "\"nextPageToken\":", &length);
	if (token != NULL)
	{
		Transfer   *next = take_transfer();

		snprintf(next->request, sizeof(next->request),
				 "{\"data\":{\"pageSize\":%d,\"pageToken\":%.*s}}",
				 page_size, length, token);
		send_request(next, transfer->workspace, PAGE_PATH, true);
	}
	if (transfer->is_page && with_tokens)
		note_keys(transfer);
	transfer->next = at_rest;
	at_rest = transfer;
}

static void
send_tokens(void)
{
	Transfer   *transfer = take_transfer();
	Key		   *key = &keys[first_key++];

	snprintf(transfer->request, sizeof(transfer->request),
			 "{\"data\":{\"apiKey\":%s}}", key->name);
	free(key->name);
	send_request(transfer, key->workspace, TOKENS_PATH, false);
}

/* As many as one request names. */
static void
send_names(void)
{
	Transfer   *transfer = take_transfer();
	char	   *at = transfer->request;
	int			n = 0;

	at += sprintf(at, "{\"data\":{\"apiKeys\":");
	for (; n < MAX_NAMES && first_key < last_key; n++)
	{
		at += sprintf(at, "%c%s", n == 0 ? '[' : ',', keys[first_key].name);
		free(keys[first_key++].name);
	}
	sprintf(at, "],\"pageSize\":%d}}", n);
	send_request(transfer, &workspaces[0], PAGE_PATH, false);
}

static void
send_more(void)
{
	while (running < concurrency && first_key < last_key)
	{
		if (with_tokens)
			send_tokens();
		else
			send_names();
	}
}

static void
take_results(void)
{
	CURLMsg    *message;
	int			left;

	while ((message = curl_multi_info_read(multi, &left)) != NULL)
	{
		Transfer   *transfer;
		long		status = 0;

		if (message->data.result != CURLE_OK)
			fail(curl_easy_strerror(message->data.result));
		curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE,
						  &status);
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (status != 200)
			fail(transfer->data);
		curl_multi_remove_handle(multi, transfer->easy);
		running--;
		follow(transfer);
	}
}

static void
fetch(void)
{
	int			still_running;

	first_key = last_key = 0;
	note_known_keys();
	for (int i = 0; i < nworkspaces && nknown == 0; i++)
		send_first(&workspaces[i]);
	send_more();
	while (running > 0)
	{
		if (curl_multi_perform(multi, &still_running) != CURLM_OK)
			fail("curl_multi_perform");
		take_results();
		send_more();
		if (still_running == running && running > 0)
			curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
}

static void
add_workspace(const char *id, const char *token)
{
	static const char *const formats[] = {"x-velt-workspace-id: %s",
	"x-velt-auth-token: %s", "x-velt-workspace-auth-token: %s"};
	Workspace  *workspace = &workspaces[nworkspaces++];
	char		line[8300];

	workspace->headers = curl_slist_append(NULL,
										   "Content-Type: application/json");
	for (int i = 0; i < 3; i++)
	{
		snprintf(line, sizeof(line), formats[i], i == 0 ? id : token);
		workspace->headers = curl_slist_append(workspace->headers, line);
	}
}

static void
read_options(int argc, char **argv)
{
	int			option;

	while ((option = getopt(argc, argv, "tpc:s:ok:ja:")) != -1)
	{
		switch (option)
		{
			case 't':
				with_tokens = true;
				break;
			case 'p':
				production_alone = true;
				break;
			case 'c':
				concurrency = atoi(optarg);
				break;
			case 's':
				page_size = atoi(optarg);
				break;
			case 'o':
				one_page = true;
				break;
			case 'k':
				nknown = atoi(optarg);
				break;
			case 'j':
				parse = true;
				break;
			case 'a':
				ca_file = optarg;
				break;
			default:
				exit(2);
		}
	}
	if (argc - optind < 3 || (argc - optind) % 2 == 0)
		exit(2);
	url = argv[optind];
	for (int i = optind + 1; i < argc && nworkspaces < MAX_TRANSFERS; i += 2)
		add_workspace(argv[i], argv[i + 1]);
}

int
main(int argc, char **argv)
{
	double		start_cpu = cpu();

	started_at = wall();
	read_options(argc, argv);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long) MAX_TRANSFERS);
	tokener = json_tokener_new();
	for (bool is_first = true; getchar() == '\n'; is_first = false)
	{
		if (!is_first)
		{
			started_at = wall();
			start_cpu = cpu();
		}
		nrequests = 0;
		nbytes = 0;
		first_us = 0;
		fetch();
		printf("%ld %zu %.0f %.0f %.0f\n", nrequests, nbytes,
			   wall() - started_at, cpu() - start_cpu, first_us);
		fflush(stdout);
	}
	return 0;
}
