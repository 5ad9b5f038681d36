/*
 * test/fuzz/pointer_fuzz.c
 *		client/json_pointer, and what a scan finds by it.
 *
 * Input: a pointer, 0xFF, a document.
 */
#include "client/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/resource.h"
#include "fuzz.h"

/* The pointer that its tokens spell is the one they came from. */
static void
check_spelling(const VeltJsonTree *tree, const char *text)
{
	must(tree->ends[0] == tree->nnodes - 1);
	for (int i = 1; i < tree->nnodes; i++)
	{
		const VeltJsonNode *node = &tree->nodes[i];

		must(tree->nodes[i - 1].first_child == i &&
			 tree->nodes[i - 1].nchildren == 1);
		must(*text++ == '/');
		for (size_t j = 0; j < node->length; j++)
		{
			char		c = node->name[j];

			if (c == '~' || c == '/')
			{
				must(*text++ == '~');
				c = c == '~' ? '0' : '1';
			}
			must(*text++ == c);
		}
	}
	must(*text == '\0');
}

/* Scans up to "step" bytes at a time; whether it is one document. */
static bool
scan(const VeltJsonTree *tree, VeltString document, size_t step,
	 VeltJsonSpan *spans)
{
	VeltJsonScanner scanner;
	VeltError	error;

	velt_json_begin(&scanner, tree, spans, 0, VELT_JSON_TEXT);
	for (size_t at = 0; at < document.length;)
	{
		at = document.length - at > step ? at + step : document.length;
		if (!velt_json_scan(&scanner, document.bytes, at, &error))
			return false;
	}
	return velt_json_finish(&scanner, &error);
}

static void
check_scan(const VeltJsonTree *tree, VeltString document)
{
	VeltJsonSpan spans[VELT_JSON_MAX_DEPTH];
	VeltJsonSpan others[VELT_JSON_MAX_DEPTH];
	VeltJsonSpan span;
	VeltJsonTree *whole;
	VeltJsonScanner scanner;
	VeltError	error;
	bool		scanned = scan(tree, document, SIZE_MAX, spans);

	must(scan(tree, document, 1, others) == scanned);
	for (int i = 0; scanned && i < tree->nnodes; i++)
	{
		must(spans[i].kind == others[i].kind);
		must(spans[i].kind == VELT_JSON_MISSING ||
			 (spans[i].start == others[i].start &&
			  spans[i].end == others[i].end));
	}
	if (!scanned || spans[tree->ends[0]].kind == VELT_JSON_MISSING)
		return;
	span = spans[tree->ends[0]];
	must(span.start < span.end && span.end <= document.length);

	/* what was found is a value by itself */
	whole = velt_json_tree_create(NULL, 0, &error);
	velt_json_begin(&scanner, whole, others, span.start, VELT_JSON_VALUE);
	must(velt_json_scan(&scanner, document.bytes, document.length, &error) &&
		 velt_json_finish(&scanner, &error) && scanner.offset == span.end);
	free(whole);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	char	   *text = input_text(&input);
	VeltString	document = {(const char *) input.at, input.left};
	VeltError	error;
	VeltJsonTree *tree = velt_json_tree_create((const char *const *) &text, 1,
											   &error);

	if (tree == NULL)
		must(error.kind == VELT_ERROR_INVALID_VALUE);
	else
	{
		check_spelling(tree, text);
		check_scan(tree, document);
		for (int i = 0; velt_resources[i] != NULL; i++)
			(void) velt_resource_pointer_is_secret(velt_resources[i], text);
		must(velt_resource_pointer_is_secret(velt_resources[0], ""));
	}
	free(tree);
	free(text);
	return 0;
}
