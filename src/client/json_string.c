/*
 * client/json_string.c
 *		The characters that a JSON string stands for.
 *
 * json-c is used for this alone, on a string that has been found valid.  It
 * is no help in finding values, as it forgets where they stood, keeps one of
 * duplicate members and bends large numbers.
 */
#include "client/json.h"

#include <json-c/json.h>
#include <string.h>

#define IS_DIGIT(c)		((c) >= '0' && (c) <= '9')

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
