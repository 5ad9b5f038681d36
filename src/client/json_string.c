/*
 * client/json_string.c
 *		The characters that a JSON string stands for.
 *
 * On a string that has been found valid.  json-c is no help in reading, as it
 * forgets where values stood, keeps one of duplicate members, bends large
 * numbers, and (0.16) makes U+FFFD of escaped characters such as U+2D800, whose
 * last 16 bits look like half of a surrogate pair.
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

/* Writes a code point as UTF-8; returns where the next one goes. */
static char *
put_code_point(char *to, unsigned int code)
{
	int			left = (code < 0x80 ? 0 : code < 0x800 ? 1 :
						code < 0x10000 ? 2 : 3);
	static const unsigned char leads[] = {0, 0xC0, 0xE0, 0xF0};

	*to++ = (char) (leads[left] | code >> 6 * left);
	while (left-- > 0)
		*to++ = (char) (0x80 | (code >> 6 * left & 0x3F));
	return to;
}

/*
 * Steps over the escape at *from and sets its code point; false for half of a
 * surrogate pair.
 */
static bool
take_escape(const char **from, const char *end, unsigned int *code)
{
	static const char names[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";
	const char *at = *from + 1;
	unsigned int low;

	*from += 2;
	if (*at != 'u')
	{
		const char *name = strchr(names, *at);

		/* the others are a quote, a slash and a backslash */
		*code = (unsigned char) (name != NULL ? meanings[name - names] : *at);
		return true;
	}
	*code = code_unit(at + 1);
	*from += 4;
	if (*code < 0xD800 || *code > 0xDFFF)
		return true;
	if (*code > 0xDBFF || end - *from < 6 ||
		(*from)[0] != '\\' || (*from)[1] != 'u')
		return false;
	low = code_unit(*from + 2);
	*code = 0x10000 + ((*code - 0xD800) << 10) + (low - 0xDC00);
	*from += 6;
	return low >= 0xDC00 && low <= 0xDFFF;
}

bool
velt_json_decode_some(const char **from, const char *end, size_t most,
					  char **to, VeltError *error)
{
	const char *at = *from;
	const char *stop = (size_t) (end - at) > most ? at + most : end;
	unsigned int code;
	char	   *out = *to;

	while (at < stop)
	{
		const char *next = memchr(at, '\\', stop - at);

		if (next == NULL)
			next = stop;
		memcpy(out, at, next - at);
		out += next - at;
		for (at = next; at < stop && *at == '\\';)
		{
			if (!take_escape(&at, end, &code))
				return velt_error_set(error, VELT_ERROR_UNTRANSLATABLE,
									  "A Unicode surrogate in the response lacks its other half.");
			out = put_code_point(out, code);
		}
	}
	*from = at;
	*to = out;
	return true;
}

bool
velt_json_decode_string(const char *text, VeltJsonSpan span,
						VeltBuffer *buffer, size_t *length, VeltError *error)
{
	const char *from = text + span.start + 1;
	const char *end = text + span.end - 1;
	char	   *to;

	*length = end - from;
	if (!span.escaped)
		return velt_buffer_append(buffer, from, *length) ||
			velt_error_out_of_memory(error);
	/* no escape is shorter than what it stands for */
	if (!velt_buffer_reserve(buffer, *length))
		return velt_error_out_of_memory(error);
	to = buffer->data + buffer->length;
	if (!velt_json_decode_some(&from, end, *length, &to, error))
		return false;
	*length = to - (buffer->data + buffer->length);
	buffer->length += *length;
	return true;
}

const char *
velt_json_library(void)
{
	return json_c_version();
}
