/*
 * client/utf8.h
 *		What may follow a lead byte of UTF-8: RFC 3629, so no overlong form,
 *		no surrogate, nothing past U+10FFFF.
 */
#ifndef VELT_CLIENT_UTF8_H
#define VELT_CLIENT_UTF8_H

/*
 * How many continuation bytes follow the lead byte, or -1 if it is none.  The
 * first of them is between *low and *high, all others between 0x80 and 0xBF.
 */
static inline int
velt_utf8_continuation(unsigned char lead, unsigned char *low,
					   unsigned char *high)
{
	*low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
	*high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
	if (lead < 0x80)
		return 0;
	if (lead < 0xC2 || lead > 0xF4)
		return -1;
	return lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
}

#endif							/* VELT_CLIENT_UTF8_H */
