/*
 * test/unit/tap.h
 *		Assertions that print the Test Anything Protocol.
 */
#ifndef VELT_UNIT_TAP_H
#define VELT_UNIT_TAP_H

#include <stdbool.h>
#include <stddef.h>

/* Each prints one line, and returns whether the assertion holds. */
extern bool ok(bool holds, const char *format,...)
			__attribute__((format(printf, 2, 3)));
extern bool is_int(long long got, long long expected, const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* Either may be NULL, which equals NULL alone. */
extern bool is_str(const char *got, const char *expected,
				   const char *format,...)
			__attribute__((format(printf, 3, 4)));
extern bool is_bytes(const char *got, size_t got_length,
					 const char *expected, size_t expected_length,
					 const char *format,...)
			__attribute__((format(printf, 5, 6)));

/* An assertion that this machine cannot make. */
extern void skip(const char *reason);

/* Says more about the line printed last. */
extern void diag(const char *format,...)
			__attribute__((format(printf, 1, 2)));

/* Prints the plan; the process's exit status. */
extern int	tap_finish(void);

#define LENGTH_OF(array)	(sizeof(array) / sizeof((array)[0]))

/* A literal and how long it is, NULs within it included. */
#define BYTES(literal)		(literal), sizeof(literal) - 1

#endif							/* VELT_UNIT_TAP_H */
