/*
 * client/gunzip.c
 *		Decompression of gzip data in steps of bounded size.
 */
#include "client/gunzip.h"

#include <stdlib.h>
#include <zlib.h>

/* zlib's code for gzip data with the largest window. */
#define GZIP_WINDOW_BITS	(MAX_WBITS + 16)

struct VeltGunzip
{
	z_stream	stream;
	bool		between;		/* behind a member's end */
};

VeltGunzip *
velt_gunzip_create(void)
{
	VeltGunzip *gunzip = calloc(1, sizeof(VeltGunzip));

	if (gunzip != NULL &&
		inflateInit2(&gunzip->stream, GZIP_WINDOW_BITS) == Z_OK)
		return gunzip;
	free(gunzip);
	return NULL;
}

void
velt_gunzip_free(VeltGunzip *gunzip)
{
	if (gunzip == NULL)
		return;
	inflateEnd(&gunzip->stream);
	free(gunzip);
}

/* Skip zero bytes behind a member; another member may follow. */
static void
skip_padding(VeltGunzip *gunzip)
{
	z_stream   *stream = &gunzip->stream;

	while (stream->avail_in > 0 && *stream->next_in == 0)
	{
		stream->next_in++;
		stream->avail_in--;
	}
	if (stream->avail_in > 0)
	{
		inflateReset(stream);
		gunzip->between = false;
	}
}

bool
velt_gunzip_step(VeltGunzip *gunzip, const char *input, size_t length,
				 char *output, size_t size, size_t *nread, size_t *nwritten,
				 VeltError *error)
{
	z_stream   *stream = &gunzip->stream;
	int			code = Z_OK;

	stream->next_in = (Bytef *) input;
	stream->avail_in = (uInt) length;
	stream->next_out = (Bytef *) output;
	stream->avail_out = (uInt) size;
	if (gunzip->between)
		skip_padding(gunzip);
	if (!gunzip->between)
		code = inflate(stream, Z_NO_FLUSH);
	*nread = length - stream->avail_in;
	*nwritten = size - stream->avail_out;
	if (code == Z_MEM_ERROR)
		return velt_error_out_of_memory(error);
	if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
		return velt_error_set(error, VELT_ERROR_NO_ENVELOPE,
							  "The response is said to be gzip data, but cannot be decompressed.");
	if (code == Z_STREAM_END)
		gunzip->between = true;
	return true;
}

bool
velt_gunzip_finish(const VeltGunzip *gunzip, VeltError *error)
{
	return gunzip->between ||
		velt_error_set(error, VELT_ERROR_NO_ENVELOPE,
					   "The response is gzip data that breaks off.");
}
