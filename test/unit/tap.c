/*
 * test/unit/tap.c
 *		Assertions that print the Test Anything Protocol.
 */
#include "tap.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int	ntests;
static int	nfailed;

/* Prints text so that it stays within its line. */
static void
put_text(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (isprint(c) && c != '#' && c != '\\')
			putchar(c);
		else
			printf("\\x%02x", c);
	}
}

static bool
report(bool holds, const char *format, va_list args)
{
	char		name[512];

	vsnprintf(name, sizeof(name), format, args);
	printf("%sok %d - ", holds ? "" : "not ", ++ntests);
	put_text(name, strlen(name));
	putchar('\n');
	nfailed += !holds;
	return holds;
}

#define REPORT(holds) \
	do { \
		va_list		args_; \
		va_start(args_, format); \
		report((holds), format, args_); \
		va_end(args_); \
	} while (0)

static void
put_difference(const char *label, const char *text, size_t length)
{
	printf("#   %s: ", label);
	if (text == NULL)
		fputs("NULL", stdout);
	else
		put_text(text, length);
	putchar('\n');
}

bool
ok(bool holds, const char *format,...)
{
	REPORT(holds);
	return holds;
}

bool
is_int(long long got, long long expected, const char *format,...)
{
	REPORT(got == expected);
	if (got != expected)
		diag("got %lld, expected %lld", got, expected);
	return got == expected;
}

bool
is_bytes(const char *got, size_t got_length, const char *expected,
		 size_t expected_length, const char *format,...)
{
	bool		same = got_length == expected_length;

	if (same && got_length > 0)
		same = memcmp(got, expected, got_length) == 0;
	REPORT(same);
	if (!same)
	{
		put_difference("     got", got, got_length);
		put_difference("expected", expected, expected_length);
	}
	return same;
}

bool
is_str(const char *got, const char *expected, const char *format,...)
{
	bool		same = (got == NULL || expected == NULL ? got == expected :
						strcmp(got, expected) == 0);

	REPORT(same);
	if (!same)
	{
		put_difference("     got", got, got ? strlen(got) : 0);
		put_difference("expected", expected, expected ? strlen(expected) : 0);
	}
	return same;
}

void
skip(const char *reason)
{
	printf("ok %d # SKIP %s\n", ++ntests, reason);
}

void
diag(const char *format,...)
{
	va_list		args;
	char		text[1024];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fputs("#   ", stdout);
	put_text(text, strlen(text));
	putchar('\n');
}

int
tap_finish(void)
{
	printf("1..%d\n", ntests);
	if (nfailed > 0)
		printf("# %d of %d failed\n", nfailed, ntests);
	return nfailed > 0;
}
