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

static bool
invalid(const VeltJsonScanner *scanner, VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The response is not valid JSON, from byte %zu on.",
						  scanner->offset + 1);
}

/* ----------
 * The node of the current value
 * ----------
 */

/* Returns the node's child of this name, or NULL. */
static inline const VeltJsonNode *
find_child(const VeltJsonTree *tree, const VeltJsonNode *node,
		   const char *name, size_t length)
{
	const VeltJsonNode *low = tree->nodes + node->first_child;
	int			left = node->nchildren;

	while (left > 0)
	{
		const VeltJsonNode *middle = low + left / 2;
		int			order = velt_json_compare_names(middle->name,
													middle->length, name,
													length);

		if (order == 0)
			return middle;
		if (order < 0)
		{
			low = middle + 1;
			left--;
		}
		left /= 2;
	}
	return NULL;
}

/* Takes the member's name, which begins at "start". */
static inline bool
match_name(VeltJsonScanner *scanner, const char *name, size_t length,
		   size_t start, VeltError *error)
{
	const VeltJsonTree *tree = scanner->tree;
	const VeltJsonFrame *frame = &scanner->frames[scanner->depth];
	const VeltJsonNode *node = find_child(tree, frame->node, name, length);

	scanner->node = node;
	/* a node's container is met at most once before the spans are reset */
	if (node == NULL ||
		scanner->spans[node - tree->nodes].kind == VELT_JSON_MISSING)
		return true;
	return velt_error_set(error, VELT_ERROR_PROTOCOL,
						  "The response has a member twice, at byte %zu.",
						  start + 1);
}

/* The same for an escaped name, which is decoded first. */
static bool
match_escaped(VeltJsonScanner *scanner, const char *text, VeltJsonSpan span,
			  VeltError *error)
{
	VeltBuffer	name = {0};
	VeltError	failure;
	size_t		length;
	bool		ok;

	/* the longest escape of a byte has six; others need not be decoded */
	if (span.end - span.start - 2 > 6 * scanner->tree->longest_name)
		return true;
	ok = velt_json_decode_string(text, span, &name, &length, &failure);
	if (ok)
		ok = match_name(scanner, length ? name.data : "", length, span.start,
						error);
	/* no pointer has a name that is not text */
	else if (failure.kind == VELT_ERROR_UNTRANSLATABLE)
		ok = true;
	else
		*error = failure;
	velt_buffer_free(&name);
	return ok;
}

/* The member's name has ended. */
static bool
match_member(VeltJsonScanner *scanner, const char *text, VeltError *error)
{
	VeltJsonSpan span = {.escaped = scanner->escaped,
	.start = scanner->token_start,.end = scanner->offset + 1};

	scanner->node = NULL;
	if (scanner->frames[scanner->depth].node == NULL)
		return true;
	if (span.escaped)
		return match_escaped(scanner, text, span, error);
	return match_name(scanner, text + span.start + 1,
					  span.end - span.start - 2, span.start, error);
}

/*
 * Returns the node's child for an element, as if its index were its name.  Not
 * inlined, as few arrays have such a child and all pass by here.
 */
__attribute__((noinline))
static const VeltJsonNode *
find_element(const VeltJsonTree *tree, const VeltJsonNode *node,
			 int64_t index)
{
	char		digits[20];
	char	   *end = digits + sizeof(digits);
	char	   *first = end;

	do
		*--first = (char) ('0' + index % 10);
	while ((index /= 10) > 0);
	return find_child(tree, node, first, end - first);
}

/* Takes the element that begins. */
static inline void
match_element(VeltJsonScanner *scanner, VeltJsonFrame *frame)
{
	frame->index++;
	if (scanner->scope == VELT_JSON_ELEMENTS && scanner->depth == 1)
		scanner->node = scanner->tree->nodes;
	else if (frame->node == NULL || frame->node->nchildren == 0)
		scanner->node = NULL;
	else
		scanner->node = find_element(scanner->tree, frame->node,
									 frame->index);
}

/* Returns the span of the current value, or NULL. */
static VeltJsonSpan *
current_span(const VeltJsonScanner *scanner)
{
	return scanner->node == NULL ? NULL :
		&scanner->spans[scanner->node - scanner->tree->nodes];
}

/* Notes where the current value begins, if it is a node's. */
static inline void
begin_value(VeltJsonScanner *scanner, VeltJsonKind kind)
{
	VeltJsonFrame *frame = &scanner->frames[scanner->depth];
	VeltJsonSpan *span;

	if (frame->is_array)
		match_element(scanner, frame);
	scanner->token_start = scanner->offset;
	scanner->escaped = false;
	scanner->is_name = false;
	span = current_span(scanner);
	if (span != NULL)
	{
		span->kind = kind;
		span->start = scanner->offset;
	}
}

/* The current value ends before the byte at "end". */
static void
end_value(VeltJsonScanner *scanner, size_t end)
{
	VeltJsonSpan *span = current_span(scanner);

	if (span != NULL)
	{
		span->end = end;
		span->escaped = scanner->escaped;
	}
	if (scanner->depth > 0)
	{
		scanner->state = EXPECT_COMMA_OR_CLOSE;
		scanner->stopped = scanner->depth == 1 &&
			scanner->scope == VELT_JSON_ELEMENTS;
	}
	else
	{
		scanner->state = EXPECT_NOTHING;
		scanner->done = true;
		scanner->stopped = scanner->scope != VELT_JSON_TEXT;
	}
}

/* ----------
 * The scan
 * ----------
 */

static bool
open_container(VeltJsonScanner *scanner, bool is_array, VeltError *error)
{
	VeltJsonFrame *frame;

	if (scanner->depth == VELT_JSON_MAX_DEPTH)
		return velt_error_set(error, VELT_ERROR_NESTING,
							  "The response nests more than %d levels deep.",
							  VELT_JSON_MAX_DEPTH);
	begin_value(scanner, is_array ? VELT_JSON_ARRAY : VELT_JSON_OBJECT);
	frame = &scanner->frames[++scanner->depth];
	frame->is_array = is_array;
	frame->index = -1;
	frame->node = scanner->node;
	scanner->state = is_array ? EXPECT_VALUE_OR_CLOSE : EXPECT_NAME_OR_CLOSE;
	return true;
}

static void
close_container(VeltJsonScanner *scanner)
{
	const VeltJsonFrame *frame = &scanner->frames[scanner->depth--];
	VeltJsonSpan *span;

	scanner->node = frame->node;
	scanner->escaped = false;
	span = current_span(scanner);
	if (span != NULL)
		span->nelements = frame->index + 1;
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
static inline bool
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

/*
 * Scans members that are two plain strings with nothing but a colon between
 * them, as most are, and the commas behind them.  *taken is
 * false, and nothing has changed, if the next member is anything else.
 */
static bool
scan_plain_members(VeltJsonScanner *scanner, const char *text, size_t length,
				   bool *taken, VeltError *error)
{
	const VeltJsonNode *container = scanner->frames[scanner->depth].node;
	size_t		start = scanner->offset;
	size_t		colon;

	while ((colon = velt_plain_string_end(text, start, length)) != 0 &&
		   colon < length && text[colon] == ':')
	{
		size_t		end = velt_plain_string_end(text, colon + 1, length);

		if (end == 0)
			break;
		if (container != NULL &&
			!match_name(scanner, text + start + 1, colon - start - 2, start,
						error))
			return false;
		if (container != NULL && scanner->node != NULL)
			*current_span(scanner) = (VeltJsonSpan)
		{
			VELT_JSON_STRING, false, false, colon + 1, end
		};
		start = end;
		scanner->state = EXPECT_COMMA_OR_CLOSE;
		if (end == length || text[end] != ',')
			break;
		start++;
		scanner->state = EXPECT_NAME;
	}
	*taken = start != scanner->offset;
	scanner->offset = start;
	/* the object often ends here */
	if (*taken && start < length && text[start] == '}' &&
		scanner->state == EXPECT_COMMA_OR_CLOSE)
	{
		close_container(scanner);
		scanner->offset++;
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

static void
forget_spans(VeltJsonScanner *scanner)
{
	for (int i = 0; i < scanner->tree->nnodes; i++)
		scanner->spans[i].kind = VELT_JSON_MISSING;
}

void
velt_json_begin(VeltJsonScanner *scanner, const VeltJsonTree *tree,
				VeltJsonSpan *spans, size_t offset, VeltJsonScope scope)
{
	scanner->tree = tree;
	scanner->spans = spans;
	scanner->scope = scope;
	scanner->done = false;
	scanner->stopped = false;
	scanner->state = EXPECT_VALUE;
	scanner->depth = 0;
	scanner->offset = offset;
	scanner->node = scope == VELT_JSON_ELEMENTS ? NULL : tree->nodes;
	scanner->frames[0].is_array = false;
	forget_spans(scanner);
}

bool
velt_json_scan(VeltJsonScanner *scanner, const char *text, size_t length,
			   VeltError *error)
{
	if (scanner->stopped)
	{
		forget_spans(scanner);
		scanner->stopped = scanner->done;
	}
	while (scanner->offset < length && !scanner->stopped)
	{
		int			state = scanner->state;
		bool		again = false;
		bool		ok;

		if ((state == EXPECT_NAME || state == EXPECT_NAME_OR_CLOSE) &&
			!scan_plain_members(scanner, text, length, &again, error))
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
