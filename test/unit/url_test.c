/*
 * test/unit/url_test.c
 *		client/url: which URLs may be used, and which are without TLS.
 */
#include "client/url.h"

#include "tap.h"
#include "unit.h"

typedef enum Verdict
{
	REFUSED,
	PLAIN,						/* accepted, without TLS */
	TLS
} Verdict;

typedef struct UrlCase
{
	const char *url;
	Verdict		api;
	Verdict		proxy;
} UrlCase;

static const UrlCase url_cases[] = {
	{"https://api.velt.dev", TLS, TLS},
	{"https://api.velt.dev/", TLS, TLS},
	{"https://api.velt.dev:8443", TLS, TLS},
	{"https://api.velt.dev/eu/v3", TLS, REFUSED},
	{"https://api.velt.dev//", TLS, REFUSED},
	{"HTTPS://API.VELT.DEV", TLS, TLS},
	{"https://192.0.2.1", TLS, TLS},
	{"https://[2001:db8::1]:8443", TLS, TLS},
	{"https://localhost", TLS, TLS},

	/* without TLS: this machine only */
	{"http://localhost", PLAIN, PLAIN},
	{"http://localhost:8080", PLAIN, PLAIN},
	{"http://localhost:8080/base", PLAIN, REFUSED},
	{"HTTP://localhost", PLAIN, PLAIN},
	{"http://LocalHost", PLAIN, PLAIN},
	{"http://127.0.0.1", PLAIN, PLAIN},
	{"http://127.0.0.1:1", PLAIN, PLAIN},
	{"http://127.255.255.254", PLAIN, PLAIN},
	{"http://[::1]", PLAIN, PLAIN},
	{"http://[::1]:8080", PLAIN, PLAIN},
	{"http://[0:0:0:0:0:0:0:1]", PLAIN, PLAIN},

	/* other spellings of 127.0.0.1, as curl itself understands them */
	{"http://127.1", PLAIN, PLAIN},
	{"http://127.0.1", PLAIN, PLAIN},
	{"http://0x7f.1", PLAIN, PLAIN},
	{"http://0x7f000001", PLAIN, PLAIN},
	{"http://0177.0.0.1", PLAIN, PLAIN},
	{"http://2130706433", PLAIN, PLAIN},

	/* near misses */
	{"http://api.velt.dev", REFUSED, PLAIN},
	{"http://192.0.2.1", REFUSED, PLAIN},
	{"http://126.255.255.255", REFUSED, PLAIN},
	{"http://128.0.0.1", REFUSED, PLAIN},
	{"http://0.0.0.0", REFUSED, PLAIN},
	{"http://0", REFUSED, PLAIN},
	{"http://2130706432", PLAIN, PLAIN},
	{"http://2147483648", REFUSED, PLAIN},
	{"http://0x7f.1.evil.example", REFUSED, PLAIN},
	{"http://127.0.0.1.evil.example", REFUSED, PLAIN},
	{"http://localhost.evil.example", REFUSED, PLAIN},
	{"http://evil.example/localhost", REFUSED, REFUSED},
	{"http://xlocalhost", REFUSED, PLAIN},
	{"http://localhost.", REFUSED, PLAIN},
	{"http://[::]", REFUSED, PLAIN},
	{"http://[::2]", REFUSED, PLAIN},
	{"http://[::ffff:192.0.2.1]", REFUSED, PLAIN},
	{"http://[::1%25eth0]", REFUSED, PLAIN},
	{"http://[::1%eth0]", REFUSED, PLAIN},

	/* a part that must not be there, or may be read otherwise */
	{"http://127.0.0.1\\@evil.example", REFUSED, REFUSED},
	{"http://127.0.0.1@evil.example", REFUSED, REFUSED},
	{"http://evil.example@127.0.0.1", REFUSED, REFUSED},
	{"https://user@api.velt.dev", REFUSED, REFUSED},
	{"https://user:pass@api.velt.dev", REFUSED, REFUSED},
	{"https://:pass@api.velt.dev", REFUSED, REFUSED},
	{"https://@api.velt.dev", REFUSED, REFUSED},
	{"https://api.velt.dev?query", REFUSED, REFUSED},
	{"https://api.velt.dev/?", REFUSED, REFUSED},
	{"https://api.velt.dev#fragment", REFUSED, REFUSED},
	{"https://api.velt.dev/#", REFUSED, REFUSED},
	{"https://api.velt.dev/a@b", REFUSED, REFUSED},
	{"https://api.velt.dev\\path", REFUSED, REFUSED},
	{"https://api.velt.dev/a b", REFUSED, REFUSED},
	{" https://api.velt.dev", REFUSED, REFUSED},
	{"https://api.velt.dev ", REFUSED, REFUSED},
	{"https://api.velt.dev\n", REFUSED, REFUSED},
	{"https://api.velt.dev\r\nHost: evil.example", REFUSED, REFUSED},
	{"https://api.velt.dev\t", REFUSED, REFUSED},
	{"https://api.velt.dev\x7f", REFUSED, REFUSED},
	{"https://\xc3\xa4pi.velt.dev", REFUSED, REFUSED},

	/* other schemes, or none */
	{"ftp://api.velt.dev", REFUSED, REFUSED},
	{"file:///etc/passwd", REFUSED, REFUSED},
	{"socks5://127.0.0.1", REFUSED, REFUSED},
	{"httpss://api.velt.dev", REFUSED, REFUSED},
	{"javascript:alert(1)", REFUSED, REFUSED},
	{"api.velt.dev", REFUSED, REFUSED},
	{"//api.velt.dev", REFUSED, REFUSED},
	{"127.0.0.1:8080", REFUSED, REFUSED},
	{"/v2", REFUSED, REFUSED},
	{"", REFUSED, REFUSED},

	/* no host, or no port that could be */
	{"https://", REFUSED, REFUSED},
	{"https://:443", REFUSED, REFUSED},
	{"https://api.velt.dev:65536", REFUSED, REFUSED},
	{"https://api.velt.dev:-1", REFUSED, REFUSED},
	{"https://api.velt.dev:8080x", REFUSED, REFUSED},
	{"https://[::1", REFUSED, REFUSED},
	{"https://[::g]", REFUSED, REFUSED},
	{"https://api.velt.dev%00.evil.example", REFUSED, REFUSED},
};

static void
check(const UrlCase *c, VeltUrlUse use)
{
	Verdict		expected = use == VELT_URL_API ? c->api : c->proxy;
	const char *name = use == VELT_URL_API ? "API" : "proxy";
	VeltError	error = {0};
	bool		plain = false;
	Verdict		got = (!velt_url_check(c->url, use, &plain, &error) ? REFUSED :
					   plain ? PLAIN : TLS);

	is_int(got, expected, "%s URL \"%s\"", name, c->url);
	if (got != REFUSED)
		return;
	ok(error.kind == VELT_ERROR_INVALID_VALUE && error.detail[0] != '\0',
	   "... is an invalid value, with a reason");
}

void
test_url(void)
{
	for (size_t i = 0; i < LENGTH_OF(url_cases); i++)
	{
		check(&url_cases[i], VELT_URL_API);
		check(&url_cases[i], VELT_URL_PROXY);
	}
}
