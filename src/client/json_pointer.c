/*
 * client/json_pointer.c
 *		JSON pointers, RFC 6901.
 */
#include "client/json.h"

#include <stdlib.h>
#include <string.h>

#define IS_DIGIT(c)		((c) >= '0' && (c) <= '9')

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
	token->each = false;
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

VeltJsonPointer *
velt_json_pointer_join(const VeltJsonPointer *outer, bool each,
					   const VeltJsonPointer *inner, VeltError *error)
{
	static const VeltJsonToken each_token = {.name = "",.length = SIZE_MAX,
	.index = -1,.each = true};
	int			ntokens = outer->ntokens + (each ? 1 : 0) + inner->ntokens;
	VeltJsonPointer *joined = malloc(offsetof(VeltJsonPointer, tokens) +
									 ntokens * sizeof(VeltJsonToken));
	VeltJsonToken *next;

	if (joined == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	joined->ntokens = ntokens;
	next = joined->tokens;
	for (int i = 0; i < outer->ntokens; i++)
		*next++ = outer->tokens[i];
	if (each)
		*next++ = each_token;
	for (int i = 0; i < inner->ntokens; i++)
		*next++ = inner->tokens[i];
	return joined;
}
