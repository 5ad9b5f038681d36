/*
 * client/error.c
 *		What went wrong: the tables of statuses, and remote text made safe.
 *
 * Knows neither curl nor PostgreSQL.
 */
#include "client/error.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "client/utf8.h"

typedef struct ApiStatus
{
	const char *status;
	VeltStatus	meaning;
} ApiStatus;

static const ApiStatus api_statuses[] = {
	{"UNAUTHENTICATED", {VELT_ERROR_UNAUTHENTICATED, false, false}},
	{"PERMISSION_DENIED", {VELT_ERROR_PERMISSION_DENIED, false, false}},
	{"NOT_FOUND", {VELT_ERROR_NOT_FOUND, false, false}},
	{"INVALID_ARGUMENT", {VELT_ERROR_INVALID_ARGUMENT, false, false}},
	{"FAILED_PRECONDITION", {VELT_ERROR_INVALID_REQUEST, false, false}},
	{"OUT_OF_RANGE", {VELT_ERROR_INVALID_REQUEST, false, false}},
	{"ALREADY_EXISTS", {VELT_ERROR_INVALID_REQUEST, false, false}},
	{"UNIMPLEMENTED", {VELT_ERROR_INVALID_REQUEST, false, false}},
	{"RESOURCE_EXHAUSTED", {VELT_ERROR_EXHAUSTED, true, false}},
	{"INTERNAL", {VELT_ERROR_UNAVAILABLE, true, false}},
	{"UNAVAILABLE", {VELT_ERROR_UNAVAILABLE, true, false}},
	{"DEADLINE_EXCEEDED", {VELT_ERROR_UNAVAILABLE, true, false}},
	{"ABORTED", {VELT_ERROR_UNAVAILABLE, true, false}},
	{"UNKNOWN", {VELT_ERROR_UNAVAILABLE, false, false}},
	{"CANCELLED", {VELT_ERROR_UNAVAILABLE, false, false}},
	{"DATA_LOSS", {VELT_ERROR_UNAVAILABLE, false, false}},
	{NULL, {VELT_ERROR_NONE, false, false}}
};

typedef struct HttpStatus
{
	int			first;
	int			last;
	VeltStatus	meaning;
} HttpStatus;

/*
 * The first row that holds a status decides.  A proxy that refuses to connect
 * is a failure to connect whatever its status, which says only whether to ask
 * it again.  A Retry-After calls any trouble of a server temporary; with 4xx,
 * which find fault with the request, RFC 9110 gives it that meaning for 413
 * alone.  Statuses above 511 are those of content delivery networks and load
 * balancers.
 */
static const HttpStatus http_statuses[] = {
	{401, 401, {VELT_ERROR_UNAUTHENTICATED, false, false}},
	{403, 403, {VELT_ERROR_PERMISSION_DENIED, false, false}},
	{404, 404, {VELT_ERROR_NOT_FOUND, false, false}},
	{407, 407, {VELT_ERROR_CONNECT, false, false}},
	{408, 408, {VELT_ERROR_UNAVAILABLE, true, false}},
	{410, 410, {VELT_ERROR_NOT_FOUND, false, false}},
	{413, 413, {VELT_ERROR_REQUEST_SIZE, false, true}},
	{421, 421, {VELT_ERROR_UNAVAILABLE, true, false}},
	{425, 425, {VELT_ERROR_UNAVAILABLE, true, false}},
	{429, 429, {VELT_ERROR_EXHAUSTED, true, false}},
	{400, 499, {VELT_ERROR_INVALID_REQUEST, false, false}},
	{500, 500, {VELT_ERROR_UNAVAILABLE, true, false}},
	{502, 504, {VELT_ERROR_UNAVAILABLE, true, false}},
	{511, 511, {VELT_ERROR_CONNECT, false, true}},	/* a network's login */
	{520, 527, {VELT_ERROR_UNAVAILABLE, true, false}},
	{529, 530, {VELT_ERROR_UNAVAILABLE, true, false}},
	{598, 599, {VELT_ERROR_UNAVAILABLE, true, false}},
	{500, 599, {VELT_ERROR_UNAVAILABLE, false, true}},
	{0, 0, {VELT_ERROR_PROTOCOL, false, false}}
};

bool
velt_error_set(VeltError *error, VeltErrorKind kind, const char *format,...)
{
	va_list		args;

	memset(error, 0, offsetof(VeltError, detail));
	error->request_id[0] = '\0';
	error->kind = kind;
	va_start(args, format);
	vsnprintf(error->detail, sizeof(error->detail), format, args);
	va_end(args);
	return false;
}

void
velt_error_append(VeltError *error, const char *format,...)
{
	size_t		length = strlen(error->detail);
	bool		ends = (length == 0 ||
						strchr(".!?", error->detail[length - 1]) != NULL);
	size_t		left = sizeof(error->detail) - length;
	va_list		args;

	/* the other side's words may lack their full stop */
	length += snprintf(error->detail + length, left, ends ? " " : ". ");
	if (length >= sizeof(error->detail))
		return;
	va_start(args, format);
	vsnprintf(error->detail + length, sizeof(error->detail) - length, format,
			  args);
	va_end(args);
}

bool
velt_error_out_of_memory(VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_OUT_OF_MEMORY,
						  "Memory for a request or its response could not be allocated.");
}

bool
velt_error_in_connecting(VeltErrorKind kind)
{
	return kind == VELT_ERROR_CONNECT || kind == VELT_ERROR_TLS;
}

VeltStatus
velt_error_api_status(const char *status, size_t length)
{
	const ApiStatus *row = api_statuses;

	while (row->status != NULL &&
		   (strlen(row->status) != length ||
			memcmp(row->status, status, length) != 0))
		row++;
	return row->meaning;
}

VeltStatus
velt_error_http_status(int http_status)
{
	const HttpStatus *row = http_statuses;

	while (row->first != 0 &&
		   (http_status < row->first || http_status > row->last))
		row++;
	return row->meaning;
}

/* Returns whether the status by itself sends a client to another address. */
static bool
is_redirect(int http_status)
{
	return (http_status >= 301 && http_status <= 303) ||
		http_status == 307 || http_status == 308;
}

bool
velt_error_set_http(VeltError *error, int http_status)
{
	VeltStatus	meaning = velt_error_http_status(http_status);

	velt_error_set(error, meaning.kind, is_redirect(http_status) ?
				   "The server replied HTTP %d; redirects are not followed." :
				   "The server replied HTTP %d and no error of the API.",
				   http_status);
	error->http_status = http_status;
	error->transient = meaning.transient;
	error->if_retry_after = meaning.if_retry_after;
	return false;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The value of "digits" hex digits at text, or -1. */
static int
hex_value(const char *text, const char *end, int digits)
{
	int			value = 0;

	if (end - text < digits)
		return -1;
	while (digits-- > 0)
	{
		int			digit = hex_digit(*text++);

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/*
 * An escape within an escaped string doubles its backslashes: four levels of
 * that, and no more, so that a reply full of backslashes costs no time.
 */
#define MAX_BACKSLASHES		16

static const char *
skip_backslashes(const char *text, const char *end)
{
	const char *at = text;

	while (at < end && *at == '\\' && at - text < MAX_BACKSLASHES)
		at++;
	return at;
}

/* A character by its number */
typedef struct HexSpelling
{
	char		mark;
	int			digits;
} HexSpelling;

static const HexSpelling url_spelling = {'%', 2};

/* ... behind backslashes */
static const HexSpelling json_spelling = {'u', 4};

/*
 * How many bytes at text spell the character c: percent-encoded, as a JSON
 * escape with one or more backslashes, or as itself.  0 if they do not.
 * Where the bytes could be both, "raw" takes them for the character itself.
 */
static size_t
spelled(const char *text, const char *end, char c, bool raw)
{
	const char *at = skip_backslashes(text, end);
	const HexSpelling *hex = at > text ? &json_spelling : &url_spelling;

	if (raw && *text == c)
		return 1;
	if (at < end && *at == hex->mark &&
		hex_value(at + 1, end, hex->digits) == (unsigned char) c)
		return at + 1 + hex->digits - text;
	if (at < end && *at == c)
		return at + 1 - text;
	return *text == c ? 1 : 0;
}

static size_t
match_spelling(const char *text, const char *end, const char *secret,
			   bool raw)
{
	const char *at = text;

	if (secret == NULL || *secret == '\0')
		return 0;
	for (; *secret != '\0'; secret++)
	{
		size_t		length = at < end ? spelled(at, end, *secret, raw) : 0;

		if (length == 0)
			return 0;
		at += length;
	}
	return at - text;
}

/* The length of the secret's longest spelling at text, or 0. */
static size_t
match_secret(const char *text, const char *end, const char *secret)
{
	size_t		raw = match_spelling(text, end, secret, true);
	size_t		escaped = match_spelling(text, end, secret, false);

	return raw > escaped ? raw : escaped;
}

/* A shorter workspace id would be found in the middle of every other word. */
#define MIN_HIDDEN_ID		4

static bool
begins_with(const char *secret, char c)
{
	return secret != NULL && *secret == c && c != '\0';
}

/* Returns whether some spelling of a credential can begin with the byte. */
static inline bool
may_begin(char c, const VeltCredentials *credentials)
{
	return credentials != NULL &&
		(c == '\\' || c == '%' ||
		 begins_with(credentials->auth_token, c) ||
		 begins_with(credentials->workspace_id, c));
}

static size_t
match_credentials(const char *text, const char *end,
				  const VeltCredentials *credentials, const char **name)
{
	const char *id;
	size_t		token_length;
	size_t		id_length = 0;

	if (!may_begin(*text, credentials))
		return 0;
	id = credentials->workspace_id;
	token_length = match_secret(text, end, credentials->auth_token);
	if (id != NULL && strlen(id) >= MIN_HIDDEN_ID)
		id_length = match_secret(text, end, id);

	/* one may begin with the other */
	*name = id_length > token_length ? "<workspace_id>" : "<auth_token>";
	return id_length > token_length ? id_length : token_length;
}

bool
velt_error_credentials_begin(const char *text, size_t length, size_t starts,
							 const VeltCredentials *credentials)
{
	const char *end = text + length;
	const char *stop = text + (starts < length ? starts : length);
	const char *name;
	bool		escaped_alone;

	if (credentials == NULL)
		return false;

	/*
	 * Of several backslashes the last one is enough for an escape, unless a
	 * backslash can be the character itself.
	 */
	escaped_alone = !begins_with(credentials->auth_token, '\\') &&
		!begins_with(credentials->workspace_id, '\\');
	for (; text < stop; text++)
	{
		if (escaped_alone && text[0] == '\\' && end - text > 1 &&
			text[1] == '\\')
			continue;
		if (match_credentials(text, end, credentials, &name) > 0)
			return true;
	}
	return false;
}

bool
velt_error_has_credentials(const char *text, size_t length,
						   const VeltCredentials *credentials)
{
	return velt_error_credentials_begin(text, length, length, credentials);
}

/* The length of the valid UTF-8 character at text, or 0. */
static size_t
utf8_length(const unsigned char *text, const unsigned char *end)
{
	unsigned char low;
	unsigned char high;
	int			left = velt_utf8_continuation(*text, &low, &high);

	if (left < 0 || end - text <= left)
		return 0;
	for (int i = 1; i <= left; i++)
	{
		if (text[i] < low || text[i] > high)
			return 0;
		low = 0x80;
		high = 0xBF;
	}
	return left + 1;
}

/*
 * C0, DEL and (in two bytes) C1 controls could steer a terminal; the marks of
 * direction (U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069) could show a
 * message in another order than it is.
 */
static bool
steers_display(const unsigned char *text, size_t length)
{
	if (length == 1)
		return iscntrl(*text);
	if (length == 2)
		return text[0] == 0xC2 && text[1] < 0xA0;
	return length == 3 && text[0] == 0xE2 &&
		((text[1] == 0x80 && (text[2] == 0x8E || text[2] == 0x8F ||
							  (text[2] >= 0xAA && text[2] <= 0xAE))) ||
		 (text[1] == 0x81 && text[2] >= 0xA6 && text[2] <= 0xA9));
}

/*
 * One character of remote text as it may be shown, in piece; returns how many
 * bytes of text it stands for.
 */
static size_t
clean_character(const char *text, const char *end, char piece[8],
				size_t *piece_length)
{
	size_t		length = utf8_length((const unsigned char *) text,
									 (const unsigned char *) end);

	if (length == 0 || steers_display((const unsigned char *) text, length))
	{
		*piece_length = snprintf(piece, 8, "\\x%02x", (unsigned char) *text);
		return 1;
	}
	memcpy(piece, text, length);
	*piece_length = length;
	return length;
}

void
velt_error_clean_text(char *out, size_t size, const char *text, size_t length,
					  const VeltCredentials *credentials)
{
	const char *end = text + length;
	size_t		used = 0;

	while (text < end)
	{
		char		piece[8];
		const char *shown = piece;
		size_t		shown_length;
		size_t		taken = match_credentials(text, end, credentials, &shown);

		if (taken > 0)
			shown_length = strlen(shown);
		else
		{
			shown = piece;
			taken = clean_character(text, end, piece, &shown_length);
		}
		if (used + shown_length >= size)
			break;
		memcpy(out + used, shown, shown_length);
		used += shown_length;
		text += taken;
	}
	out[used] = '\0';
}

void
velt_error_set_request_id(VeltError *error, const char *id,
						  const VeltCredentials *credentials)
{
	velt_error_clean_text(error->request_id, sizeof(error->request_id), id,
						  strlen(id), credentials);
}
