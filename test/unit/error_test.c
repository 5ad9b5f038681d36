/*
 * test/unit/error_test.c
 *		client/error: the tables of statuses, and remote text made safe.
 */
#include "client/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "unit.h"

/* ----------
 * Statuses
 * ----------
 */

typedef struct StatusCase
{
	const char *status;
	VeltErrorKind kind;
	bool		transient;
} StatusCase;

static const StatusCase status_cases[] = {
	{"UNAUTHENTICATED", VELT_ERROR_UNAUTHENTICATED, false},
	{"PERMISSION_DENIED", VELT_ERROR_PERMISSION_DENIED, false},
	{"NOT_FOUND", VELT_ERROR_NOT_FOUND, false},
	{"INVALID_ARGUMENT", VELT_ERROR_INVALID_ARGUMENT, false},
	{"FAILED_PRECONDITION", VELT_ERROR_INVALID_REQUEST, false},
	{"OUT_OF_RANGE", VELT_ERROR_INVALID_REQUEST, false},
	{"ALREADY_EXISTS", VELT_ERROR_INVALID_REQUEST, false},
	{"UNIMPLEMENTED", VELT_ERROR_INVALID_REQUEST, false},
	{"RESOURCE_EXHAUSTED", VELT_ERROR_EXHAUSTED, true},
	{"INTERNAL", VELT_ERROR_UNAVAILABLE, true},
	{"UNAVAILABLE", VELT_ERROR_UNAVAILABLE, true},
	{"DEADLINE_EXCEEDED", VELT_ERROR_UNAVAILABLE, true},
	{"ABORTED", VELT_ERROR_UNAVAILABLE, true},
	{"UNKNOWN", VELT_ERROR_UNAVAILABLE, false},
	{"CANCELLED", VELT_ERROR_UNAVAILABLE, false},
	{"DATA_LOSS", VELT_ERROR_UNAVAILABLE, false},
	{"", VELT_ERROR_NONE, false},
	{"OK", VELT_ERROR_NONE, false},
	{"not_found", VELT_ERROR_NONE, false},
	{"NOT_FOUN", VELT_ERROR_NONE, false},
	{"NOT_FOUND ", VELT_ERROR_NONE, false},
	{"INTERNAL_ERROR", VELT_ERROR_NONE, false},
	{"CANCELED", VELT_ERROR_NONE, false},
};

static void
test_statuses(void)
{
	for (size_t i = 0; i < LENGTH_OF(status_cases); i++)
	{
		const StatusCase *c = &status_cases[i];

		VeltStatus	meaning = velt_error_api_status(c->status,
													strlen(c->status));

		is_int(meaning.kind, c->kind, "API status \"%s\"", c->status);
		is_int(meaning.transient, c->transient, "... %s pass by itself",
			   c->transient ? "may" : "will not");
	}
	is_int(velt_error_api_status(BYTES("NOT_FOUND\0X")).kind, VELT_ERROR_NONE,
		   "an API status with a NUL in it");
	is_int(velt_error_api_status("NOT_FOUND_AT_ALL", 9).kind,
		   VELT_ERROR_NOT_FOUND, "an API status is read by its length");
}

/* What is documented of every HTTP status there can be. */
static VeltErrorKind
expected_of_http(int status)
{
	switch (status)
	{
		case 401:
			return VELT_ERROR_UNAUTHENTICATED;
		case 403:
			return VELT_ERROR_PERMISSION_DENIED;
		case 404:
		case 410:
			return VELT_ERROR_NOT_FOUND;
		case 407:
		case 511:
			return VELT_ERROR_CONNECT;
		case 413:
			return VELT_ERROR_REQUEST_SIZE;
		case 408:
		case 421:
		case 425:
			return VELT_ERROR_UNAVAILABLE;
		case 429:
			return VELT_ERROR_EXHAUSTED;
		default:
			return status / 100 == 4 ? VELT_ERROR_INVALID_REQUEST :
				status / 100 == 5 ? VELT_ERROR_UNAVAILABLE :
				VELT_ERROR_PROTOCOL;
	}
}

static const int transient_http[] = {
	408, 421, 425, 429, 500, 502, 503, 504,
	520, 521, 522, 523, 524, 525, 526, 527, 529, 530, 598, 599
};

static bool
expected_transient(int status)
{
	for (size_t i = 0; i < LENGTH_OF(transient_http); i++)
	{
		if (transient_http[i] == status)
			return true;
	}
	return false;
}

static void
test_http_statuses(void)
{
	int			nwrong = 0;

	for (int status = -1; status <= 1000; status++)
	{
		VeltStatus	meaning = velt_error_http_status(status);
		bool		transient = expected_transient(status);
		bool		if_retry_after;

		if_retry_after = !transient && (status == 413 || status / 100 == 5);

		if (meaning.kind == expected_of_http(status) &&
			meaning.transient == transient &&
			meaning.if_retry_after == if_retry_after)
			continue;
		diag("HTTP %d is kind %d", status, meaning.kind);
		nwrong++;
	}
	is_int(nwrong, 0,
		   "every HTTP status has its kind, and may pass by itself or not");
}

/* ----------
 * Filling in
 * ----------
 */

static void
test_set(void)
{
	VeltError	error;
	char		text[4096];

	memset(&error, 'x', sizeof(error));
	ok(!velt_error_set(&error, VELT_ERROR_PROTOCOL, "%s %d.", "No", 7),
	   "setting an error returns false");
	is_int(error.kind, VELT_ERROR_PROTOCOL, "... has the kind");
	is_str(error.detail, "No 7.", "... and the detail");
	is_str(error.request_id, "", "... no request id");
	ok(!error.enveloped && !error.transient && error.http_status == 0,
	   "... and is neither enveloped nor transient");

	memset(text, 'y', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	(void) velt_error_set(&error, VELT_ERROR_PROTOCOL, "%s", text);
	is_int(strlen(error.detail), VELT_DETAIL_BYTES - 1,
		   "a detail beyond its bounds is cut");

	ok(!velt_error_out_of_memory(&error), "out of memory is an error");
	is_int(error.kind, VELT_ERROR_OUT_OF_MEMORY, "... of its own kind");
}

/* ----------
 * Remote text
 * ----------
 */

typedef struct TextCase
{
	const char *name;
	const char *text;
	size_t		length;
	const char *shown;
} TextCase;

static const TextCase text_cases[] = {
	{"nothing", BYTES(""), ""},
	{
		"ASCII", BYTES("Rate limit exceeded. 100% of \\ \"it\""),
		"Rate limit exceeded. 100% of \\ \"it\""
	},
	{"a NUL", BYTES("a\0b"), "a\\x00b"},
	{"line ends and a tab", BYTES("a\r\n\tb"), "a\\x0d\\x0a\\x09b"},
	{"an escape sequence", BYTES("\x1b[31m"), "\\x1b[31m"},
	{"DEL", BYTES("a\x7f" "b"), "a\\x7fb"},
	{"the last C0 and the first printable", BYTES("\x1f "), "\\x1f "},
	{"C1 in two bytes: CSI", BYTES("\xc2\x9b" "31m"), "\\xc2\\x9b31m"},
	{
		"C1: the first and the last", BYTES("\xc2\x80\xc2\x9f"),
		"\\xc2\\x80\\xc2\\x9f"
	},
	{"NBSP, which is no control", BYTES("\xc2\xa0"), "\xc2\xa0"},
	{
		"two, three and four bytes",
		BYTES("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
	},
	{"a lone continuation byte", BYTES("a\x80z"), "a\\x80z"},
	{"an overlong slash", BYTES("\xc0\xaf"), "\\xc0\\xaf"},
	{"an overlong slash of three", BYTES("\xe0\x80\xaf"), "\\xe0\\x80\\xaf"},
	{
		"an overlong slash of four", BYTES("\xf0\x80\x80\xaf"),
		"\\xf0\\x80\\x80\\xaf"
	},
	{"a surrogate", BYTES("\xed\xa0\x80"), "\\xed\\xa0\\x80"},
	{"the last before the surrogates", BYTES("\xed\x9f\xbf"), "\xed\x9f\xbf"},
	{"U+10FFFF", BYTES("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf"},
	{"beyond U+10FFFF", BYTES("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"},
	{
		"a lead byte that never was", BYTES("\xf5\x80\x80\x80\xff"),
		"\\xf5\\x80\\x80\\x80\\xff"
	},
	{"cut after one of two", BYTES("a\xc3"), "a\\xc3"},
	{"cut after two of three", BYTES("a\xe2\x82"), "a\\xe2\\x82"},
	{"cut after three of four", BYTES("a\xf0\x9f\x98"), "a\\xf0\\x9f\\x98"},
	{"a lead byte before ASCII", BYTES("\xe2zz"), "\\xe2zz"},
};

/* The text in memory of exactly its size, so that reading on is noticed. */
static void
clean(char *out, size_t size, const char *text, size_t length,
	  const VeltCredentials *credentials)
{
	char	   *copy = malloc(length ? length : 1);

	memcpy(copy, text, length);
	velt_error_clean_text(out, size, copy, length, credentials);
	free(copy);
}

static void
test_clean_text(void)
{
	char		out[200];

	for (size_t i = 0; i < LENGTH_OF(text_cases); i++)
	{
		const TextCase *c = &text_cases[i];

		clean(out, sizeof(out), c->text, c->length, NULL);
		is_str(out, c->shown, "shown of %s", c->name);
	}
}

/* What is shown ends with a whole character, however little room there is. */
static void
test_clean_text_cut(void)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n";
	static const size_t whole[] = {0, 1, 3, 6, 10, 14};
	char		out[16];
	bool		right = true;

	for (size_t size = 1; size <= sizeof(out); size++)
	{
		size_t		expected = 0;

		memset(out, 'x', sizeof(out));
		clean(out, size, BYTES(text), NULL);
		for (size_t i = 0; i < LENGTH_OF(whole); i++)
			expected = whole[i] < size ? whole[i] : expected;
		if (strlen(out) == expected)
			continue;
		diag("%zu bytes of room show %zu, not %zu", size, strlen(out),
			 expected);
		right = false;
	}
	ok(right, "text is cut at a character's end");
}

static void
test_clean_text_limit(void)
{
	char		text[1001];
	char		out[VELT_REMOTE_TEXT_BYTES + 1];

	memset(text, 'e', sizeof(text));
	clean(out, sizeof(out), text, VELT_REMOTE_TEXT_BYTES, NULL);
	is_int(strlen(out), 500, "500 bytes are shown");
	clean(out, sizeof(out), text, VELT_REMOTE_TEXT_BYTES + 1, NULL);
	is_int(strlen(out), 500, "... and no more of 501");

	for (size_t i = 1; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	clean(out, sizeof(out), text, sizeof(text), NULL);
	is_int(strlen(out), 499, "the character that crosses the limit is left out");
	memset(text, '\n', sizeof(text));
	clean(out, sizeof(out), text, sizeof(text), NULL);
	is_int(strlen(out), 500, "escapes count as what they take");
}

/* ----------
 * Credentials
 * ----------
 */

/* How a secret may be spelled by who repeats it. */
typedef enum Spelling
{
	RAW,
	JSON_SHORT,					/* \" \\ \/ */
	JSON_UNICODE,				/* \u005c, each character */
	JSON_UNICODE_UPPER,			/* \u005C */
	JSON_TWICE,					/* a JSON string within a JSON string */
	PERCENT_NEEDED,				/* all but letters and digits */
	PERCENT_ALL,
	PERCENT_LOWER,
	SPELLINGS
} Spelling;

static const char *const spelling_names[SPELLINGS] = {
	"raw", "with JSON's short escapes", "as \\u00xx", "as \\u00XX",
	"escaped twice", "percent-encoded", "wholly percent-encoded",
	"percent-encoded in lower case"
};

static int
spell_character(char *out, char c, Spelling spelling)
{
	bool		plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' &&
												   (c | 32) <= 'z');

	switch (spelling)
	{
		case JSON_SHORT:
			return sprintf(out, strchr("\"\\/", c) ? "\\%c" : "%c", c);
		case JSON_UNICODE:
			return sprintf(out, "\\u%04x", c);
		case JSON_UNICODE_UPPER:
			return sprintf(out, "\\u%04X", c);
		case JSON_TWICE:
			if (c == '\\')
				return sprintf(out, "\\\\\\\\");
			return sprintf(out, c == '"' ? "\\\\\\%c" : "%c", c);
		case PERCENT_NEEDED:
			return sprintf(out, plain ? "%c" : "%%%02X", c);
		case PERCENT_ALL:
			return sprintf(out, "%%%02X", c);
		case PERCENT_LOWER:
			return sprintf(out, "%%%02x", c);
		default:
			return sprintf(out, "%c", c);
	}
}

static void
spell(char *out, const char *secret, Spelling spelling)
{
	for (; *secret != '\0'; secret++)
		out += spell_character(out, *secret, spelling);
	*out = '\0';
}

static const char *const secrets[] = {
	"0123456789abcdef0123456789abcdef",
	"eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.x-_y",
	"a+b/c==",
	"sesame~!@#$&*()[]{};:'<>,.?|^`",
	"with\"quote",
	"back\\slash",
	"\\lead",
	"trail\\",
	"two\\\\of",
	"five%",
	"per%cent",
	"per%25cent",
	"uuuu",
	"u0075",
	"\\u0075",
	"a%41\\u0041z",
};

static void
test_spelling(const char *secret, Spelling spelling, bool as_token)
{
	VeltCredentials credentials = {"workspace_of_no_concern",
	"token_of_no_concern"};
	char		spelled[512];
	char		text[600];
	char		out[700];
	char		expected[100];

	if (as_token)
		credentials.auth_token = secret;
	else
		credentials.workspace_id = secret;
	spell(spelled, secret, spelling);
	snprintf(text, sizeof(text), "bad (%s) sent", spelled);
	snprintf(expected, sizeof(expected), "bad (<%s>) sent",
			 as_token ? "auth_token" : "workspace_id");
	clean(out, sizeof(out), text, strlen(text), &credentials);
	ok(strstr(out, secret) == NULL && strstr(out, spelled) == NULL &&
	   strstr(out, as_token ? "<auth_token>" : "<workspace_id>") != NULL,
	   "secret %s, %s, is cleared", secret, spelling_names[spelling]);
	ok(velt_error_has_credentials(text, strlen(text), &credentials),
	   "... and is found");
}

static void
test_credentials(void)
{
	for (size_t i = 0; i < LENGTH_OF(secrets); i++)
	{
		for (Spelling s = RAW; s < SPELLINGS; s++)
			test_spelling(secrets[i], s, (i + s) % 2 == 0);
	}
}

typedef struct ClearCase
{
	const char *text;
	const char *shown;
} ClearCase;

/* With workspace id "ws_1" and token "tok\"en". */
static const ClearCase clear_cases[] = {
	{"nothing of it", "nothing of it"},
	{"ws_1", "<workspace_id>"},
	{"ws_1ws_1", "<workspace_id><workspace_id>"},
	{"wws_11", "w<workspace_id>1"},
	{"ws_", "ws_"},
	{"ws_2", "ws_2"},
	{"WS_1", "WS_1"},
	{"tok\"en for ws_1.", "<auth_token> for <workspace_id>."},
	{"tok\\\"en", "<auth_token>"},
	{"tok\\\\\\\"en", "<auth_token>"},
	{"tok%22en", "<auth_token>"},
	{"t%6Fk\\u0022en", "<auth_token>"},
	{"ws%5F1%", "<workspace_id>%"},
	{"ws%5", "ws%5"},
	{"ws\\u005", "ws\\u005"},
	{"ws\\", "ws\\"},
	{"ws%5g1 ws\\u005g1", "ws%5g1 ws\\u005g1"},
};

static void
test_clearing(void)
{
	const VeltCredentials credentials = {"ws_1", "tok\"en"};
	char		out[100];

	for (size_t i = 0; i < LENGTH_OF(clear_cases); i++)
	{
		const ClearCase *c = &clear_cases[i];

		clean(out, sizeof(out), c->text, strlen(c->text), &credentials);
		is_str(out, c->shown, "cleared of %s", c->text);
		is_int(velt_error_has_credentials(c->text, strlen(c->text),
										  &credentials),
			   strcmp(c->text, c->shown) != 0, "... as they are found");
	}
}

static void
test_clearing_bounds(void)
{
	const VeltCredentials none = {NULL, NULL};
	const VeltCredentials empty = {"", ""};
	const VeltCredentials nested = {"abcd", "abcdef"};
	const VeltCredentials reverse = {"abcdef", "abc"};
	const VeltCredentials brief = {"abc", "x"};
	static char slashes[100000];
	char		out[VELT_REMOTE_TEXT_BYTES + 1];

	ok(!velt_error_has_credentials(BYTES("abc"), NULL),
	   "without credentials none are found");
	ok(!velt_error_has_credentials(BYTES("abc"), &none), "... nor if NULL");
	ok(!velt_error_has_credentials(BYTES("abc"), &empty), "... nor if empty");
	clean(out, sizeof(out), BYTES("abc"), &empty);
	is_str(out, "abc", "empty credentials clear nothing");
	clean(out, sizeof(out), BYTES("abcdef abcde"), &nested);
	is_str(out, "<auth_token> <workspace_id>e",
		   "the longer secret is not uncovered by the shorter");
	clean(out, sizeof(out), BYTES("abcdef abcd"), &reverse);
	is_str(out, "<workspace_id> <auth_token>d", "... whichever is which");
	clean(out, 12, BYTES("12345 abcd"), &nested);
	is_str(out, "12345 ", "what stands for a secret is not cut");
	clean(out, sizeof(out), BYTES("abc x"), &brief);
	is_str(out, "abc <auth_token>",
		   "a workspace id of three is no secret, a token is of any length");
	ok(!velt_error_has_credentials(BYTES("abc"), &brief), "... nor is it found");

	memset(slashes, '\\', sizeof(slashes));
	ok(!velt_error_has_credentials(slashes, sizeof(slashes), &nested),
	   "100 kB of backslashes are looked through");
	memcpy(slashes + sizeof(slashes) - 4, "abcd", 4);
	ok(velt_error_has_credentials(slashes, sizeof(slashes), &nested),
	   "... and what is behind them is found");
}

/* Slices that cover a text find what the whole text has, wherever it is. */
static void
test_slices(void)
{
	static const char *const texts[] = {
		"...tok\"en...", "tok\"en", "....t%6Fk\\\\\\\"en", "ws_1", "\\\\\\ws%5F1.",
		"tok\"e", "...tok\"eN", "\\\\\\\\\\"
	};
	static const VeltCredentials credentials = {"ws_1", "tok\"en"};

	for (size_t i = 0; i < LENGTH_OF(texts); i++)
	{
		size_t		length = strlen(texts[i]);
		bool		whole = velt_error_has_credentials(texts[i], length,
													   &credentials);

		for (size_t slice = 1; slice <= length; slice++)
		{
			bool		found = false;

			for (size_t at = 0; at < length; at += slice)
				found |= velt_error_credentials_begin(texts[i] + at,
													  length - at, slice,
													  &credentials);
			is_int(found, whole, "%s in slices of %zu", texts[i], slice);
		}
		is_int(whole, i < 5, "%s has a credential", texts[i]);
	}
}

void
test_error(void)
{
	test_statuses();
	test_http_statuses();
	test_set();
	test_clean_text();
	test_clean_text_cut();
	test_clean_text_limit();
	test_credentials();
	test_clearing();
	test_clearing_bounds();
	test_slices();
}
