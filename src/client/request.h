/*
 * client/request.h
 *		A resource, a filter and a page token as the body of a request.
 *
 * Knows nothing of how it is sent.
 */
#ifndef VELT_CLIENT_REQUEST_H
#define VELT_CLIENT_REQUEST_H

#include "client/resource.h"
#include "client/error.h"

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
 * The body, malloc'd, NUL-terminated: free() it.  keys are the filter's values
 * (nkeys 0: no filter); page_size is left out where the resource is not paged;
 * page_token of length 0 asks for the first page.  NULL when memory is out.
 */
extern char *velt_request_body(const VeltResource *resource,
							   const VeltString *keys, size_t nkeys,
							   int page_size, VeltString page_token,
							   VeltError *error);

#endif							/* VELT_CLIENT_REQUEST_H */
