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

/* Whether each escaped surrogate has its other half. */
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

/* The code point of the escape at *from, which is stepped over. */
static unsigned int
take_escape(const char **from)
{
	static const char names[] = "bfnrt";
	static const char meanings[] = "\b\f\n\r\t";
	const char *at = *from + 1;
	const char *name = strchr(names, *at);
	unsigned int code;

	*from += 2;
	if (name != NULL)
		return (unsigned char) meanings[name - names];
	if (*at != 'u')
		return (unsigned char) *at; /* a quote, a slash or a backslash */
	code = code_unit(at + 1);
	*from += 4;
	if (code < 0xD800 || code > 0xDFFF)
		return code;
	/* the first half of a pair; the second follows */
	code = 0x10000 + ((code - 0xD800) << 10) + (code_unit(at + 7) - 0xDC00);
	*from += 6;
	return code;
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
	if (!surrogates_paired(from, end))
		return velt_error_set(error, VELT_ERROR_UNTRANSLATABLE,
							  "A Unicode surrogate in the response lacks its other half.");

	/* no escape is shorter than what it stands for */
	if (!velt_buffer_reserve(buffer, *length))
		return velt_error_out_of_memory(error);
	to = buffer->data + buffer->length;
	while (from < end)
	{
		if (*from == '\\')
			to = put_code_point(to, take_escape(&from));
		else
			*to++ = *from++;
	}
	*length = to - (buffer->data + buffer->length);
	buffer->length += *length;
	return true;
}

const char *
velt_json_library(void)
{
	return json_c_version();
}
