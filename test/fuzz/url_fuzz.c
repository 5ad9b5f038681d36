/*
 * test/fuzz/url_fuzz.c
 *		client/url: what may be given as api_url or proxy.
 *
 * Input: the URL.
 */
#include "client/url.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fuzz.h"

/*
 * Without libcurl: what stands between the scheme and the path is then a name
 * of this machine, whatever else is clever about it.
 */
static void
check_plain_api(const char *url)
{
	const char *host = strstr(url, ":/");
	size_t		length;

	must(host != NULL);
	host += strspn(host, ":/");
	length = strcspn(host, "/");
	must(memchr(host, '@', length) == NULL);
	/* a name, or any of the ways to write an address: 127.1, 0x7f.1 */
	must(strncasecmp(host, "localhost", 9) == 0 || *host == '[' ||
		 strchr("0123456789", *host) != NULL || *host == '%');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	char	   *url = input_text(&input);
	bool		plain = false;
	VeltError	error;

	if (velt_url_check(url, VELT_URL_API, &plain, &error))
	{
		must(strpbrk(url, "?#@\\ \t\r\n") == NULL);
		if (plain)
			check_plain_api(url);
	}
	else
		must(error.kind == VELT_ERROR_INVALID_VALUE);
	if (velt_url_check(url, VELT_URL_PROXY, &plain, &error))
		must(strpbrk(url, "?#@\\ \t\r\n") == NULL);
	else
		must(error.kind == VELT_ERROR_INVALID_VALUE);
	free(url);
	return 0;
}
