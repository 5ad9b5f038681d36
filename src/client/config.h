/*
 * client/config.h
 *		What a transport is made from.
 */
#ifndef VELT_CLIENT_CONFIG_H
#define VELT_CLIENT_CONFIG_H

#include <stdbool.h>

#include "client/error.h"

/* Those strings that may be NULL say so. */
typedef struct VeltTransportConfig
{
	const char *base_url;		/* velt_url_check has found it valid */
	bool		loopback_only;	/* no header goes to another peer */
	VeltCredentials credentials;
	const char *auth_header;	/* NULL: both documented names */
	const char *user_agent;
	const char *proxy;			/* NULL: none */
	const char *ca_file;		/* NULL: the system's */
	const char *cert_file;		/* NULL: no client certificate */
	const char *key_file;		/* NULL: in cert_file */
	int			connect_timeout_ms;
	int			request_timeout_ms;
	int			retry_timeout_ms;	/* 0: never retry */
	int			max_concurrency;
	int			max_requests_per_minute;	/* 0: as many as there are */
	size_t		max_response_bytes; /* 0: no limit */
} VeltTransportConfig;

/* Copies all strings; false when memory is out, what was copied is to be freed. */
extern bool velt_config_copy(VeltTransportConfig *to,
							 const VeltTransportConfig *from);

/* Frees the strings of a copy; no trace of the token stays behind. */
extern void velt_config_free(VeltTransportConfig *config);

#endif							/* VELT_CLIENT_CONFIG_H */
