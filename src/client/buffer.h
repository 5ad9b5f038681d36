/*
 * client/buffer.h
 *		Bytes that grow up to a stated maximum.
 *
 * Knows nothing of what the bytes mean.
 */
#ifndef VELT_CLIENT_BUFFER_H
#define VELT_CLIENT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct VeltBuffer
{
	char	   *data;			/* malloc'd, or NULL while nothing was stored */
	size_t		length;			/* bytes in use */
	size_t		allocated;
} VeltBuffer;

/* A string by its length, in UTF-8. */
typedef struct VeltString
{
	const char *bytes;
	size_t		length;
} VeltString;

static inline VeltString
velt_string(const char *bytes, size_t length)
{
	VeltString	string = {bytes, length};

	return string;
}

/*
 * Makes room for at least "more" further bytes.  False when memory is out;
 * the buffer is unchanged then.  The caller checks its maximum first.
 */
extern bool velt_buffer_reserve(VeltBuffer *buffer, size_t more);

/* Appends a copy of the bytes; false when memory is out. */
extern bool velt_buffer_append(VeltBuffer *buffer, const char *bytes,
							   size_t length);

/* Forgets the bytes and frees them if more than "keep" bytes are held. */
extern void velt_buffer_reset(VeltBuffer *buffer, size_t keep);

extern void velt_buffer_free(VeltBuffer *buffer);

#endif							/* VELT_CLIENT_BUFFER_H */
