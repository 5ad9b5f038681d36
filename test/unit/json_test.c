/*
 * test/unit/json_test.c
 *		client/json: what is JSON, where values stand, what strings say.
 *
 * Every text is fed whole, byte by byte and split in two at every position,
 * each time from memory of exactly the size that has arrived: the outcome
 * must be the same.
 */
#include "client/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "unit.h"

#define MAX_POINTERS	2000

/* ----------
 * Feeding
 * ----------
 */

typedef struct Outcome
{
	bool		accepted;
	VeltError	error;
	VeltJsonSpan spans[MAX_POINTERS];	/* by pointer */
} Outcome;

typedef struct Question
{
	const char *text;
	size_t		length;
	char	   *pointers[MAX_POINTERS];
	int			npointers;
} Question;

static VeltJsonTree *
make_tree(const Question *q)
{
	VeltError	error;
	const char *const *pointers = (const char *const *) q->pointers;
	VeltJsonTree *tree = velt_json_tree_create(pointers, q->npointers,
											   &error);

	if (tree == NULL)
		ok(false, "pointers: %s", error.detail);
	return tree;
}

/* Scans what has arrived, moved to memory of its own. */
static bool
scan_prefix(VeltJsonScanner *scanner, const Question *q, size_t length,
			VeltError *error)
{
	char	   *copy = malloc(length ? length : 1);
	bool		scanned;

	memcpy(copy, q->text, length);
	scanned = velt_json_scan(scanner, copy, length, error);
	free(copy);
	return scanned;
}

/* Scans bytes as they arrive up to "first", then "step" at a time. */
static bool
scan_steps(VeltJsonScanner *scanner, const Question *q, size_t first,
		   size_t step, VeltError *error)
{
	for (size_t at = first;; at += step)
	{
		if (at > q->length)
			at = q->length;
		if (!scan_prefix(scanner, q, at, error))
			return false;
		if (at == q->length)
			return velt_json_finish(scanner, error);
	}
}

/* The outcome if bytes arrive up to "first", then "step" at a time. */
static void
feed(const Question *q, size_t first, size_t step, Outcome *outcome)
{
	VeltJsonScanner scanner;
	VeltJsonTree *tree = make_tree(q);
	VeltJsonSpan *spans = malloc(tree->nnodes * sizeof(VeltJsonSpan));

	memset(&scanner, 0xA5, sizeof(scanner));
	memset(outcome, 0, sizeof(*outcome));
	memset(spans, 0xA5, tree->nnodes * sizeof(VeltJsonSpan));
	velt_json_begin(&scanner, tree, spans, 0, VELT_JSON_TEXT);
	outcome->accepted = scan_steps(&scanner, q, first, step, &outcome->error);
	for (int i = 0; i < q->npointers; i++)
		outcome->spans[i] = spans[tree->ends[i]];
	free(spans);
	free(tree);
}

static bool
same_outcome(const Outcome *a, const Outcome *b, int npointers)
{
	if (a->accepted != b->accepted || a->error.kind != b->error.kind ||
		strcmp(a->error.detail, b->error.detail) != 0)
		return false;
	for (int i = 0; a->accepted && i < npointers; i++)
	{
		if (a->spans[i].kind != b->spans[i].kind)
			return false;
		if (a->spans[i].kind != VELT_JSON_MISSING &&
			(a->spans[i].start != b->spans[i].start ||
			 a->spans[i].end != b->spans[i].end ||
			 a->spans[i].escaped != b->spans[i].escaped))
			return false;
	}
	return true;
}

/* The outcome of the whole text; whether all other ways agree with it. */
static bool
ask(const Question *q, Outcome *whole)
{
	Outcome		other;
	size_t		step = q->length < 2000 ? 1 : q->length / 50;

	feed(q, q->length, 1, whole);
	feed(q, 0, 1, &other);
	if (!same_outcome(whole, &other, q->npointers))
	{
		diag("byte by byte: %s", other.error.detail);
		return false;
	}
	for (size_t split = 0; split < q->length; split += step)
	{
		feed(q, split, q->length, &other);
		if (same_outcome(whole, &other, q->npointers))
			continue;
		diag("split at %zu: %s", split, other.error.detail);
		return false;
	}
	return true;
}

static void
add_pointer(Question *q, const char *text)
{
	q->pointers[q->npointers++] = strdup(text);
}

static void
free_pointers(Question *q)
{
	while (q->npointers > 0)
		free(q->pointers[--q->npointers]);
}

/* ----------
 * What is JSON
 * ----------
 */

typedef struct TextCase
{
	const char *text;
	size_t		length;
} TextCase;

static const TextCase accepted[] = {
	/* literals and numbers, alone and in space */
	{BYTES("true")}, {BYTES("false")}, {BYTES("null")}, {BYTES(" \t\r\n1 \t\r\n")},
	{BYTES("0")}, {BYTES("-0")}, {BYTES("1")}, {BYTES("-1")}, {BYTES("10")},
	{BYTES("0.0")}, {BYTES("-0.0")}, {BYTES("1.5")}, {BYTES("0.000001")},
	{BYTES("0e0")}, {BYTES("0E0")}, {BYTES("1e5")}, {BYTES("1E5")},
	{BYTES("1e+5")}, {BYTES("1e-5")}, {BYTES("1E+05")}, {BYTES("0e+1")},
	{BYTES("1.5e300")}, {BYTES("-1.5E-300")}, {BYTES("1e99999")},
	{BYTES("123456789012345678901234567890")},
	{BYTES("-0.000000000000000000000000000000000000000000000000000000001")},
	{BYTES("[0]")}, {BYTES("[-0]")}, {BYTES("[1,0.1e1]")}, {BYTES("{\"a\":0}")},
	{BYTES("[0 ]")}, {BYTES("[1\n]")}, {BYTES("[1e1,-1.0]")},

	/* containers */
	{BYTES("{}")}, {BYTES("[]")}, {BYTES("[[]]")}, {BYTES("[{}]")},
	{BYTES("{\"\":0}")}, {BYTES("{\"a\":{}}")}, {BYTES("[1,[2,[3]],{}]")},
	{BYTES("[null,true,false,\"\",1]")}, {BYTES("[ ]")}, {BYTES("{ }")},
	{BYTES(" [ 1 , 2 ] ")}, {BYTES("\n{\t\"a\"\r:\n1 ,\"b\": [ ] }\n")},
	{BYTES("{\"a\":1,\"a\":2}")}, {BYTES("{\"a\":1,\"\\u0061\":2}")},
	{BYTES("[[],[[]],{\"a\":[{}]}]")},

	/* strings */
	{BYTES("\"\"")}, {BYTES("\"a\"")}, {BYTES("\" \"")}, {BYTES("\"'\"")},
	{BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"")}, {BYTES("\"\\u0000\"")},
	{BYTES("\"\\u00e9\\u20AC\\uABCD\\uabcd\"")}, {BYTES("\"\\ud83d\\ude00\"")},
	{BYTES("\"\\uD83D\\uDE00\"")}, {BYTES("\"\\ud800\"")},
	{BYTES("\"\\udc00\\ud800\"")}, {BYTES("\"\\uffff\\ufffe\"")},
	{BYTES("\"\x7f\"")}, {BYTES("\"/\"")}, {BYTES("\"[{,:}]\"")},
	{BYTES("[\"\\\\\"]")}, {BYTES("[\"\\\\\\\"\"]")}, {BYTES("\"\\\\u0061\"")},
	{BYTES("\"//\\/**\\/\"")},

	/* UTF-8: the first and the last of every row of RFC 3629's table */
	{BYTES("\"\xc2\x80\xdf\xbf\"")}, {BYTES("\"\xe0\xa0\x80\xe0\xbf\xbf\"")},
	{BYTES("\"\xe1\x80\x80\xec\xbf\xbf\"")},
	{BYTES("\"\xed\x80\x80\xed\x9f\xbf\"")},
	{BYTES("\"\xee\x80\x80\xef\xbf\xbf\"")},
	{BYTES("\"\xf0\x90\x80\x80\xf0\xbf\xbf\xbf\"")},
	{BYTES("\"\xf1\x80\x80\x80\xf3\xbf\xbf\xbf\"")},
	{BYTES("\"\xf4\x80\x80\x80\xf4\x8f\xbf\xbf\"")},
	{BYTES("{\"\xc3\xa9\":\"\xe2\x82\xac\"}")}, {BYTES("\"\xef\xbb\xbf\"")},
};

static const TextCase refused[] = {
	/* nothing, or too much */
	{BYTES("")}, {BYTES(" ")}, {BYTES("\n\t\r ")}, {BYTES("1 2")},
	{BYTES("{}{}")}, {BYTES("[] 1")}, {BYTES("[]]")}, {BYTES("{}}")},
	{BYTES("null,")}, {BYTES("\"a\"b")}, {BYTES("\"a\"\"b\"")}, {BYTES("1\0")},
	{BYTES("\0")}, {BYTES("[]\0")}, {BYTES("true false")}, {BYTES("{}x")},
	{BYTES("1 ,")}, {BYTES("]")}, {BYTES("}")}, {BYTES(",")}, {BYTES(":")},
	{BYTES("[]#")}, {BYTES("[];")},

	/* what some take for white space, comments, a BOM */
	{BYTES("\xef\xbb\xbf{}")}, {BYTES("\xef\xbb\xbf")}, {BYTES("\xfe\xff\0{\0}")},
	{BYTES("[\f]")}, {BYTES("[\v]")}, {BYTES("[1\xc2\xa0]")}, {BYTES("[\b]")},
	{BYTES("[1,\xe2\x81\xa0 2]")}, {BYTES("[]//")}, {BYTES("[/**/]")},
	{BYTES("#\n[]")}, {BYTES("[\0]")},

	/* numbers */
	{BYTES("-")}, {BYTES("+1")}, {BYTES("+")}, {BYTES("--1")}, {BYTES("-+1")},
	{BYTES("1.")}, {BYTES(".5")}, {BYTES("-.5")}, {BYTES(".")}, {BYTES("-.")},
	{BYTES("01")}, {BYTES("-01")}, {BYTES("00")}, {BYTES("-00")},
	{BYTES("1e")}, {BYTES("1E")}, {BYTES("1e+")}, {BYTES("1e-")},
	{BYTES("1ee5")}, {BYTES("1e5e")}, {BYTES("1e+-5")}, {BYTES("1e5.5")},
	{BYTES("0e")}, {BYTES("0e+")}, {BYTES("1.e5")}, {BYTES("1.5.5")},
	{BYTES("1..5")}, {BYTES("0x10")}, {BYTES("1a")}, {BYTES("1_000")},
	{BYTES("1,000")}, {BYTES("1 000")}, {BYTES("- 1")}, {BYTES("1e 5")},
	{BYTES("NaN")}, {BYTES("-NaN")}, {BYTES("nan")}, {BYTES("Infinity")},
	{BYTES("-Infinity")}, {BYTES("inf")}, {BYTES("-inf")}, {BYTES("1-1")},
	{BYTES("[1.]")}, {BYTES("[01]")}, {BYTES("[-]")}, {BYTES("[1e]")},
	{BYTES("[.5]")}, {BYTES("[+1]")}, {BYTES("[1e+]")}, {BYTES("[-a]")},
	{BYTES("{\"a\":1.}")}, {BYTES("[0x1]")}, {BYTES("[1d]")}, {BYTES("[1+2]")},
	{BYTES("1e\0")}, {BYTES("\xef\xbc\x91")},

	/* literals */
	{BYTES("tru")}, {BYTES("t")}, {BYTES("truee")}, {BYTES("True")},
	{BYTES("TRUE")}, {BYTES("fals")}, {BYTES("falsy")}, {BYTES("nul")},
	{BYTES("nulll")}, {BYTES("nil")}, {BYTES("undefined")}, {BYTES("[tru]")},
	{BYTES("[nul,1]")}, {BYTES("tr ue")}, {BYTES("[true1]")}, {BYTES("a")},
	{BYTES("yes")}, {BYTES("tru\0")},

	/* containers */
	{BYTES("[")}, {BYTES("{")}, {BYTES("[1")}, {BYTES("[1,")}, {BYTES("[1,]")},
	{BYTES("[,]")}, {BYTES("[,1]")}, {BYTES("[1,,2]")}, {BYTES("[1 2]")},
	{BYTES("[1;2]")}, {BYTES("[1:2]")}, {BYTES("[1}")}, {BYTES("{]")},
	{BYTES("[}")}, {BYTES("{\"a\"}")}, {BYTES("{\"a\":}")}, {BYTES("{\"a\"1}")},
	{BYTES("{\"a\":1,}")}, {BYTES("{\"a\":\"b\",}")},
	{BYTES("{,\"a\":1}")}, {BYTES("{\"a\":1,,\"b\":2}")},
	{BYTES("{\"a\":1 \"b\":2}")}, {BYTES("{\"a\":1]")}, {BYTES("{a:1}")},
	{BYTES("{1:1}")}, {BYTES("{null:1}")}, {BYTES("{[]:1}")}, {BYTES("{\"a\"")},
	{BYTES("{\"a\":")}, {BYTES("{\"a\":1")}, {BYTES("{\"a\"::1}")},
	{BYTES("{\"a\":1:2}")}, {BYTES("{\"a\",1}")}, {BYTES("{\"a\":1,\"b\"}")},
	{BYTES("{:1}")}, {BYTES("{}[]")}, {BYTES("[\"a\":1]")}, {BYTES("{\"a\" b:1}")},
	{BYTES("{'a':1}")}, {BYTES("['a']")}, {BYTES("(1)")}, {BYTES("<html>")},

	/* strings */
	{BYTES("\"")}, {BYTES("\"a")}, {BYTES("\"\\\"")}, {BYTES("\"\\")},
	{BYTES("'a'")}, {BYTES("`a`")}, {BYTES("a\"")}, {BYTES("\"\n\"")},
	{BYTES("\"\t\"")}, {BYTES("\"\r\"")}, {BYTES("\"\0\"")}, {BYTES("\"\x01\"")},
	{BYTES("\"\x1f\"")}, {BYTES("{\"\n\":1}")}, {BYTES("\"\\a\"")},
	{BYTES("\"\\'\"")}, {BYTES("\"\\0\"")}, {BYTES("\"\\v\"")},
	{BYTES("\"\\x41\"")}, {BYTES("\"\\U0041\"")}, {BYTES("\"\\ \"")},
	{BYTES("\"\\\n\"")}, {BYTES("\"\\\0\"")}, {BYTES("\"\\N\"")},
	{BYTES("\"\\\xc3\xa9\"")}, {BYTES("\"\\u\"")}, {BYTES("\"\\u0\"")},
	{BYTES("\"\\u00\"")}, {BYTES("\"\\u004\"")}, {BYTES("\"\\u004g\"")},
	{BYTES("\"\\u-041\"")}, {BYTES("\"\\u+041\"")}, {BYTES("\"\\u 041\"")},
	{BYTES("\"\\u{41}\"")}, {BYTES("\"\\u00@1\"")}, {BYTES("\"\\u00`1\"")},
	{BYTES("\"\\u00:1\"")}, {BYTES("\"\\u00/1\"")}, {BYTES("\"\\uD83D\\u\"")},
	{BYTES("\"\\u00\0" "1\"")}, {BYTES("\"\\u00\xc3\xa9\"")},

	/* UTF-8 that is none */
	{BYTES("\"\x80\"")}, {BYTES("\"\xbf\"")}, {BYTES("\"\xc0\x80\"")},
	{BYTES("\"\xc0\xaf\"")}, {BYTES("\"\xc1\xbf\"")}, {BYTES("\"\xc2\"")},
	{BYTES("\"\xc2\x7f\"")}, {BYTES("\"\xc2\xc0\"")}, {BYTES("\"\xc3\x28\"")},
	{BYTES("\"\xdf\"")}, {BYTES("\"\xe0\x80\xaf\"")}, {BYTES("\"\xe0\x9f\xbf\"")},
	{BYTES("\"\xe0\xa0\"")}, {BYTES("\"\xe2\x82\"")}, {BYTES("\"\xe2\"")},
	{BYTES("\"\xe2\x28\xa1\"")}, {BYTES("\"\xe2\x82\x28\"")},
	{BYTES("\"\xed\xa0\x80\"")}, {BYTES("\"\xed\xaf\xbf\"")},
	{BYTES("\"\xed\xb0\x80\"")}, {BYTES("\"\xed\xbf\xbf\"")},
	{BYTES("\"\xed\xa0\xbd\xed\xb8\x80\"")}, {BYTES("\"\xf0\x80\x80\xaf\"")},
	{BYTES("\"\xf0\x8f\xbf\xbf\"")}, {BYTES("\"\xf0\x9f\x98\"")},
	{BYTES("\"\xf0\x9f\"")}, {BYTES("\"\xf0\"")}, {BYTES("\"\xf0\x9f\x98\x28\"")},
	{BYTES("\"\xf4\x90\x80\x80\"")}, {BYTES("\"\xf4\xbf\xbf\xbf\"")},
	{BYTES("\"\xf5\x80\x80\x80\"")}, {BYTES("\"\xf7\xbf\xbf\xbf\"")},
	{BYTES("\"\xf8\x88\x80\x80\x80\"")}, {BYTES("\"\xfc\x84\x80\x80\x80\x80\"")},
	{BYTES("\"\xfe\"")}, {BYTES("\"\xff\"")}, {BYTES("\"\xc3\xa9\xa9\"")},
	{BYTES("{\"\xff\":1}")}, {BYTES("\xff")}, {BYTES("[\xc3\xa9]")},
	{BYTES("\"\xc3")}, {BYTES("\"\xf0\x9f\x98\x80")}, {BYTES("\"\xe4\"")},
};

static void
test_accepted(void)
{
	for (size_t i = 0; i < LENGTH_OF(accepted); i++)
	{
		Question	q = {accepted[i].text, accepted[i].length, {NULL}, 0};
		Outcome		outcome;
		bool		agreed = ask(&q, &outcome);

		ok(agreed && outcome.accepted, "accepted: %s", q.text);
		if (!outcome.accepted)
			diag("%s", outcome.error.detail);
	}
}

static void
test_refused(void)
{
	for (size_t i = 0; i < LENGTH_OF(refused); i++)
	{
		Question	q = {refused[i].text, refused[i].length, {NULL}, 0};
		Outcome		outcome;
		bool		agreed = ask(&q, &outcome);

		ok(agreed && !outcome.accepted &&
		   outcome.error.kind == VELT_ERROR_PROTOCOL, "refused: %s",
		   q.length ? q.text : "nothing");
	}
}

#define WHOLE \
	"{\"a\\u00e9\":[true,false,null,-1.5e+3,\"\xf0\x9f\x98\x80\\\"\"],\"b\":{}}"

/* What begins a text that is whole only at its last byte is none. */
static void
test_prefixes(void)
{
	static const char text[] = WHOLE;
	int			naccepted = 0;

	for (size_t length = 0; length < sizeof(text) - 1; length++)
	{
		Question	q = {text, length, {NULL}, 0};
		Outcome		outcome;

		feed(&q, length, 1, &outcome);
		naccepted += outcome.accepted ||
			outcome.error.kind != VELT_ERROR_PROTOCOL;
	}
	is_int(naccepted, 0, "no strict prefix of an object is accepted");
}

/* Every byte there is, where a value, a string or the end is expected. */
static void
test_all_bytes(void)
{
	int			nvalues = 0;
	int			nstrings = 0;
	int			nafter = 0;

	for (int c = 0; c < 256; c++)
	{
		char		value[] = {c};
		char		string[] = {'"', c, '"'};
		char		after[] = {'[', ']', c};
		Question	q[] = {{value, 1, {NULL}, 0}, {string, 3, {NULL}, 0},
		{after, 3, {NULL}, 0}};
		Outcome		outcome;

		feed(&q[0], 1, 1, &outcome);
		nvalues += outcome.accepted;
		feed(&q[1], 3, 1, &outcome);
		nstrings += outcome.accepted;
		feed(&q[2], 3, 1, &outcome);
		nafter += outcome.accepted;
	}
	is_int(nvalues, 10, "of all bytes ten are a value");
	is_int(nstrings, 0x80 - 0x20 - 2, "... 94 stand for themselves in a string");
	is_int(nafter, 4, "... and four may follow a value");
}

/* Every byte at every place of a member's name and of its value. */
static void
test_all_bytes_in_members(void)
{
	static const char member[] = "{\"a name that is long\":\"and a value\"}";
	int			same = 0;
	int			naccepted = 0;
	int			nplaces = 0;

	for (size_t at = 2; at < sizeof(member) - 3; at++)
	{
		if (member[at] == '"' || member[at] == ':')
			continue;
		nplaces++;
		for (int c = 0; c < 256; c++)
		{
			char		text[sizeof(member)];
			Question	q = {text, sizeof(member) - 1, {NULL}, 0};
			Outcome		outcome;

			memcpy(text, member, sizeof(member));
			text[at] = c;
			same += ask(&q, &outcome);
			naccepted += outcome.accepted;
		}
	}
	is_int(nplaces, 30, "a member of 30 characters");
	is_int(same, nplaces * 256, "... in pieces is what it is as a whole");
	/* before n, r or t a backslash is right, too */
	is_int(naccepted, nplaces * 94 + 5,
		   "... and takes 94 bytes in each place, and five escapes");
}

/* Where it says the fault is. */
static void
test_offsets(void)
{
	static const struct
	{
		const char *text;
		const char *detail;
	}			cases[] = {
		{"x", "The response is not valid JSON, from byte 1 on."},
		{"[1,]", "The response is not valid JSON, from byte 4 on."},
		{"[01]", "The response is not valid JSON, from byte 3 on."},
		{"\"a\nb\"", "The response is not valid JSON, from byte 3 on."},
		{"", "The response ends in the middle of its JSON, after 0 bytes."},
		{"[1", "The response ends in the middle of its JSON, after 2 bytes."},
		{"-", "The response ends in the middle of its JSON, after 1 bytes."},
	};

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		Question	q = {cases[i].text, strlen(cases[i].text), {NULL}, 0};
		Outcome		outcome;

		(void) ask(&q, &outcome);
		is_str(outcome.error.detail, cases[i].detail, "fault of %s",
			   cases[i].text);
	}
}

/* ----------
 * Nesting
 * ----------
 */

static void
test_nesting_of(const char *open, const char *core, const char *close,
				int depth, bool accepted_)
{
	char		text[3000] = "";
	Question	q = {text, 0, {NULL}, 0};
	Outcome		outcome;
	bool		agreed;

	for (int i = 0; i < depth; i++)
		strcat(text, open);
	strcat(text, core);
	for (int i = 0; i < depth; i++)
		strcat(text, close);
	q.length = strlen(text);
	add_pointer(&q, "");
	agreed = ask(&q, &outcome);
	ok(agreed && outcome.accepted == accepted_ &&
	   (accepted_ || outcome.error.kind == VELT_ERROR_NESTING),
	   "%d times %s%s%s %s", depth, open, core, close,
	   accepted_ ? "are accepted" : "nest too deep");
	if (accepted_)
		is_int(outcome.spans[0].end, q.length, "... and end where they end");
	free_pointers(&q);
}

static void
test_nesting(void)
{
	static const char *const forms[][3] = {
		{"[", "", "]"},
		{"[", "1", "]"},
		{"{\"a\":", "null", "}"},
		{"[[],", "{}", "]"},
	};

	for (size_t i = 0; i < LENGTH_OF(forms); i++)
	{
		const char *core = forms[i][1];
		int			limit = VELT_JSON_MAX_DEPTH - (*core == '{');

		test_nesting_of(forms[i][0], core, forms[i][2], limit, true);
		test_nesting_of(forms[i][0], core, forms[i][2], limit + 1, false);
	}
	test_nesting_of("[", "", "", 1000, false);
}

/* ----------
 * Pointers
 * ----------
 */

typedef struct SpanCase
{
	const char *text;
	const char *pointer;
	VeltJsonKind kind;
	const char *value;			/* its bytes */
} SpanCase;

/* The document of RFC 6901, section 5. */
#define RFC6901 "{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2," \
	"\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}"

static const SpanCase span_cases[] = {
	{RFC6901, "", VELT_JSON_OBJECT, RFC6901},
	{RFC6901, "/foo", VELT_JSON_ARRAY, "[\"bar\",\"baz\"]"},
	{RFC6901, "/foo/0", VELT_JSON_STRING, "\"bar\""},
	{RFC6901, "/", VELT_JSON_NUMBER, "0"},
	{RFC6901, "/a~1b", VELT_JSON_NUMBER, "1"},
	{RFC6901, "/c%d", VELT_JSON_NUMBER, "2"},
	{RFC6901, "/e^f", VELT_JSON_NUMBER, "3"},
	{RFC6901, "/g|h", VELT_JSON_NUMBER, "4"},
	{RFC6901, "/i\\j", VELT_JSON_NUMBER, "5"},
	{RFC6901, "/k\"l", VELT_JSON_NUMBER, "6"},
	{RFC6901, "/ ", VELT_JSON_NUMBER, "7"},
	{RFC6901, "/m~0n", VELT_JSON_NUMBER, "8"},
	{RFC6901, "/foo/1", VELT_JSON_STRING, "\"baz\""},
	{RFC6901, "/foo/2", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/-", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/00", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/01", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/-1", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/+1", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/1 ", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/1e0", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/0/0", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/bar", VELT_JSON_MISSING, NULL},
	{RFC6901, "/fo", VELT_JSON_MISSING, NULL},
	{RFC6901, "/fooo", VELT_JSON_MISSING, NULL},
	{RFC6901, "/FOO", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/4294967296", VELT_JSON_MISSING, NULL},
	{RFC6901, "/foo/18446744073709551616", VELT_JSON_MISSING, NULL},

	/* ~01 is ~1, not / */
	{"{\"~1\":1,\"/\":2}", "/~01", VELT_JSON_NUMBER, "1"},
	{"{\"~1\":1,\"/\":2}", "/~1", VELT_JSON_NUMBER, "2"},
	{"{\"~\":1,\"//\":2}", "/~1~1", VELT_JSON_NUMBER, "2"},

	/* digits, - and the like are names in an object */
	{"{\"0\":\"zero\"}", "/0", VELT_JSON_STRING, "\"zero\""},
	{"{\"01\":\"x\"}", "/01", VELT_JSON_STRING, "\"x\""},
	{"{\"-\":true}", "/-", VELT_JSON_TRUE, "true"},
	{"{\"-\":[true]}", "/-/0", VELT_JSON_TRUE, "true"},
	{"{\"\":{\"\":null}}", "//", VELT_JSON_NULL, "null"},

	/* names with escapes are the names they spell */
	{"{\"\\u0061\\/b\":1}", "/a~1b", VELT_JSON_NUMBER, "1"},
	{"{\"\\ud83d\\ude00\":1}", "/\xf0\x9f\x98\x80", VELT_JSON_NUMBER, "1"},
	{"{\"\xf0\x9f\x98\x80\":1}", "/\xf0\x9f\x98\x80", VELT_JSON_NUMBER, "1"},
	{"{\"\\u00E9\":1}", "/\xc3\xa9", VELT_JSON_NUMBER, "1"},
	{"{\"a\\u0000b\":1}", "/a", VELT_JSON_MISSING, NULL},
	{"{\"\\u0000\":1}", "/", VELT_JSON_MISSING, NULL},
	{"{\"\\\\u0061\":1}", "/\\u0061", VELT_JSON_NUMBER, "1"},
	{"{\"\\\\u0061\":1}", "/a", VELT_JSON_MISSING, NULL},
	/* half a pair is no name that a pointer could give, but it is JSON */
	{"{\"\\ud800\":0,\"a\":1}", "/a", VELT_JSON_NUMBER, "1"},

	/* every kind, with nothing but its own bytes */
	{" 1 ", "", VELT_JSON_NUMBER, "1"},
	{"-1.5e+3", "", VELT_JSON_NUMBER, "-1.5e+3"},
	{"\t\"a\\nb\" ", "", VELT_JSON_STRING, "\"a\\nb\""},
	{"[ -1.5e+3 , 2]", "/0", VELT_JSON_NUMBER, "-1.5e+3"},
	{"[1,23]", "/1", VELT_JSON_NUMBER, "23"},
	{"{\"a\":12}", "/a", VELT_JSON_NUMBER, "12"},
	{"{ \"a\" : true , \"b\":0}", "/a", VELT_JSON_TRUE, "true"},
	{"{\"a\":false}", "/a", VELT_JSON_FALSE, "false"},
	{"{\"a\":null}", "/a", VELT_JSON_NULL, "null"},
	{"{\"a\":\"\"}", "/a", VELT_JSON_STRING, "\"\""},
	{"{\"a\": [ 1 , {} ] }", "/a", VELT_JSON_ARRAY, "[ 1 , {} ]"},
	{"{\"a\": { } }", "/a", VELT_JSON_OBJECT, "{ }"},
	{"[[[],[0,[7]]]]", "/0/1/1/0", VELT_JSON_NUMBER, "7"},
	{"[0,1,2,3,4,5,6,7,8,9,10]", "/10", VELT_JSON_NUMBER, "10"},
	{"{\"x\":{\"a\":1},\"a\":2}", "/a", VELT_JSON_NUMBER, "2"},
	{"{\"a\":{\"a\":{\"a\":3}}}", "/a/a/a", VELT_JSON_NUMBER, "3"},
	{"{\"x\":[{\"a\":1}],\"y\":{\"a\":2}}", "/y/a", VELT_JSON_NUMBER, "2"},
	{"{\"a\":1}", "/a/b", VELT_JSON_MISSING, NULL},
	{"{\"a\":null}", "/a/b", VELT_JSON_MISSING, NULL},
	{"{\"a\":[]}", "/a/0", VELT_JSON_MISSING, NULL},
	{"[]", "/0", VELT_JSON_MISSING, NULL},
	{"{}", "/a", VELT_JSON_MISSING, NULL},
};

static void
test_span(const SpanCase *c)
{
	Question	q = {c->text, strlen(c->text), {NULL}, 0};
	Outcome		outcome;
	VeltJsonSpan span;
	bool		agreed;

	add_pointer(&q, c->pointer);
	agreed = ask(&q, &outcome);
	span = outcome.spans[0];
	if (!ok(agreed && outcome.accepted && span.kind == c->kind,
			"\"%s\" of %s", c->pointer, c->text))
		diag("kind %d, %s", span.kind, outcome.error.detail);
	else if (c->value != NULL)
	{
		is_bytes(c->text + span.start, span.end - span.start,
				 c->value, strlen(c->value), "... is %s", c->value);
		is_int(span.escaped, span.kind == VELT_JSON_STRING &&
			   strchr(c->value, '\\') != NULL, "... escaped or not");
	}
	free_pointers(&q);
}

typedef struct PointerCase
{
	const char *text;
	int			ntokens;		/* -1: refused */
} PointerCase;

static const PointerCase pointer_cases[] = {
	{"", 0}, {"/", 1}, {"//", 2}, {"/a", 1}, {"/a/", 2}, {"/a/b", 2},
	{"/~0~1", 1}, {"/~01", 1}, {"/0", 1}, {"/\xc3\xa9", 1},
	{"a", -1}, {"a/b", -1}, {"#/a", -1}, {" /a", -1}, {"~0", -1},
	{"/~", -1}, {"/~2", -1}, {"/a~", -1}, {"/~/a", -1}, {"/a/~x", -1},
	{"/~~0", -1},
};

static void
test_pointers(void)
{
	char		text[2 * VELT_JSON_MAX_DEPTH + 1] = "";
	const char *whole = text;
	VeltError	error;
	VeltJsonTree *tree;

	for (size_t i = 0; i < LENGTH_OF(pointer_cases); i++)
	{
		const PointerCase *c = &pointer_cases[i];

		memset(&error, 0, sizeof(error));
		tree = velt_json_tree_create(&c->text, 1, &error);
		is_int(tree ? tree->nnodes - 1 : -1, c->ntokens, "pointer \"%s\"",
			   c->text);
		if (tree == NULL)
			is_int(error.kind, VELT_ERROR_INVALID_VALUE, "... is no value");
		free(tree);
	}

	for (int i = 0; i < VELT_JSON_MAX_DEPTH - 1; i++)
		strcat(text, "/a");
	tree = velt_json_tree_create(&whole, 1, &error);
	ok(tree != NULL, "a pointer can have %d parts", VELT_JSON_MAX_DEPTH - 1);
	free(tree);
	strcat(text, "/a");
	tree = velt_json_tree_create(&whole, 1, &error);
	ok(tree == NULL, "... and no more");
	free(tree);
}

/* Pointers that are equal up to a token share its node. */
static void
test_shared_tokens(void)
{
	static const char *const pointers[] = {
		"/a/b/c", "", "/a", "/b/a", "/a/b", "/a~1b", "/ab", "/a", "/a/b/0",
	};
	VeltError	error;
	VeltJsonTree *tree = velt_json_tree_create(pointers,
											   LENGTH_OF(pointers), &error);

	is_int(tree->nnodes, 9, "nine pointers have eight different tokens");
	is_int(tree->ends[1], 0, "... the empty one ends at the root");
	is_int(tree->ends[2], tree->ends[7], "... equal ones at the same node");
	is_int(tree->longest_name, 3, "... and the longest name is found");
	free(tree);
	tree = velt_json_tree_create(NULL, 0, &error);
	is_int(tree->nnodes, 1, "a tree of no pointers has a root");
	free(tree);
}

/* A pointer as long as can be finds what is as deep as can be. */
static void
test_deep_pointer(void)
{
	char		text[1000] = "";
	char		pointer[400] = "";
	Question	q = {text, 0, {NULL}, 0};
	Outcome		outcome;
	bool		agreed;

	for (int i = 0; i < VELT_JSON_MAX_DEPTH - 1; i++)
	{
		strcat(text, i % 2 ? "[" : "{\"a\":");
		strcat(pointer, i % 2 ? "/0" : "/a");
	}
	strcat(text, "[7]");
	for (int i = VELT_JSON_MAX_DEPTH - 2; i >= 0; i--)
		strcat(text, i % 2 ? "]" : "}");
	q.length = strlen(text);
	add_pointer(&q, pointer);
	agreed = ask(&q, &outcome);
	ok(agreed && outcome.spans[0].kind == VELT_JSON_ARRAY &&
	   outcome.spans[0].end - outcome.spans[0].start == 3 &&
	   text[outcome.spans[0].start + 1] == '7',
	   "the deepest pointer finds the deepest value");
	free_pointers(&q);
}

/* ----------
 * Duplicates
 * ----------
 */

typedef struct DuplicateCase
{
	const char *text;
	const char *pointers[3];
	bool		accepted;
} DuplicateCase;

static const DuplicateCase duplicate_cases[] = {
	{"{\"a\":1,\"a\":2}", {"/a"}, false},
	{"{\"a\":1,\"b\":0,\"a\":1}", {"/a"}, false},
	{"{\"a\":1,\"a\":2}", {"/b"}, true},
	{"{\"a\":1,\"a\":2}", {""}, true},
	{"{\"a\":1,\"a\":2}", {NULL}, true},
	{"{\"a\":1,\"a\":2}", {"/b", "/a"}, false},
	{"{\"a\":1,\"\\u0061\":2}", {"/a"}, false},
	{"{\"\\u0061\":1,\"\\u0061\":2}", {"/a"}, false},
	{"{\"\\u0061\":1,\"a\":2}", {"/a"}, false},
	{"{\"/\":1,\"\\/\":2}", {"/~1"}, false},
	{"{\"\":1,\"\":2}", {"/"}, false},
	{"{\"a\":1,\"A\":2}", {"/a"}, true},
	{"{\"a\":{\"b\":1},\"a\":{\"c\":1}}", {"/a/b"}, false},
	{"{\"a\":{},\"a\":{}}", {"/a/b/c"}, false},
	{"{\"a\":null,\"a\":null}", {"/a"}, false},
	{"{\"a\":{\"b\":1,\"b\":2}}", {"/a/b"}, false},
	{"{\"a\":{\"b\":1,\"b\":2}}", {"/a"}, true},
	{"{\"a\":{\"b\":1,\"b\":2}}", {"/a/c"}, true},
	{"{\"a\":{\"b\":1,\"b\":2}}", {"/b"}, true},
	{"{\"x\":{\"b\":1,\"b\":2},\"b\":3}", {"/b"}, true},
	{"[{\"a\":1},{\"a\":2}]", {"/0/a", "/1/a"}, true},
	{"[{\"a\":1},{\"a\":2,\"a\":3}]", {"/0/a"}, true},
	{"[{\"a\":1},{\"a\":2,\"a\":3}]", {"/0/a", "/1/a"}, false},
	{"{\"a\":{\"a\":1}}", {"/a", "/a/a"}, true},
	{"{\"a\":[{\"a\":1}],\"b\":[{\"a\":2}]}", {"/a/0/a", "/b/0/a"}, true},
	{"{\"a\":\"x\",\"a\":\"y\"}", {"/a"}, false},
	{"{\"a\":\"x\",\"b\":\"y\",\"a\":1}", {"/a"}, false},
	{"{\"a\":\"x\",\"a\":\"y\"}", {"/b"}, true},
	{"{\"0\":1,\"0\":2}", {"/0"}, false},
	{"{\"-\":1,\"-\":2}", {"/-"}, false},
};

static void
test_duplicates(void)
{
	for (size_t i = 0; i < LENGTH_OF(duplicate_cases); i++)
	{
		const DuplicateCase *c = &duplicate_cases[i];
		Question	q = {c->text, strlen(c->text), {NULL}, 0};
		Outcome		outcome;
		bool		agreed;

		for (int j = 0; j < 3 && c->pointers[j] != NULL; j++)
			add_pointer(&q, c->pointers[j]);
		agreed = ask(&q, &outcome);
		ok(agreed && outcome.accepted == c->accepted &&
		   (c->accepted || outcome.error.kind == VELT_ERROR_PROTOCOL),
		   "%s, watched for %s, is %s", c->text,
		   c->pointers[0] ? c->pointers[0] : "nothing",
		   c->accepted ? "accepted" : "refused");
		free_pointers(&q);
	}
}

/* ----------
 * Many pointers
 * ----------
 */

static void
test_many_pointers(bool in_array)
{
	char	   *text = malloc(32 * MAX_POINTERS);
	char		pointer[20];
	size_t		length = 0;
	Question	q = {text, 0, {NULL}, 0};
	static Outcome outcome;
	int			nright = 0;
	bool		agreed;

	text[length++] = in_array ? '[' : '{';
	for (int i = 0; i < MAX_POINTERS; i++)
	{
		length += in_array ?
			sprintf(text + length, "%s%d", i ? "," : "", 1000 + i) :
			sprintf(text + length, "%s\"m%d\":%d", i ? "," : "", i, 1000 + i);
		sprintf(pointer, in_array ? "/%d" : "/m%d", MAX_POINTERS - 1 - i);
		add_pointer(&q, pointer);
	}
	text[length++] = in_array ? ']' : '}';
	q.length = length;
	agreed = ask(&q, &outcome);
	for (int i = 0; outcome.accepted && i < MAX_POINTERS; i++)
		nright += outcome.spans[i].kind == VELT_JSON_NUMBER &&
			atoi(text + outcome.spans[i].start) == 1000 + MAX_POINTERS - 1 - i;
	ok(agreed && outcome.accepted, "%d pointers into an %s", MAX_POINTERS,
	   in_array ? "array" : "object");
	is_int(nright, MAX_POINTERS, "... each find their own value");

	/* any of them twice */
	for (int i = 0; !in_array && i < MAX_POINTERS; i += 199)
	{
		q.length = length - 1 + sprintf(text + length - 1, ",\"\\u006d%d\":0}",
										i);
		feed(&q, q.length, 1, &outcome);
		ok(!outcome.accepted, "... and m%d twice is refused", i);
	}
	free_pointers(&q);
	free(text);
}

static void
test_equal_pointers(void)
{
	static const char text[] = "{\"a\":{\"b\":7}}";
	Question	q = {text, sizeof(text) - 1, {NULL}, 0};
	Outcome		outcome;
	int			nright = 0;

	for (int i = 0; i < 64; i++)
		add_pointer(&q, i % 2 ? "/a" : "/a/b");
	(void) ask(&q, &outcome);
	for (int i = 0; i < 64; i++)
		nright += outcome.spans[i].start == (i % 2 ? 5 : 10) &&
			outcome.spans[i].end == (i % 2 ? 12 : 11);
	is_int(nright, 64, "equal and nested pointers share their values");
	free_pointers(&q);
}

/* Names of many lengths, prefixes of each other, at several depths. */
static void
test_prefixed_names(void)
{
	static const char text[] =
	"{\"a\":{\"\":1,\"0\":2,\"aa\":{\"a\":3}},\"aa\":[4,{\"a\":5},6],"
	"\"aaa\":{\"0\":7},\"\":8,\"\\u0061\\u0061\\u0061a\":9,\"a/a\":10}";
	static const char *const pointers[] = {
		"/aaaa", "/aa/1/a", "/a/aa/a", "/a/0", "/a/", "/", "/aaa/0", "/aa/0",
		"/aa/2", "/a~1a", "/aa/00", "/aa/10", "/a/1", "/aaaaa", "/aa/1/a/a",
	};
	static const int numbers[] = {9, 5, 3, 2, 1, 8, 7, 4, 6, 10};
	Question	q = {text, sizeof(text) - 1, {NULL}, 0};
	Outcome		outcome;

	for (size_t i = 0; i < LENGTH_OF(pointers); i++)
		add_pointer(&q, pointers[i]);
	ok(ask(&q, &outcome) && outcome.accepted, "names that begin alike");
	for (size_t i = 0; i < LENGTH_OF(pointers); i++)
		is_int(outcome.spans[i].kind == VELT_JSON_MISSING ? 0 :
			   atoi(text + outcome.spans[i].start),
			   i < LENGTH_OF(numbers) ? numbers[i] : 0, "... value of %s",
			   pointers[i]);
	free_pointers(&q);
}

/* ----------
 * One value of something larger
 * ----------
 */

static void
test_one_value(void)
{
	static const struct
	{
		const char *text;
		size_t		start;
		size_t		end;
	}			cases[] = {
		{"[{\"a\":1},2]", 1, 8},
		{"[{\"a\":1}x", 1, 8},
		{"[[],[1,[2]]]", 4, 11},
		{"[\"a]\",1]", 1, 5},
		{"[12,3]", 1, 3},
		{"[12 ,3]", 1, 3},
		{"[true,1]", 1, 5},
		{"[ null]", 1, 6},
	};
	VeltError	error = {0};
	VeltJsonTree *tree = velt_json_tree_create(NULL, 0, &error);

	for (size_t i = 0; i < LENGTH_OF(cases); i++)
	{
		const char *text = cases[i].text;
		VeltJsonScanner scanner;
		VeltJsonSpan span;

		velt_json_begin(&scanner, tree, &span, cases[i].start,
						VELT_JSON_VALUE);
		ok(velt_json_scan(&scanner, text, strlen(text), &error) &&
		   velt_json_finish(&scanner, &error),
		   "one value of %s, from byte %zu", text, cases[i].start);
		is_int(span.end, cases[i].end, "... ends where it ends");
		is_int(scanner.offset, cases[i].end, "... as does the scan");
		ok(velt_json_scan(&scanner, text, strlen(text), &error) &&
		   scanner.stopped && span.kind == VELT_JSON_MISSING,
		   "... which finds nothing more");
	}
	free(tree);
}

typedef struct ElementsCase
{
	const char *text;
	size_t		start;
	const char *found;			/* each element, and its member a */
	bool		fails;			/* then */
} ElementsCase;

static const ElementsCase elements_cases[] = {
	{"[]", 0, "", false},
	{"[ \n ] x", 0, "", false},
	{"[1]", 0, "1 -;", false},
	{"[ 12 , 3,\"a\" ,null ]", 0, "12 -;3 -;\"a\" -;null -;", false},
	{"{\"r\":[{\"a\":1},2,{},[{\"a\":5}]],\"a\":6}", 5,
	"{\"a\":1} 1;2 -;{} -;[{\"a\":5}] -;", false},
	{"[[{\"a\":[]}],{\"a\":[[]],\"b\":0}]", 0,
	"[{\"a\":[]}] -;{\"a\":[[]],\"b\":0} [[]];", false},
	{"[{\"a\":\"x\"},{\"b\":\"y\"},{\"\\u0061\":\"z\"}]", 0,
	"{\"a\":\"x\"} \"x\";{\"b\":\"y\"} -;{\"\\u0061\":\"z\"} \"z\";", false},
	{"[{\"a\":3,\"b\":1},{\"a\":4,\"a\":5},{}]", 0,
	"{\"a\":3,\"b\":1} 3;", true},
};

static void
append_span(char *found, const char *text, VeltJsonSpan span, char end)
{
	if (span.kind == VELT_JSON_MISSING)
		sprintf(found + strlen(found), "-%c", end);
	else
		sprintf(found + strlen(found), "%.*s%c", (int) (span.end - span.start),
				text + span.start, end);
}

/* Steps through the elements, with "step" more bytes at a time. */
static void
test_elements(const ElementsCase *c, size_t step)
{
	const char *pointer = "/a";
	VeltError	error = {0};
	VeltJsonTree *tree = velt_json_tree_create(&pointer, 1, &error);
	VeltJsonSpan spans[2];
	VeltJsonScanner scanner;
	char		found[300] = "";
	size_t		length = c->start;
	bool		scanned;

	memset(&scanner, 0xA5, sizeof(scanner));
	velt_json_begin(&scanner, tree, spans, c->start, VELT_JSON_ELEMENTS);
	while ((scanned = velt_json_scan(&scanner, c->text, length, &error)) &&
		   !scanner.done)
	{
		if (scanner.stopped)
		{
			append_span(found, c->text, spans[0], ' ');
			append_span(found, c->text, spans[1], ';');
		}
		else if (length == strlen(c->text))
			break;
		else
			length = length + step < strlen(c->text) ? length + step :
				strlen(c->text);
	}
	is_str(found, c->found, "elements of %s, %zu bytes at a time", c->text,
		   step);
	is_int(scanned && scanner.done, !c->fails, "... to the end");
	ok(c->fails || (velt_json_scan(&scanner, c->text, length, &error) &&
					scanner.stopped && spans[0].kind == VELT_JSON_MISSING),
	   "... where nothing is left");
	free(tree);
}

/* ----------
 * What strings say
 * ----------
 */

typedef struct StringCase
{
	const char *json;
	const char *said;			/* NULL: cannot be said */
	size_t		length;
} StringCase;

static const StringCase string_cases[] = {
	{"\"\"", BYTES("")},
	{"\"abc\"", BYTES("abc")},
	{"\"\xc3\xa9\xf0\x9f\x98\x80\"", BYTES("\xc3\xa9\xf0\x9f\x98\x80")},
	{"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", BYTES("\"\\/\b\f\n\r\t")},
	{"\"\\u0000\"", BYTES("\0")},
	{"\"a\\u0000b\\u0000\"", BYTES("a\0b\0")},
	{"\"\\u0041\\u004a\\u004A\"", BYTES("AJJ")},
	{"\"\\u007f\\u0080\"", BYTES("\x7f\xc2\x80")},
	{"\"\\u07ff\\u0800\"", BYTES("\xdf\xbf\xe0\xa0\x80")},
	{"\"\\ud7ff\\ue000\\uffff\"", BYTES("\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf")},
	{"\"\\ud800\\udc00\"", BYTES("\xf0\x90\x80\x80")},
	{"\"\\udbff\\udfff\"", BYTES("\xf4\x8f\xbf\xbf")},
	{"\"\\uD83D\\uDE00!\"", BYTES("\xf0\x9f\x98\x80!")},
	{"\"\\ud83d\\ude00\\ud83d\\ude01\"", BYTES("\xf0\x9f\x98\x80\xf0\x9f\x98\x81")},
	{"\"\\u005cu0041\"", BYTES("\\u0041")},
	{"\"\\\\u0041\"", BYTES("\\u0041")},
	{"\"\\\\\\u0041\"", BYTES("\\A")},
	{"\"\\\\ud800\"", BYTES("\\ud800")},
	{"\"\xc3\xa9\\n\xf0\x9f\x98\x80\"", BYTES("\xc3\xa9\n\xf0\x9f\x98\x80")},
	{"\"\\ufffd\"", BYTES("\xef\xbf\xbd")},
	{"\"\\ud800\"", NULL, 0},
	{"\"\\udc00\"", NULL, 0},
	{"\"\\udbff\"", NULL, 0},
	{"\"\\udfff\"", NULL, 0},
	{"\"a\\ud800b\"", NULL, 0},
	{"\"\\ud800\\n\\udc00\"", NULL, 0},
	{"\"\\ud800\\ud800\\udc00\"", NULL, 0},
	{"\"\\ud800\\udc00\\udc00\"", NULL, 0},
	{"\"\\ud800\\u0041\"", NULL, 0},
	{"\"\\udc00\\ud800\"", NULL, 0},
	{"\"\\ud800\\\\udc00\"", NULL, 0},
	{"\"\\uD83D\xf0\x9f\x98\x80\"", NULL, 0},
};

/* Decodes so many bytes at a time, which must come to the same. */
static void
test_in_slices(const StringCase *c, size_t most)
{
	char	   *text = strdup(c->json);
	const char *from = text + 1;
	const char *end = text + strlen(text) - 1;
	char	   *said = malloc(strlen(text));
	char	   *to = said;
	VeltError	error = {0};
	bool		decoded = true;

	while (decoded && from < end)
	{
		const char *before = from;

		decoded = velt_json_decode_some(&from, end, most, &to, &error);
		/* an escape is not cut, nor is one with its other half */
		if (decoded && (from == before || from > before + most + 11))
			diag("a slice of %zu bytes took %zu", most,
				 (size_t) (from - before));
	}
	if (c->said == NULL)
		ok(!decoded, "%s says nothing in slices of %zu", c->json, most);
	else
		is_bytes(said, to - said, c->said, c->length,
				 "%s in slices of %zu", c->json, most);
	free(said);
	free(text);
}

static void
test_string(const StringCase *c)
{
	char	   *text = strdup(c->json);
	VeltJsonSpan span = {.escaped = strchr(text, '\\') != NULL,
	.end = strlen(text)};
	VeltBuffer	buffer = {0};
	VeltError	error = {0};
	size_t		length = 12345;
	bool		decoded;

	(void) velt_buffer_append(&buffer, BYTES("before "));
	decoded = velt_json_decode_string(text, span, &buffer, &length, &error);
	is_int(decoded, c->said != NULL, "whether %s says something", c->json);
	if (!decoded)
		is_int(error.kind, VELT_ERROR_UNTRANSLATABLE, "... is untranslatable");
	else if (c->said != NULL)
	{
		is_bytes(buffer.data + 7, length, c->said, c->length, "... what");
		is_int(buffer.length, 7 + length, "... behind what was there");
	}
	for (size_t most = 1; most < 14; most++)
		test_in_slices(c, most);
	velt_buffer_free(&buffer);
	free(text);
}

/* Longer than any table, with an escape at the very end. */
static void
test_long_string(void)
{
	size_t		size = 1000000;
	char	   *text = malloc(size);
	VeltJsonSpan span = {.escaped = true,.end = size};
	VeltBuffer	buffer = {0};
	VeltError	error;
	size_t		length;

	memset(text, 'x', size);
	text[0] = text[size - 1] = '"';
	memcpy(text + size - 3, "\\n", 2);
	ok(velt_json_decode_string(text, span, &buffer, &length, &error) &&
	   length == size - 3 && buffer.data[length - 1] == '\n',
	   "a string of a megabyte is decoded");
	velt_buffer_free(&buffer);
	free(text);
}

/*
 * A member whose name is no text is passed over; nor is there an error, which
 * a caller that reads in pieces would find later.
 */
static void
test_name_without_text(void)
{
	static const char text[] = "{\"\\ud800\":1,\"a\":2}";
	const char *pointer = "/a";
	VeltError	error = {0};
	VeltJsonTree *tree = velt_json_tree_create(&pointer, 1, &error);
	VeltJsonScanner scanner;
	VeltJsonSpan spans[2];

	velt_json_begin(&scanner, tree, spans, 0, VELT_JSON_TEXT);
	ok(velt_json_scan(&scanner, BYTES(text), &error) &&
	   velt_json_finish(&scanner, &error) &&
	   spans[tree->ends[0]].kind == VELT_JSON_NUMBER,
	   "a name with half of a surrogate pair is passed over");
	is_int(error.kind, VELT_ERROR_NONE, "... without an error");
	free(tree);
}

/* As an escape, or two. */
static void
spell_code_point(char *text, unsigned int code)
{
	if (code < 0x10000)
		sprintf(text, "\"\\u%04x\"", code);
	else
		sprintf(text, "\"\\u%04X\\u%04X\"", 0xD800 + ((code - 0x10000) >> 10),
				0xDC00 + (code & 0x3FF));
}

/* In UTF-8. */
static size_t
encode_code_point(char *text, unsigned int code)
{
	size_t		length = (code < 0x80 ? 1 : code < 0x800 ? 2 :
						  code < 0x10000 ? 3 : 4);

	text[0] = (char) (length == 1 ? code :
					  (0xF00 >> length & 0xFF) | code >> 6 * (length - 1));
	for (size_t i = 1; i < length; i++)
		text[i] = (char) (0x80 | (code >> 6 * (length - 1 - i) & 0x3F));
	return length;
}

/*
 * All there are, as some libraries fail for some: json-c 0.16 takes U+2D800
 * for half of a surrogate pair.
 */
static void
test_code_points(void)
{
	VeltBuffer	buffer = {0};
	VeltError	error;
	unsigned int nwrong = 0;
	unsigned int first = 0;

	for (unsigned int code = 0; code <= 0x10FFFF; code++)
	{
		char		text[20];
		char		said[4];
		VeltJsonSpan span = {.escaped = true};
		size_t		length;

		if (code == 0xD800)
			code = 0xE000;
		spell_code_point(text, code);
		velt_buffer_reset(&buffer, 1000000);
		span.end = strlen(text);
		if (velt_json_decode_string(text, span, &buffer, &length, &error) &&
			length == encode_code_point(said, code) &&
			memcmp(buffer.data, said, length) == 0)
			continue;
		if (nwrong++ == 0)
			first = code;
	}
	if (!is_int(nwrong, 0, "each code point is decoded"))
		diag("the first that is wrong is U+%04X", first);
	velt_buffer_free(&buffer);
}

void
test_json(void)
{
	test_accepted();
	test_refused();
	test_prefixes();
	test_all_bytes();
	test_all_bytes_in_members();
	test_offsets();
	test_nesting();
	for (size_t i = 0; i < LENGTH_OF(span_cases); i++)
		test_span(&span_cases[i]);
	test_pointers();
	test_shared_tokens();
	test_deep_pointer();
	test_duplicates();
	test_many_pointers(false);
	test_many_pointers(true);
	test_equal_pointers();
	test_prefixed_names();
	test_one_value();
	for (size_t i = 0; i < LENGTH_OF(string_cases); i++)
		test_string(&string_cases[i]);
	test_long_string();
	test_code_points();
	test_name_without_text();
	for (size_t i = 0; i < LENGTH_OF(elements_cases); i++)
	{
		for (size_t step = 1; step < 50; step = step * 2 + 1)
			test_elements(&elements_cases[i], step);
	}
	ok(strchr(velt_json_library(), '.') != NULL, "json-c has a version: %s",
	   velt_json_library());
}
