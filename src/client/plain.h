/*
 * client/plain.h
 *		JSON strings whose bytes stand for themselves, as nearly all do: ASCII
 *		without control characters, quotes and backslashes.
 */
#ifndef VELT_CLIENT_PLAIN_H
#define VELT_CLIENT_PLAIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A byte that stands for itself in a string and is a whole character. */
#define VELT_IS_PLAIN(c) \
	((c) >= 0x20 && (c) < 0x80 && (c) != '"' && (c) != '\\')

#define VELT_EACH_BYTE(c)	(UINT64_C(0x0101010101010101) * (c))

/*
 * How many of eight bytes stand for themselves before the first that does
 * not.  Borrows reach more significant bytes alone: of what the subtractions
 * mark, the least significant is right.
 */
static inline int
velt_count_plain(const char *bytes)
{
	uint64_t	eight;
	uint64_t	special;

	memcpy(&eight, bytes, sizeof(eight));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	eight = __builtin_bswap64(eight);
#endif
	special = eight | (eight - VELT_EACH_BYTE(0x20)) |
		((eight ^ VELT_EACH_BYTE('"')) - VELT_EACH_BYTE(1)) |
		((eight ^ VELT_EACH_BYTE('\\')) - VELT_EACH_BYTE(1));
	special &= VELT_EACH_BYTE(0x80);
	return special == 0 ? 8 : __builtin_ctzll(special) / 8;
}

/* Where, from a string's byte "at" on, the first is that does not. */
static inline size_t
velt_plain_end(const char *text, size_t at, size_t length)
{
	int			plain = 8;

	while (plain == 8 && length - at >= 8)
	{
		plain = velt_count_plain(text + at);
		at += plain;
	}
	if (plain == 8)
	{
		while (at < length && VELT_IS_PLAIN((unsigned char) text[at]))
			at++;
	}
	return at;
}

/*
 * Where the plain string that starts at "at", with its quote, ends; 0 if it
 * is none, or has not arrived to its end.
 */
static inline size_t
velt_plain_string_end(const char *text, size_t at, size_t length)
{
	if (at >= length || text[at] != '"')
		return 0;
	at = velt_plain_end(text, at + 1, length);
	return at < length && text[at] == '"' ? at + 1 : 0;
}

#endif							/* VELT_CLIENT_PLAIN_H */
