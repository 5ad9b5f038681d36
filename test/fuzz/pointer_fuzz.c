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
check_spelling(const VeltJsonPointer *pointer, const char *text)
{
	for (int i = 0; i < pointer->ntokens; i++)
	{
		const VeltJsonToken *token = &pointer->tokens[i];

		must(*text++ == '/');
		for (size_t j = 0; j < token->length; j++)
		{
			char		c = token->name[j];

			if (c == '~' || c == '/')
			{
				must(*text++ == '~');
				c = c == '~' ? '0' : '1';
			}
			must(*text++ == c);
		}
		if (token->index >= 0)
		{
			char		digits[32];

			snprintf(digits, sizeof(digits), "%lld", (long long) token->index);
			must(strlen(digits) == token->length &&
				 memcmp(digits, token->name, token->length) == 0);
		}
	}
	must(*text == '\0');
}

static void
scan(const VeltJsonPointer *pointer, VeltString document)
{
	VeltJsonScanner scanner;
	VeltJsonSpan span;
	VeltError	error;

	velt_json_begin(&scanner, &pointer, &span, 1, 0, false);
	if (!velt_json_scan(&scanner, document.bytes, document.length, &error) ||
		!velt_json_finish(&scanner, &error) || span.kind == VELT_JSON_MISSING)
		return;
	must(span.start < span.end && span.end <= document.length);

	/* what was found is a value by itself */
	velt_json_begin(&scanner, NULL, NULL, 0, span.start, true);
	must(velt_json_scan(&scanner, document.bytes, document.length, &error) &&
		 velt_json_finish(&scanner, &error) && scanner.offset == span.end);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	char	   *text = input_text(&input);
	VeltString	document = {(const char *) input.at, input.left};
	VeltError	error;
	VeltJsonPointer *pointer = velt_json_pointer_parse(text, &error);

	if (pointer == NULL)
		must(error.kind == VELT_ERROR_INVALID_VALUE);
	else
	{
		check_spelling(pointer, text);
		scan(pointer, document);
		for (int i = 0; velt_resources[i] != NULL; i++)
			(void) velt_resource_pointer_is_secret(velt_resources[i], text);
		must(velt_resource_pointer_is_secret(velt_resources[0], ""));
	}
	free(pointer);
	free(text);
	return 0;
}
