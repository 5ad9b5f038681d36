/*
 * client/url.h
 *		Whether a URL may be used, by libcurl's own parser alone.
 *
 * Looks at the text only: nothing is looked up or connected.
 */
#ifndef VELT_CLIENT_URL_H
#define VELT_CLIENT_URL_H

#include <stdbool.h>

#include "client/error.h"

typedef enum VeltUrlUse
{
	VELT_URL_API,				/* http or https, may carry a path */
	VELT_URL_PROXY				/* http or https, host and port only */
} VeltUrlUse;

/*
 * *plain tells that it is without TLS.  An API without TLS is one on this
 * machine: any other host is an error.
 */
extern bool velt_url_check(const char *url, VeltUrlUse use, bool *plain,
						   VeltError *error);

#endif							/* VELT_CLIENT_URL_H */
