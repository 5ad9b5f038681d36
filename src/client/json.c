/*
 * client/json.c
 *		A strict one-pass RFC 8259 scanner over bytes as they arrive.
 *
 * json-c is used for one thing: to decode the escapes of a string that has
 * been found valid.  It is no help in finding values, as it forgets where
 * they stood, keeps one of duplicate members and bends large numbers.
 */
#include "client/json.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

typedef enum ScanState
{
	/* between tokens */
	EXPECT_VALUE,
	EXPECT_VALUE_OR_CLOSE,
	EXPECT_NAME,
	EXPECT_NAME_OR_CLOSE,
	EXPECT_COLON,
	EXPECT_COMMA_OR_CLOSE,
	EXPECT_NOTHING,
	/* within a string */
	IN_STRING,
	IN_ESCAPE,
	IN_HEX,
	IN_UTF8,
	/* within a number */
	IN_MINUS,
	IN_ZERO,
	IN_INTEGER,
	IN_POINT,
	IN_FRACTION,
	IN_E,
	IN_E_SIGN,
	IN_EXPONENT,
	/* within true, false or null */
	IN_LITERAL
} ScanState;

#define IS_DIGIT(c)		((c) >= '0' && (c) <= '9')
#define IS_SPACE(c)		((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')

/* ----------
 * Pointers
 * ----------
 */

/* The array element a reference token names: "0" or digits without a 0 first. */
static int64_t
element_index(const char *name, size_t length)
{
	int64_t		index = 0;

	/* more digits than this count more elements than a response can hold */
	if (length == 0 || length > 12 || (name[0] == '0' && length > 1))
		return -1;
	for (size_t i = 0; i < length; i++)
	{
		if (!IS_DIGIT(name[i]))
			return -1;
		index = index * 10 + (name[i] - '0');
	}
	return index;
}

/*
 * Copies one reference token to *to, decoded, and steps *from behind it; false
 * at a "~" that is neither ~0 nor ~1.
 */
static bool
decode_reference(const char **from, char **to, VeltJsonToken *token)
{
	const char *at = *from;
	char	   *out = *to;

	token->name = out;
	for (; *at != '\0' && *at != '/'; at++)
	{
		if (*at != '~')
			*out++ = *at;
		else if (at[1] == '0' || at[1] == '1')
			*out++ = *++at == '0' ? '~' : '/';
		else
			return false;
	}
	token->length = out - token->name;
	token->index = element_index(token->name, token->length);
	*from = at;
	*to = out;
	return true;
}

VeltJsonPointer *
velt_json_pointer_parse(const char *text, VeltError *error)
{
	VeltJsonPointer *pointer;
	int			ntokens = 0;
	char	   *names;

	for (const char *at = text; *at != '\0'; at++)
		ntokens += *at == '/';
	if (*text != '\0' && *text != '/')
	{
		velt_error_set(error, VELT_ERROR_INVALID_VALUE,
					   "A JSON pointer is empty or begins with \"/\".");
		return NULL;
	}
	if (ntokens >= VELT_JSON_MAX_DEPTH)
	{
		velt_error_set(error, VELT_ERROR_INVALID_VALUE,
					   "A JSON pointer can have at most %d parts.",
					   VELT_JSON_MAX_DEPTH - 1);
		return NULL;
	}

	pointer = malloc(offsetof(VeltJsonPointer, tokens) +
					 ntokens * sizeof(VeltJsonToken) + strlen(text) + 1);
	if (pointer == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	pointer->ntokens = ntokens;
	names = (char *) &pointer->tokens[ntokens];
	for (int i = 0; i < ntokens; i++)
	{
		text++;
		if (!decode_reference(&text, &names, &pointer->tokens[i]))
		{
			free(pointer);
			velt_error_set(error, VELT_ERROR_INVALID_VALUE,
						   "In a JSON pointer \"~\" is written \"~0\" and \"/\" within a name \"~1\".");
			return NULL;
		}
	}
	return pointer;
}

/* ----------
 * Which pointers match the value at hand
 * ----------
 */

static bool
invalid(const VeltJsonScanner *scanner, VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The response is not valid JSON, from byte %zu on.",
						  scanner->offset + 1);
}

/*
 * Of the pointers that lead into the container at hand, notes those whose
 * next token is the member name just read, or the element's index.
 */
static VeltJsonSet
matching(const VeltJsonScanner *scanner, const char *name, size_t length,
		 int64_t index)
{
	VeltJsonSet left = scanner->frames[scanner->depth].inside;
	VeltJsonSet found = 0;

	while (left != 0)
	{
		int			i = __builtin_ctzll(left);
		const VeltJsonToken *token =
			&scanner->pointers[i]->tokens[scanner->depth - 1];

		left &= left - 1;
		if (name != NULL ? (token->length == length &&
							memcmp(token->name, name, length) == 0) :
			token->index == index)
			found |= (VeltJsonSet) 1 << i;
	}
	return found;
}

static bool
match_member(VeltJsonScanner *scanner, const char *text, VeltError *error)
{
	VeltJsonFrame *frame = &scanner->frames[scanner->depth];
	VeltJsonSpan span = {VELT_JSON_STRING, scanner->escaped,
	scanner->token_start, scanner->offset + 1};

	frame->current = 0;
	if (frame->inside == 0)
		return true;
	if (!span.escaped)
		frame->current = matching(scanner, text + span.start + 1,
								  span.end - span.start - 2, -1);
	else
	{
		VeltBuffer	name = {0};
		size_t		length;
		bool		ok = velt_json_decode_string(text, span, &name, &length,
												 error);

		if (ok)
			frame->current = matching(scanner, length ? name.data : "",
									  length, -1);
		velt_buffer_free(&name);
		/* a name that is no text is no name that anybody looks for */
		if (!ok && error->kind != VELT_ERROR_UNTRANSLATABLE)
			return false;
	}
	if (frame->current & frame->seen)
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  "The response has a member twice, at byte %zu.",
							  span.start + 1);
	frame->seen |= frame->current;
	return true;
}

/* Notes where the value at hand begins, for the pointers that end at it. */
static void
begin_value(VeltJsonScanner *scanner, VeltJsonKind kind)
{
	VeltJsonFrame *frame = &scanner->frames[scanner->depth];
	VeltJsonSet left;

	if (frame->is_array)
	{
		frame->index++;
		if (frame->inside != 0)
			frame->current = matching(scanner, NULL, 0, frame->index);
	}
	scanner->token_start = scanner->offset;
	scanner->escaped = false;
	scanner->is_name = false;
	for (left = frame->current; left != 0; left &= left - 1)
	{
		int			i = __builtin_ctzll(left);

		if (scanner->pointers[i]->ntokens == scanner->depth)
		{
			scanner->spans[i].kind = kind;
			scanner->spans[i].start = scanner->offset;
		}
	}
}

/* The value at hand ends before the byte at "end". */
static void
end_value(VeltJsonScanner *scanner, size_t end)
{
	VeltJsonFrame *frame = &scanner->frames[scanner->depth];
	VeltJsonSet left;

	for (left = frame->current; left != 0; left &= left - 1)
	{
		int			i = __builtin_ctzll(left);

		if (scanner->pointers[i]->ntokens == scanner->depth)
		{
			scanner->spans[i].end = end;
			scanner->spans[i].escaped = scanner->escaped;
		}
	}
	if (scanner->depth > 0)
		scanner->state = EXPECT_COMMA_OR_CLOSE;
	else
	{
		scanner->state = EXPECT_NOTHING;
		scanner->done = true;
	}
}

/* ----------
 * The scan
 * ----------
 */

static bool
open_container(VeltJsonScanner *scanner, bool is_array, VeltError *error)
{
	VeltJsonFrame *outer = &scanner->frames[scanner->depth];
	VeltJsonFrame *inner = outer + 1;
	VeltJsonSet left;

	if (scanner->depth == VELT_JSON_MAX_DEPTH)
		return velt_error_set(error, VELT_ERROR_NESTING,
							  "The response nests more than %d levels deep.",
							  VELT_JSON_MAX_DEPTH);
	begin_value(scanner, is_array ? VELT_JSON_ARRAY : VELT_JSON_OBJECT);
	inner->is_array = is_array;
	inner->index = -1;
	inner->inside = 0;
	inner->current = 0;
	inner->seen = 0;
	for (left = outer->current; left != 0; left &= left - 1)
	{
		int			i = __builtin_ctzll(left);

		if (scanner->pointers[i]->ntokens > scanner->depth)
			inner->inside |= (VeltJsonSet) 1 << i;
	}
	scanner->depth++;
	scanner->state = is_array ? EXPECT_VALUE_OR_CLOSE : EXPECT_NAME_OR_CLOSE;
	return true;
}

static void
close_container(VeltJsonScanner *scanner)
{
	scanner->depth--;
	scanner->escaped = false;
	end_value(scanner, scanner->offset + 1);
}

static void
begin_literal(VeltJsonScanner *scanner, VeltJsonKind kind, const char *rest)
{
	begin_value(scanner, kind);
	scanner->literal = rest;
	scanner->state = IN_LITERAL;
}

/* The first byte of a value. */
static bool
scan_value(VeltJsonScanner *scanner, char c, VeltError *error)
{
	switch (c)
	{
		case '{':
			return open_container(scanner, false, error);
		case '[':
			return open_container(scanner, true, error);
		case '"':
			begin_value(scanner, VELT_JSON_STRING);
			scanner->state = IN_STRING;
			return true;
		case 't':
			begin_literal(scanner, VELT_JSON_TRUE, "rue");
			return true;
		case 'f':
			begin_literal(scanner, VELT_JSON_FALSE, "alse");
			return true;
		case 'n':
			begin_literal(scanner, VELT_JSON_NULL, "ull");
			return true;
		default:
			if (c != '-' && !IS_DIGIT(c))
				return invalid(scanner, error);
			begin_value(scanner, VELT_JSON_NUMBER);
			scanner->state = c == '-' ? IN_MINUS : c == '0' ? IN_ZERO : IN_INTEGER;
			return true;
	}
}

/* A byte between tokens, or the first of one. */
static bool
scan_structure(VeltJsonScanner *scanner, char c, VeltError *error)
{
	bool		in_array = scanner->frames[scanner->depth].is_array;

	if (IS_SPACE(c))
		return true;
	switch ((ScanState) scanner->state)
	{
		case EXPECT_VALUE_OR_CLOSE:
			if (c != ']')
				return scan_value(scanner, c, error);
			close_container(scanner);
			return true;

		case EXPECT_VALUE:
			return scan_value(scanner, c, error);

		case EXPECT_NAME_OR_CLOSE:
		case EXPECT_NAME:
			if (c == '}' && scanner->state == EXPECT_NAME_OR_CLOSE)
			{
				close_container(scanner);
				return true;
			}
			if (c != '"')
				return invalid(scanner, error);
			scanner->token_start = scanner->offset;
			scanner->escaped = false;
			scanner->is_name = true;
			scanner->state = IN_STRING;
			return true;

		case EXPECT_COLON:
			if (c != ':')
				return invalid(scanner, error);
			scanner->state = EXPECT_VALUE;
			return true;

		case EXPECT_COMMA_OR_CLOSE:
			if (c == (in_array ? ']' : '}'))
				close_container(scanner);
			else if (c == ',')
				scanner->state = in_array ? EXPECT_VALUE : EXPECT_NAME;
			else
				return invalid(scanner, error);
			return true;

		default:				/* EXPECT_NOTHING */
			return invalid(scanner, error);
	}
}

/* What may follow a lead byte: RFC 3629, so no overlong form, no surrogate. */
static bool
begin_utf8(VeltJsonScanner *scanner, unsigned char c, VeltError *error)
{
	if (c < 0xC2 || c > 0xF4)
		return invalid(scanner, error);
	scanner->utf8_left = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
	scanner->utf8_low = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
	scanner->utf8_high = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
	scanner->state = IN_UTF8;
	return true;
}

static bool
end_string(VeltJsonScanner *scanner, const char *text, VeltError *error)
{
	if (!scanner->is_name)
	{
		end_value(scanner, scanner->offset + 1);
		return true;
	}
	scanner->state = EXPECT_COLON;
	return match_member(scanner, text, error);
}

/* A byte of a string that does not stand for itself. */
static bool
scan_string_special(VeltJsonScanner *scanner, const char *text,
					VeltError *error)
{
	unsigned char c = text[scanner->offset];

	switch ((ScanState) scanner->state)
	{
		case IN_STRING:
			if (c == '"')
				return end_string(scanner, text, error);
			if (c >= 0x80)
				return begin_utf8(scanner, c, error);
			if (c != '\\')
				return invalid(scanner, error);
			scanner->escaped = true;
			scanner->state = IN_ESCAPE;
			return true;

		case IN_ESCAPE:
			if (c == 'u')
			{
				scanner->hex_left = 4;
				scanner->state = IN_HEX;
				return true;
			}
			if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
				return invalid(scanner, error);
			scanner->state = IN_STRING;
			return true;

		case IN_HEX:
			if (!IS_DIGIT(c) && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f'))
				return invalid(scanner, error);
			if (--scanner->hex_left == 0)
				scanner->state = IN_STRING;
			return true;

		default:				/* IN_UTF8 */
			if (c < scanner->utf8_low || c > scanner->utf8_high)
				return invalid(scanner, error);
			scanner->utf8_low = 0x80;
			scanner->utf8_high = 0xBF;
			if (--scanner->utf8_left == 0)
				scanner->state = IN_STRING;
			return true;
	}
}

/* Steps over the bytes of a string that stand for themselves. */
static void
skip_plain(VeltJsonScanner *scanner, const char *text, size_t length)
{
	const unsigned char *at = (const unsigned char *) text + scanner->offset;
	const unsigned char *end = (const unsigned char *) text + length;

	while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
		at++;
	scanner->offset = (const char *) at - text;
}

/* Whether a number may end in this state. */
static bool
number_complete(int state)
{
	return state == IN_ZERO || state == IN_INTEGER || state == IN_FRACTION ||
		state == IN_EXPONENT;
}

/* The state of a number after one more byte, or -1 if that is none of it. */
static int
number_step(int state, char c)
{
	switch ((ScanState) state)
	{
		case IN_MINUS:
			return c == '0' ? IN_ZERO : IS_DIGIT(c) ? IN_INTEGER : -1;
		case IN_ZERO:
		case IN_INTEGER:
			if (IS_DIGIT(c) && state == IN_INTEGER)
				return IN_INTEGER;
			return c == '.' ? IN_POINT : (c | 0x20) == 'e' ? IN_E : -1;
		case IN_POINT:
			return IS_DIGIT(c) ? IN_FRACTION : -1;
		case IN_FRACTION:
			if (IS_DIGIT(c))
				return IN_FRACTION;
			return (c | 0x20) == 'e' ? IN_E : -1;
		case IN_E:
			if (c == '+' || c == '-')
				return IN_E_SIGN;
			return IS_DIGIT(c) ? IN_EXPONENT : -1;
		default:				/* IN_E_SIGN, IN_EXPONENT */
			return IS_DIGIT(c) ? IN_EXPONENT : -1;
	}
}

/* A byte in or behind a number; *again when it was behind and is still new. */
static bool
scan_number(VeltJsonScanner *scanner, char c, bool *again, VeltError *error)
{
	int			next = number_step(scanner->state, c);

	*again = false;
	if (next >= 0)
	{
		scanner->state = next;
		return true;
	}
	if (!number_complete(scanner->state))
		return invalid(scanner, error);
	end_value(scanner, scanner->offset);
	*again = true;
	return true;
}

static bool
scan_literal(VeltJsonScanner *scanner, char c, VeltError *error)
{
	if (c != *scanner->literal)
		return invalid(scanner, error);
	scanner->literal++;
	if (*scanner->literal == '\0')
		end_value(scanner, scanner->offset + 1);
	return true;
}

void
velt_json_begin(VeltJsonScanner *scanner,
				const VeltJsonPointer *const *pointers, VeltJsonSpan *spans,
				int npointers, size_t offset, bool one_value)
{
	VeltJsonFrame *frame = &scanner->frames[0];

	scanner->pointers = pointers;
	scanner->spans = spans;
	scanner->npointers = npointers;
	scanner->one_value = one_value;
	scanner->done = false;
	scanner->state = EXPECT_VALUE;
	scanner->depth = 0;
	scanner->offset = offset;

	/* the empty pointer ends, and all others begin, at the whole value */
	frame->is_array = false;
	frame->inside = 0;
	frame->current = npointers == VELT_JSON_MAX_POINTERS ?
		~(VeltJsonSet) 0 : ((VeltJsonSet) 1 << npointers) - 1;
	for (int i = 0; i < npointers; i++)
		spans[i].kind = VELT_JSON_MISSING;
}

bool
velt_json_scan(VeltJsonScanner *scanner, const char *text, size_t length,
			   VeltError *error)
{
	while (scanner->offset < length && !(scanner->done && scanner->one_value))
	{
		int			state = scanner->state;
		bool		again = false;
		bool		ok;

		if (state <= EXPECT_NOTHING)
			ok = scan_structure(scanner, text[scanner->offset], error);
		else if (state <= IN_UTF8)
		{
			if (state == IN_STRING)
			{
				skip_plain(scanner, text, length);
				if (scanner->offset == length)
					break;
			}
			ok = scan_string_special(scanner, text, error);
		}
		else if (state <= IN_EXPONENT)
			ok = scan_number(scanner, text[scanner->offset], &again, error);
		else
			ok = scan_literal(scanner, text[scanner->offset], error);
		if (!ok)
			return false;
		if (!again)
			scanner->offset++;
	}
	return true;
}

bool
velt_json_finish(VeltJsonScanner *scanner, VeltError *error)
{
	if (!scanner->done && scanner->depth == 0 &&
		number_complete(scanner->state))
		end_value(scanner, scanner->offset);
	if (scanner->done)
		return true;
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The response ends in the middle of its JSON, after %zu bytes.",
						  scanner->offset);
}

/* ----------
 * Strings
 * ----------
 */

/* The four hex digits at text, which have been found valid. */
static unsigned int
code_unit(const char *text)
{
	unsigned int unit = 0;

	for (int i = 0; i < 4; i++)
		unit = unit * 16 + (IS_DIGIT(text[i]) ? text[i] - '0' :
							(text[i] | 0x20) - 'a' + 10);
	return unit;
}

/*
 * Whether each escaped surrogate has its other half.  json-c would put a
 * replacement character where one has not.
 */
static bool
surrogates_paired(const char *text, const char *end)
{
	bool		after_high = false;

	while (text < end)
	{
		unsigned int unit = 0;

		if (text[0] == '\\' && text[1] == 'u')
		{
			unit = code_unit(text + 2);
			text += 6;
		}
		else
			text += text[0] == '\\' ? 2 : 1;
		if (after_high != (unit >= 0xDC00 && unit <= 0xDFFF))
			return false;
		after_high = unit >= 0xD800 && unit <= 0xDBFF;
	}
	return !after_high;
}

bool
velt_json_decode_string(const char *text, VeltJsonSpan span,
						VeltBuffer *buffer, size_t *length, VeltError *error)
{
	struct json_tokener *tokener;
	struct json_object *string;
	bool		ok = false;

	text += span.start;
	*length = span.end - span.start - 2;
	if (!span.escaped)
		return velt_buffer_append(buffer, text + 1, *length) ||
			velt_error_out_of_memory(error);
	if (!surrogates_paired(text + 1, text + 1 + *length))
		return velt_error_set(error, VELT_ERROR_UNTRANSLATABLE,
							  "A Unicode surrogate in the response lacks its other half.");

	tokener = json_tokener_new();
	if (tokener == NULL)
		return velt_error_out_of_memory(error);
	/* its lengths are int, the response's limit is 512 MB */
	string = json_tokener_parse_ex(tokener, text, (int) (*length + 2));
	if (string != NULL)
	{
		*length = json_object_get_string_len(string);
		ok = velt_buffer_append(buffer, json_object_get_string(string),
								*length);
		json_object_put(string);
	}
	json_tokener_free(tokener);
	return ok || velt_error_out_of_memory(error);
}

const char *
velt_json_library(void)
{
	return json_c_version();
}
