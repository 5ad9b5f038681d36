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

/* What a failed transfer's code means. */
extern VeltErrorKind velt_handle_error_kind(CURLcode code);

#endif							/* VELT_CLIENT_HANDLE_H */
