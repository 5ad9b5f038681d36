/*
 * test/fuzz/fuzz.h
 *		What the fuzz targets have in common.
 *
 * A target is one function over some bytes.  Whatever they are it must come
 * back, without an error that a sanitizer sees; what it holds for certain it
 * says with must().
 */
#ifndef VELT_FUZZ_H
#define VELT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/buffer.h"

/* The name is libFuzzer's. */
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(holds) \
	((holds) ? (void) 0 : fuzz_fail(#holds, __FILE__, __LINE__))

extern void fuzz_fail(const char *what, const char *file, int line)
			__attribute__((noreturn));

/* Bytes that are taken from the front. */
typedef struct Input
{
	const uint8_t *at;
	size_t		left;
} Input;

/* 0 when there is none left. */
extern uint8_t input_byte(Input *input);

/*
 * All up to the next byte 0xFF, which no UTF-8 has, or to the end; malloc'd
 * to its very length, so that a sanitizer sees who reads on.
 */
extern VeltString input_field(Input *input);

/* The same without NULs, and with one behind. */
extern char *input_text(Input *input);

extern bool is_utf8(const char *text, size_t length);

/* Whether the text has the bytes anywhere. */
extern bool has_bytes(VeltString text, const char *bytes);

#endif							/* VELT_FUZZ_H */
