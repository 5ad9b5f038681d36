/*
 * client/handle.c
 *		A curl easy handle, set up once with all that a session decides.
 */
#include "client/handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * curl's own deadline for connecting, in ms: out of the way, as ours counts
 * only while the session is driven.
 */
#define NO_CONNECT_TIMEOUT_MS	(24L * 3600 * 1000)

/* One read takes a page of 100 keys whole. */
#define RECEIVE_BUFFER_BYTES	(64L * 1024)

/* Both documented names: which of them the API looks at is not certain. */
static const char *const token_headers[] = {
	"x-velt-auth-token",
	"x-velt-workspace-auth-token",
	NULL
};

/*
 * libcurl-errors(3) documents the codes.  Another attempt can help with the
 * kinds CONNECT, TLS and UNAVAILABLE alone: the codes that may pass are all
 * listed here, and an unknown one is permanent.
 */
static const VeltCodeMeaning code_meanings[] = {
	{CURLE_COULDNT_RESOLVE_HOST, VELT_ERROR_CONNECT, NULL},
	{CURLE_COULDNT_RESOLVE_PROXY, VELT_ERROR_CONNECT, NULL},
	{CURLE_COULDNT_CONNECT, VELT_ERROR_CONNECT, NULL},
	{CURLE_PROXY, VELT_ERROR_CONNECT, NULL},
	{CURLE_SSL_CONNECT_ERROR, VELT_ERROR_TLS, NULL},
	{CURLE_HTTP2, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_HTTP2_STREAM, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_PARTIAL_FILE, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_OPERATION_TIMEDOUT, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_GOT_NOTHING, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_SEND_ERROR, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_RECV_ERROR, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_SEND_FAIL_REWIND, VELT_ERROR_UNAVAILABLE, NULL},
	{CURLE_AGAIN, VELT_ERROR_UNAVAILABLE, NULL},

	{CURLE_PEER_FAILED_VERIFICATION, VELT_ERROR_CERTIFICATE, NULL},
	{CURLE_SSL_CACERT_BADFILE, VELT_ERROR_CERTIFICATE, NULL},
	{CURLE_SSL_CERTPROBLEM, VELT_ERROR_CERTIFICATE, NULL},
	{CURLE_SSL_CLIENTCERT, VELT_ERROR_CERTIFICATE, NULL},
	{CURLE_SSL_ISSUER_ERROR, VELT_ERROR_CERTIFICATE, NULL},
	{CURLE_SSL_INVALIDCERTSTATUS, VELT_ERROR_CERTIFICATE, NULL},
	{CURLE_SSL_CIPHER, VELT_ERROR_CERTIFICATE, NULL},
	/* from 8.22 on, of a key that is none or not the certificate's */
	{CURLE_BAD_FUNCTION_ARGUMENT, VELT_ERROR_CERTIFICATE, NULL},
	{CURLE_OUT_OF_MEMORY, VELT_ERROR_OUT_OF_MEMORY, NULL},
	{CURLE_UNSUPPORTED_PROTOCOL, VELT_ERROR_NO_ENVELOPE, NULL},
	{CURLE_WEIRD_SERVER_REPLY, VELT_ERROR_NO_ENVELOPE, NULL},
	{CURLE_BAD_CONTENT_ENCODING, VELT_ERROR_NO_ENVELOPE, NULL},
	/* errors of our callbacks have a text already: this one is the decoder's */
	{
		CURLE_WRITE_ERROR, VELT_ERROR_NO_ENVELOPE,
		"The response could not be decompressed: it has several compressed parts, or bytes behind the end of the compressed data."
	},
	{
		VELT_CODE_TOO_LARGE, VELT_ERROR_HEADER_SIZE,
		"A header line of the response is longer than libcurl accepts."
	},
	{CURLE_URL_MALFORMAT, VELT_ERROR_INVALID_VALUE, NULL},
	/* the rest, which no HTTP request should meet */
	{CURLE_OK, VELT_ERROR_SYSTEM, NULL}
};

const VeltCodeMeaning *
velt_handle_code_meaning(CURLcode code)
{
	const VeltCodeMeaning *meaning = code_meanings;

	while (meaning->code != CURLE_OK && meaning->code != code)
		meaning++;
	return meaning;
}

/* Appends "name: value"; the list is freed if memory is out. */
static bool
add_header(struct curl_slist **list, const char *name, const char *value)
{
	size_t		size = strlen(name) + strlen(value) + 3;
	char	   *line = malloc(size);
	struct curl_slist *longer = NULL;

	if (line != NULL)
	{
		snprintf(line, size, "%s: %s", name, value);
		longer = curl_slist_append(*list, line);
		explicit_bzero(line, size);
		free(line);
	}
	if (longer == NULL)
	{
		curl_slist_free_all(*list);
		*list = NULL;
		return false;
	}
	*list = longer;
	return true;
}

struct curl_slist *
velt_handle_headers(const VeltTransportConfig *config, VeltError *error)
{
	struct curl_slist *list = NULL;
	const char *const one[] = {config->auth_header, NULL};
	const char *const *name = config->auth_header ? one : token_headers;
	bool		ok = (add_header(&list, "Content-Type", "application/json") &&
					  add_header(&list, "Accept", "application/json") &&
					  add_header(&list, "Accept-Encoding", "gzip") &&
					  add_header(&list, "x-velt-workspace-id",
								 config->credentials.workspace_id));

	for (; ok && *name != NULL; name++)
		ok = add_header(&list, *name, config->credentials.auth_token);

	/* without a value: curl is not to ask leave before it sends a body */
	if (ok)
	{
		struct curl_slist *longer = curl_slist_append(list, "Expect:");

		if (longer != NULL)
			return longer;
		curl_slist_free_all(list);
	}
	velt_error_out_of_memory(error);
	return NULL;
}

CURLSH *
velt_handle_share(VeltError *error)
{
	CURLSH	   *share = curl_share_init();

	if (share == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	/* one thread uses it, so it needs no locks */
	curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT);
	return share;
}

static CURLcode
set_http(CURL *easy, const VeltTransportConfig *config,
		 struct curl_slist *headers)
{
	CURLcode	code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR,
							 config->loopback_only ? "http" : "https");
	code |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	code |= curl_easy_setopt(easy, CURLOPT_POST, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	/* the credentials are for the API, not for a proxy on the way */
	code |= curl_easy_setopt(easy, CURLOPT_HEADEROPT,
							 (long) CURLHEADER_SEPARATE);
	code |= curl_easy_setopt(easy, CURLOPT_USERAGENT, config->user_agent);
	/* one request a connection: a stalled one delays no other */
	code |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
							 (long) CURL_HTTP_VERSION_1_1);
	return code;
}

static CURLcode
set_network(CURL *easy, const VeltTransportConfig *config,
			VeltEventLoop *loop)
{
	CURLcode	code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
							 NO_CONNECT_TIMEOUT_MS);
	code |= curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
	code |= curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	/* both set, always: else the environment decides */
	code |= curl_easy_setopt(easy, CURLOPT_PROXY,
							 config->proxy ? config->proxy : "");
	code |= curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	/* what a proxy says to CONNECT is no part of the API's response */
	code |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION,
							 velt_event_loop_close_socket);
	code |= curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, loop);
	return code;
}

static CURLcode
set_tls(CURL *easy, const VeltTransportConfig *config, CURLSH *share)
{
	CURLcode	code = CURLE_OK;

	code |= curl_easy_setopt(easy, CURLOPT_SHARE, share);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	code |= curl_easy_setopt(easy, CURLOPT_SSLVERSION,
							 (long) CURL_SSLVERSION_TLSv1_2);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYPEER, 1L);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY_SSL_VERIFYHOST, 2L);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY_SSLVERSION,
							 (long) CURL_SSLVERSION_TLSv1_2);
	/* a directory of CAs defeats curl's cache of the parsed store */
	code |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	code |= curl_easy_setopt(easy, CURLOPT_PROXY_CAPATH, NULL);
	if (config->ca_file != NULL)
	{
		code |= curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_file);
		code |= curl_easy_setopt(easy, CURLOPT_PROXY_CAINFO, config->ca_file);
	}
	if (config->cert_file != NULL)
	{
		code |= curl_easy_setopt(easy, CURLOPT_SSLCERT, config->cert_file);
		code |= curl_easy_setopt(easy, CURLOPT_SSLKEY, config->key_file ?
								 config->key_file : config->cert_file);
		/* OpenSSL would prompt for the passphrase of an encrypted key */
		code |= curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "");
	}
	return code;
}

CURL *
velt_handle_create(const VeltTransportConfig *config,
				   struct curl_slist *headers, CURLSH *share,
				   VeltEventLoop *loop, VeltError *error)
{
	CURL	   *easy = curl_easy_init();
	CURLcode	code;

	if (easy == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	code = set_http(easy, config, headers) |
		set_network(easy, config, loop) |
		set_tls(easy, config, share);
	if (code == CURLE_OK)
		return easy;
	curl_easy_cleanup(easy);
	velt_error_set(error, VELT_ERROR_SYSTEM,
				   "This build of libcurl lacks something velt_fdw needs.");
	return NULL;
}
