/*
 * client/handle.h
 *		A curl easy handle, set up once with all that a session decides.
 *
 * Knows nothing of transfers: they set body, path and callbacks.
 */
#ifndef VELT_CLIENT_HANDLE_H
#define VELT_CLIENT_HANDLE_H

#include <curl/curl.h>

#include "client/error.h"
#include "client/event_loop.h"
#include "client/transport.h"

/* The headers of every request; free with curl_slist_free_all. */
extern struct curl_slist *velt_handle_headers(const VeltTransportConfig *config,
											  VeltError *error);

/*
 * TLS sessions and HTTP connections outlive handles in here;
 * curl_share_cleanup closes the connections.
 */
extern CURLSH *velt_handle_share(VeltError *error);

/* Borrows all it is given. */
extern CURL *velt_handle_create(const VeltTransportConfig *config,
								struct curl_slist *headers, CURLSH *share,
								VeltEventLoop *loop, VeltError *error);

/*
 * libcurl 8.6 introduced this code, CURLE_TOO_LARGE.  By its number it is
 * known whatever libcurl the extension is built with.
 */
#define VELT_CODE_TOO_LARGE		((CURLcode) 100)

/* The meaning of a code with which libcurl ends a transfer. */
typedef struct VeltCodeMeaning
{
	CURLcode	code;
	VeltErrorKind kind;
	const char *detail;			/* a whole sentence; NULL: libcurl's text */
} VeltCodeMeaning;

/* Returns the meaning of a code other than CURLE_OK; never NULL. */
extern const VeltCodeMeaning *velt_handle_code_meaning(CURLcode code);

#endif							/* VELT_CLIENT_HANDLE_H */
