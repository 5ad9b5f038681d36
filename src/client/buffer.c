/*
 * client/buffer.c
 *		Bytes that grow up to a stated maximum.
 */
#include "client/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A page of 100 API keys is about 8 kB: one allocation holds it. */
#define BUFFER_INITIAL_BYTES	((size_t) 16 * 1024)

bool
velt_buffer_reserve(VeltBuffer *buffer, size_t more)
{
	size_t		wanted;
	size_t		size;
	char	   *data;

	if (more <= buffer->allocated - buffer->length)
		return true;
	if (more > SIZE_MAX / 2 - buffer->length)
		return false;

	wanted = buffer->length + more;
	size = buffer->allocated ? buffer->allocated : BUFFER_INITIAL_BYTES;
	while (size < wanted)
		size *= 2;
	data = realloc(buffer->data, size);
	if (data == NULL)
		return false;
	buffer->data = data;
	buffer->allocated = size;
	return true;
}

bool
velt_buffer_append(VeltBuffer *buffer, const char *bytes, size_t length)
{
	if (!velt_buffer_reserve(buffer, length))
		return false;
	if (length > 0)
		memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
	return true;
}

void
velt_buffer_reset(VeltBuffer *buffer, size_t keep)
{
	if (buffer->allocated > keep)
		velt_buffer_free(buffer);
	buffer->length = 0;
}

void
velt_buffer_free(VeltBuffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}
