/*
 * client/gunzip.h
 *		Decompression of gzip data in steps of bounded size.
 */
#ifndef VELT_CLIENT_GUNZIP_H
#define VELT_CLIENT_GUNZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "client/error.h"

typedef struct VeltGunzip VeltGunzip;

/* Create a decompressor at the start of its data; NULL when memory is out. */
extern VeltGunzip *velt_gunzip_create(void);
extern void velt_gunzip_free(VeltGunzip *gunzip);

/*
 * Decompress the next bytes of input into at most "size" bytes of output.
 * *nread and *nwritten are the numbers of bytes read and written.  Data may
 * consist of several gzip members, and end with zero bytes.
 */
extern bool velt_gunzip_step(VeltGunzip *gunzip, const char *input,
							 size_t length, char *output, size_t size,
							 size_t *nread, size_t *nwritten,
							 VeltError *error);

/* Check that the data did not end within a member. */
extern bool velt_gunzip_finish(const VeltGunzip *gunzip, VeltError *error);

#endif							/* VELT_CLIENT_GUNZIP_H */
