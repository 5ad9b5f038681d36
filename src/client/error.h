/*
 * client/error.h
 *		What went wrong, said once, without a secret and without memory to
 *		free.
 *
 * Every client function that can fail takes a VeltError as its last argument
 * and returns false (or NULL) after filling it.  foreign/report turns the kind
 * into an SQLSTATE; nothing in here knows of PostgreSQL.
 */
#ifndef VELT_CLIENT_ERROR_H
#define VELT_CLIENT_ERROR_H

#include <stdbool.h>
#include <stddef.h>

typedef enum VeltErrorKind
{
	VELT_ERROR_NONE,
	/* what the API said */
	VELT_ERROR_UNAUTHENTICATED,
	VELT_ERROR_PERMISSION_DENIED,
	VELT_ERROR_NOT_FOUND,
	VELT_ERROR_INVALID_ARGUMENT,
	VELT_ERROR_INVALID_REQUEST, /* refused for another reason */
	VELT_ERROR_REQUEST_SIZE,
	VELT_ERROR_PAGE_TOKEN,		/* refused, like an expired one */
	VELT_ERROR_EXHAUSTED,
	/* what the network did */
	VELT_ERROR_CONNECT,
	VELT_ERROR_TLS,				/* connected, but not to speak TLS */
	VELT_ERROR_CERTIFICATE,
	VELT_ERROR_UNAVAILABLE,
	/* what the reply was */
	VELT_ERROR_PROTOCOL,
	VELT_ERROR_NO_ENVELOPE,		/* ... and maybe another's than the API's */
	VELT_ERROR_UNTRANSLATABLE,
	/* our own limits */
	VELT_ERROR_RESPONSE_SIZE,
	VELT_ERROR_HEADER_SIZE,
	VELT_ERROR_NESTING,
	VELT_ERROR_MAX_REQUESTS,
	VELT_ERROR_EMPTY_PAGES,
	VELT_ERROR_TOKEN_SIZE,
	VELT_ERROR_OUT_OF_MEMORY,
	VELT_ERROR_DESCRIPTORS,
	VELT_ERROR_SYSTEM,
	/* what a user wrote */
	VELT_ERROR_INVALID_VALUE,
	VELT_ERROR_KINDS			/* how many there are */
} VeltErrorKind;

/* The longest remote text that enters a message, in bytes. */
#define VELT_REMOTE_TEXT_BYTES		500
#define VELT_DETAIL_BYTES			1024
#define VELT_REQUEST_ID_BYTES		128

typedef struct VeltError
{
	VeltErrorKind kind;
	bool		enveloped;		/* the API itself said so, by a status we know */
	bool		transient;		/* the same request may yet succeed */
	bool		if_retry_after; /* ... if the response has a Retry-After */
	bool		gave_up;		/* it might have, but retries are used up */
	int			http_status;	/* 0 while no response had begun */
	char		detail[VELT_DETAIL_BYTES];	/* one or more whole sentences */
	char		request_id[VELT_REQUEST_ID_BYTES];	/* "" if none came */
} VeltError;

/* Whether it came of an attempt to connect that another one may mend. */
extern bool velt_error_in_connecting(VeltErrorKind kind);

/* What must never be seen in a message.  Either may be NULL. */
typedef struct VeltCredentials
{
	const char *workspace_id;
	const char *auth_token;
} VeltCredentials;

/* Fills *error (detail is a sentence in UTF-8) and returns false. */
extern bool velt_error_set(VeltError *error, VeltErrorKind kind,
						   const char *format,...)
			__attribute__((format(printf, 3, 4)));

/* Appends a sentence to the detail, and a full stop to the one before. */
extern void velt_error_append(VeltError *error, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* The error for an allocation that failed; returns false. */
extern bool velt_error_out_of_memory(VeltError *error);

/* What a status means. */
typedef struct VeltStatus
{
	VeltErrorKind kind;			/* NONE: it is in no table */
	bool		transient;		/* asking again may help */
	bool		if_retry_after; /* ... if the response has a Retry-After */
} VeltStatus;

extern VeltStatus velt_error_api_status(const char *status, size_t length);
extern VeltStatus velt_error_http_status(int http_status);

/* Sets the error for a status without an error of the API; returns false. */
extern bool velt_error_set_http(VeltError *error, int http_status);

/*
 * Copies text of the other side into out (size bytes, always terminated):
 * credentials replaced in whatever of the usual spellings they come, control
 * characters escaped, cut at a character's end.  Invalid UTF-8 is escaped.
 */
extern void velt_error_clean_text(char *out, size_t size, const char *text,
								  size_t length,
								  const VeltCredentials *credentials);

/* Notes how the server calls the exchange, made safe. */
extern void velt_error_set_request_id(VeltError *error, const char *id,
									  const VeltCredentials *credentials);

/* Whether the text has a credential in one of those spellings. */
extern bool velt_error_has_credentials(const char *text, size_t length,
									   const VeltCredentials *credentials);

/*
 * Returns whether one begins in the first "starts" bytes of the text, for
 * callers that look through a long text in slices.
 */
extern bool velt_error_credentials_begin(const char *text, size_t length,
										 size_t starts,
										 const VeltCredentials *credentials);

#endif							/* VELT_CLIENT_ERROR_H */
