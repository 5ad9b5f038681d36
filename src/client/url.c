/*
 * client/url.c
 *		Whether a URL may be used, by libcurl's own parser alone.
 *
 * A second parser that reads a URL otherwise than the one that connects is
 * how requests end up at another host.
 */
#include "client/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>
#include <strings.h>

static bool
refuse(VeltError *error, const char *reason)
{
	return velt_error_set(error, VELT_ERROR_INVALID_VALUE, "%s", reason);
}

/*
 * Bytes that some parser somewhere takes for the end of a part.  Without them
 * there is no user, password, query or fragment either.
 */
static bool
has_odd_bytes(const char *url)
{
	for (; *url != '\0'; url++)
	{
		if (*url <= ' ' || *url >= 0x7f || strchr("\\?#@", *url) != NULL)
			return true;
	}
	return false;
}

static bool
has_part(CURLU *parsed, CURLUPart part)
{
	char	   *text = NULL;
	bool		has = curl_url_get(parsed, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

/* Schemes and hosts mean the same in any case. */
static bool
part_is(CURLU *parsed, CURLUPart part, const char *expected)
{
	char	   *text = NULL;
	bool		is = (curl_url_get(parsed, part, &text, 0) == CURLUE_OK &&
					  strcasecmp(text, expected) == 0);

	curl_free(text);
	return is;
}

/* localhost, an address of 127.0.0.0/8 or [::1], as curl has understood it. */
static bool
names_loopback(CURLU *parsed)
{
	char	   *host = NULL;
	struct in_addr address;
	bool		is = (part_is(parsed, CURLUPART_HOST, "localhost") ||
					  part_is(parsed, CURLUPART_HOST, "[::1]"));

	if (!is && curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		is = inet_pton(AF_INET, host, &address) == 1 &&
			ntohl(address.s_addr) >> 24 == 127;
	curl_free(host);
	return is;
}

static bool
check_parts(CURLU *parsed, VeltUrlUse use, bool *plain, VeltError *error)
{
	*plain = part_is(parsed, CURLUPART_SCHEME, "http");
	if (!*plain && !part_is(parsed, CURLUPART_SCHEME, "https"))
		return refuse(error, "The URL must begin with \"https://\" or \"http://\".");
	if (use == VELT_URL_PROXY && !part_is(parsed, CURLUPART_PATH, "/"))
		return refuse(error, "The URL of a proxy must have a host and a port only.");
	if (use == VELT_URL_API && *plain &&
		(!names_loopback(parsed) || has_part(parsed, CURLUPART_ZONEID)))
		return refuse(error, "Without TLS, that is with \"http://\", the host must be localhost, an address of 127.0.0.0/8 or [::1].");
	return true;
}

bool
velt_url_check(const char *url, VeltUrlUse use, bool *plain, VeltError *error)
{
	CURLU	   *parsed;
	CURLUcode	code;
	bool		ok;

	if (has_odd_bytes(url))
		return refuse(error, "The URL must have no user, query, fragment, space, backslash or character outside of ASCII.");
	parsed = curl_url();
	if (parsed == NULL)
		return velt_error_out_of_memory(error);
	code = curl_url_set(parsed, CURLUPART_URL, url, 0);
	if (code != CURLUE_OK)
		ok = velt_error_set(error, VELT_ERROR_INVALID_VALUE,
							"The URL is not understood: %s.",
							curl_url_strerror(code));
	else
		ok = check_parts(parsed, use, plain, error);
	curl_url_cleanup(parsed);
	return ok;
}
