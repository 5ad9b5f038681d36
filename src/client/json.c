/*
 * client/json.c
 *		A strict one-pass RFC 8259 scanner over bytes as they arrive.
 *
 * Pointers are parsed in json_pointer.c, strings decoded in json_string.c.
 */
#include "client/json.h"

#include <string.h>

#include "client/plain.h"
#include "client/utf8.h"

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

/* The pointers that name the value at hand, and lead no further. */
static VeltJsonSet
ending(const VeltJsonScanner *scanner)
{
	VeltJsonSet current = scanner->frames[scanner->depth].current;

	/* none is current where none reaches */
	return current ? current & scanner->ends[scanner->depth] : 0;
}

/*
 * Of the pointers that lead into the object at hand, those whose next token
 * is the member name just read.
 */
static VeltJsonSet
matching_name(const VeltJsonScanner *scanner, const char *name, size_t length)
{
	VeltJsonSet left = scanner->frames[scanner->depth].inside;
	VeltJsonSet found = 0;

	for (; left != 0; left &= left - 1)
	{
		int			i = __builtin_ctzll(left);
		const VeltJsonToken *token =
		&scanner->pointers[i]->tokens[scanner->depth - 1];

		if (token->length == length && memcmp(token->name, name, length) == 0)
			found |= (VeltJsonSet) 1 << i;
	}
	return found;
}

/* The same for an array, and the element that begins. */
static VeltJsonSet
matching_element(const VeltJsonScanner *scanner)
{
	const VeltJsonFrame *frame = &scanner->frames[scanner->depth];
	VeltJsonSet each = frame->inside & scanner->each[scanner->depth];
	VeltJsonSet left = frame->inside & ~each;
	VeltJsonSet found = each;

	for (; left != 0; left &= left - 1)
	{
		int			i = __builtin_ctzll(left);

		if (scanner->pointers[i]->tokens[scanner->depth - 1].index ==
			frame->index)
			found |= (VeltJsonSet) 1 << i;
	}
	return found;
}

/* Whether all of the pointers name values of rows. */
static bool
is_of_rows(const VeltJsonScanner *scanner, VeltJsonSet pointers)
{
	int			first = scanner->row_pointer;

	return first >= 0 && (pointers >> first) << first == pointers;
}

/* The pointers match the member whose name begins at "start". */
static bool
note_member(VeltJsonScanner *scanner, VeltJsonSet matches, size_t start,
			VeltError *error)
{
	VeltJsonFrame *frame = &scanner->frames[scanner->depth];

	frame->current = matches;
	if ((matches & frame->seen) == 0)
		frame->seen |= matches;
	else if (is_of_rows(scanner, matches & frame->seen))
		scanner->row_doubtful = true;
	else
		return velt_error_set(error, VELT_ERROR_PROTOCOL,
							  "The response has a member twice, at byte %zu.",
							  start + 1);
	return true;
}

/* The same for an escaped name, which is decoded first. */
static bool
match_escaped(VeltJsonScanner *scanner, const char *text, VeltJsonSpan span,
			  VeltError *error)
{
	VeltJsonSet matches = 0;
	VeltBuffer	name = {0};
	VeltError	failure;
	size_t		length;
	bool		ok = velt_json_decode_string(text, span, &name, &length,
											 &failure);

	if (ok)
		matches = matching_name(scanner, length ? name.data : "", length);
	velt_buffer_free(&name);
	/* a name that is no text is no name that anybody looks for */
	if (!ok && failure.kind != VELT_ERROR_UNTRANSLATABLE)
	{
		*error = failure;
		return false;
	}
	return note_member(scanner, matches, span.start, error);
}

/* The member's name has ended. */
static bool
match_member(VeltJsonScanner *scanner, const char *text, VeltError *error)
{
	VeltJsonFrame *frame = &scanner->frames[scanner->depth];
	VeltJsonSpan span = {VELT_JSON_STRING, scanner->escaped,
	scanner->token_start, scanner->offset + 1};

	frame->current = 0;
	if (frame->inside == 0)
		return true;
	if (span.escaped)
		return match_escaped(scanner, text, span, error);
	return note_member(scanner,
					   matching_name(scanner, text + span.start + 1,
									 span.end - span.start - 2),
					   span.start, error);
}

/* Notes where the value at hand begins, for the pointers that end at it. */
static void
begin_value(VeltJsonScanner *scanner, VeltJsonKind kind)
{
	VeltJsonFrame *frame = &scanner->frames[scanner->depth];

	if (frame->is_array)
	{
		frame->index++;
		if (frame->inside != 0)
			frame->current = matching_element(scanner);
	}
	scanner->token_start = scanner->offset;
	scanner->escaped = false;
	scanner->is_name = false;
	for (VeltJsonSet left = ending(scanner); left != 0; left &= left - 1)
	{
		VeltJsonSpan *span = &scanner->spans[__builtin_ctzll(left)];

		span->kind = kind;
		span->start = scanner->offset;
	}
}

/* The value at hand ends before the byte at "end". */
static void
end_value(VeltJsonScanner *scanner, size_t end)
{
	for (VeltJsonSet left = ending(scanner); left != 0; left &= left - 1)
	{
		int			i = __builtin_ctzll(left);

		scanner->spans[i].end = end;
		scanner->spans[i].escaped = scanner->escaped;
		if (i == scanner->row_pointer)
			scanner->stopped = true;
	}
	if (scanner->depth > 0)
		scanner->state = EXPECT_COMMA_OR_CLOSE;
	else
	{
		scanner->state = EXPECT_NOTHING;
		scanner->done = true;
		scanner->stopped |= scanner->one_value;
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

	if (scanner->depth == VELT_JSON_MAX_DEPTH)
		return velt_error_set(error, VELT_ERROR_NESTING,
							  "The response nests more than %d levels deep.",
							  VELT_JSON_MAX_DEPTH);
	begin_value(scanner, is_array ? VELT_JSON_ARRAY : VELT_JSON_OBJECT);
	inner->is_array = is_array;
	inner->index = -1;
	inner->inside = outer->current & ~ending(scanner);
	inner->current = 0;
	inner->seen = 0;
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

static bool
begin_utf8(VeltJsonScanner *scanner, unsigned char c, VeltError *error)
{
	int			left = velt_utf8_continuation(c, &scanner->utf8_low,
											  &scanner->utf8_high);

	if (left < 0)
		return invalid(scanner, error);
	scanner->utf8_left = left;
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

/* What begin_value and end_value come to for a plain string in an object. */
static void
note_string(VeltJsonScanner *scanner, size_t start, size_t end)
{
	VeltJsonSpan string = {VELT_JSON_STRING, false, start, end};

	for (VeltJsonSet left = ending(scanner); left != 0; left &= left - 1)
		scanner->spans[__builtin_ctzll(left)] = string;
}

/* The member to come, if it has the name that it had in the row before. */
static const VeltJsonMember *
expected_member(const VeltJsonScanner *scanner, const char *text,
				size_t length)
{
	const VeltJsonMember *member = scanner->expected + scanner->member;

	if (scanner->depth != scanner->row_depth ||
		scanner->member == scanner->nexpected ||
		length - scanner->offset < member->length ||
		memcmp(text + scanner->offset, text + member->start,
			   member->length) != 0)
		return NULL;
	return member;
}

/* Of a plain name that begins here and a colon, the end; 0 if it is none. */
static size_t
plain_name_end(const VeltJsonScanner *scanner, const char *text, size_t length)
{
	size_t		end = velt_plain_string_end(text, scanner->offset, length);

	return end != 0 && end < length && text[end] == ':' ? end + 1 : 0;
}

/* Matches a plain name, up to its colon, and expects it in the next row. */
static VeltJsonSet
match_plain(VeltJsonScanner *scanner, const char *text, size_t length)
{
	VeltJsonMember member = {scanner->offset, length,
	matching_name(scanner, text + scanner->offset + 1, length - 3)};

	if (scanner->depth == scanner->row_depth &&
		scanner->member < VELT_JSON_MAX_EXPECTED)
	{
		scanner->expected[scanner->member] = member;
		if (scanner->nexpected == scanner->member)
			scanner->nexpected++;
	}
	return member.matches;
}

/*
 * Where a member is expected, most often one comes whose name and value are
 * plain strings with nothing but a colon between them.  Scans that in one go,
 * with the comma behind it; *taken is false, and nothing has changed, if it
 * is anything else.
 */
static bool
scan_plain_member(VeltJsonScanner *scanner, const char *text, size_t length,
				  bool *taken, VeltError *error)
{
	const VeltJsonMember *known = expected_member(scanner, text, length);
	size_t		value = known ? scanner->offset + known->length :
	plain_name_end(scanner, text, length);
	size_t		end = 0;

	if (value != 0)
		end = velt_plain_string_end(text, value, length);
	*taken = end != 0;
	if (!*taken)
		return true;

	scanner->escaped = false;
	if (scanner->frames[scanner->depth].inside != 0)
	{
		VeltJsonSet matches = known ? known->matches :
		match_plain(scanner, text, value - scanner->offset);

		if (!note_member(scanner, matches, scanner->offset, error))
			return false;
		note_string(scanner, value, end);
		if (scanner->member < scanner->nexpected)
			scanner->member++;
	}
	if (end < length && text[end] == ',')
	{
		scanner->offset = end + 1;
		scanner->state = EXPECT_NAME;
	}
	else
	{
		scanner->offset = end;
		scanner->state = EXPECT_COMMA_OR_CLOSE;
	}
	return true;
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

/* Makes the sets that tell which pointers matter at which depth. */
static void
sort_pointers(VeltJsonScanner *scanner)
{
	scanner->most_tokens = -1;
	for (int i = 0; i < scanner->npointers; i++)
	{
		const VeltJsonPointer *pointer = scanner->pointers[i];
		VeltJsonSet self = (VeltJsonSet) 1 << i;
		int			deepest = pointer->ntokens;

		/* a joined one can name what no response may have: it never ends */
		if (deepest > VELT_JSON_MAX_DEPTH)
			deepest = VELT_JSON_MAX_DEPTH;
		while (scanner->most_tokens < deepest)
		{
			scanner->most_tokens++;
			scanner->ends[scanner->most_tokens] = 0;
			scanner->each[scanner->most_tokens] = 0;
		}
		if (deepest == pointer->ntokens)
			scanner->ends[deepest] |= self;
		for (int depth = 1; depth <= deepest; depth++)
		{
			if (pointer->tokens[depth - 1].each)
				scanner->each[depth] |= self;
		}
	}
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
	scanner->stopped = false;
	scanner->row_pointer = -1;
	scanner->row_depth = -1;
	scanner->member = scanner->nexpected = 0;
	scanner->row_doubtful = false;
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
	sort_pointers(scanner);
}

void
velt_json_stop_at_rows(VeltJsonScanner *scanner, int pointer)
{
	scanner->row_pointer = pointer;
	scanner->row_depth = scanner->pointers[pointer]->ntokens + 1;
}

void
velt_json_forget_row(VeltJsonScanner *scanner)
{
	for (int i = scanner->row_pointer; i < scanner->npointers; i++)
		scanner->spans[i].kind = VELT_JSON_MISSING;
	scanner->member = 0;
}

bool
velt_json_scan(VeltJsonScanner *scanner, const char *text, size_t length,
			   VeltError *error)
{
	scanner->stopped = scanner->done && scanner->one_value;
	while (scanner->offset < length && !scanner->stopped)
	{
		int			state = scanner->state;
		bool		again = false;
		bool		ok;

		if ((state == EXPECT_NAME || state == EXPECT_NAME_OR_CLOSE) &&
			!scan_plain_member(scanner, text, length, &again, error))
			return false;
		if (again)
			continue;
		if (state <= EXPECT_NOTHING)
			ok = scan_structure(scanner, text[scanner->offset], error);
		else if (state <= IN_UTF8)
		{
			if (state == IN_STRING)
			{
				scanner->offset = velt_plain_end(text, scanner->offset, length);
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
