/*
 * client/page.h
 *		One response: its rows, and the token of the next page or the error
 *		the API replied.
 *
 * A page keeps the response's bytes; values are found in them row by row, and
 * only those that were asked for.  It knows nothing of how it was fetched.
 */
#ifndef VELT_CLIENT_PAGE_H
#define VELT_CLIENT_PAGE_H

#include "client/error.h"
#include "client/json.h"
#include "client/buffer.h"
#include "client/resource.h"

/* What of a response is looked at, whatever the resource. */
enum
{
	VELT_AT_ERROR,
	VELT_AT_ERROR_STATUS,
	VELT_AT_ERROR_MESSAGE,
	VELT_AT_ERROR_DETAILS,
	VELT_AT_RESULT_STATUS,
	VELT_AT_RESULT_MESSAGE,
	VELT_AT_NEXT_PAGE_TOKEN,
	VELT_AT_DATA,
	VELT_AT_ROWS,
	VELT_AT_OBJECT_KEY,			/* where the row is a single object */
	VELT_AT_ECHO,				/* where the resource has one */
	VELT_ENVELOPE_POINTERS
};

/* How the responses of one scan are read; its members are for page.c. */
typedef struct VeltLayout
{
	const VeltResource *resource;
	const VeltCredentials *credentials;
	size_t		max_bytes;

	VeltJsonTree *arrival;		/* of the response, by VELT_AT_... */
	VeltJsonTree *row;			/* of a row: its values, then its key */
	int			row_key;		/* its number, or -1: the key asked for */
} VeltLayout;

typedef struct VeltPage VeltPage;

/*
 * Create a layout.  pointers name the values of a row, in the order in which
 * velt_page_value counts them.  credentials are borrowed; max_bytes is the
 * most that a response may have.  Free it with velt_layout_free.
 */
extern VeltLayout *velt_layout_create(const VeltResource *resource,
									  const char *const *pointers,
									  int npointers,
									  const VeltCredentials *credentials,
									  size_t max_bytes, VeltError *error);
extern void velt_layout_free(VeltLayout *layout);

/* The layout is borrowed, and must outlive the page. */
extern VeltPage *velt_page_create(const VeltLayout *layout, VeltError *error);
extern void velt_page_free(VeltPage *page);

/*
 * Makes the page ready for a response to a request for the key (length 0:
 * none), whose bytes are borrowed.  Small allocations are kept.
 */
extern void velt_page_begin(VeltPage *page, VeltString key);

/* How the server calls the exchange, for errors in the page's rows. */
extern void velt_page_set_request_id(VeltPage *page, const char *id);
extern void velt_page_name_request(const VeltPage *page, VeltError *error);

/*
 * Whether a response of so many bytes is worth waiting for.  A compressed one
 * is not shorter when it is decoded, or it would not be compressed.
 */
extern bool velt_page_expect(const VeltPage *page, uint64_t length,
							 VeltError *error);

/* Takes the next bytes of the response; false if it need not go on. */
extern bool velt_page_receive(VeltPage *page, int http_status,
							  const char *bytes, size_t length,
							  VeltError *error);

/* All bytes are there: whether they are an answer, and not an error. */
extern bool velt_page_finish(VeltPage *page, int http_status,
							 VeltError *error);

/*
 * Appends the next page's token to the buffer, which is reset first; its
 * length is 0 behind the last page.
 */
extern bool velt_page_next_token(const VeltPage *page, VeltBuffer *token,
								 VeltError *error);

/* Return how many rows the page has. */
extern int64_t velt_page_nrows(const VeltPage *page);

/* The result of a step to the next row, or element of an array. */
typedef enum VeltPageStatus
{
	VELT_PAGE_FOUND,
	VELT_PAGE_MORE,				/* not there yet: step again */
	VELT_PAGE_END,				/* none is left */
	VELT_PAGE_FAILED
} VeltPageStatus;

/*
 * Steps to the next row.  A call reads at most 64 kB of the response, so that
 * the caller can check for interrupts between calls.
 */
extern VeltPageStatus velt_page_next_row(VeltPage *page, VeltError *error);

/* Returns where in the response value "i" of the current row is. */
extern VeltJsonSpan velt_page_value(const VeltPage *page, int i);

/* The JSON text of a value, as it came. */
extern VeltString velt_page_text(const VeltPage *page, VeltJsonSpan span);

/*
 * The characters of a string value.  They stand until the next call for this
 * page, and may include NULs.
 */
extern bool velt_page_string(VeltPage *page, VeltJsonSpan span,
							 VeltString *string, VeltError *error);

/*
 * Begins to step through the elements of an array value, instead of those of
 * an earlier one.
 */
extern void velt_page_begin_array(VeltPage *page, VeltJsonSpan array);

/* Steps to the next element; a call reads no more than for a row. */
extern VeltPageStatus velt_page_next_element(VeltPage *page,
											 VeltJsonSpan *element,
											 VeltError *error);

/* The key that was asked for; length 0 if none was. */
extern VeltString velt_page_key(const VeltPage *page);

/*
 * What names the current row in a message: the key asked for, or the value
 * of the resource's key column.  Length 0 if it has none of at most 64 kB.
 */
extern VeltString velt_page_row_key(VeltPage *page);

#endif							/* VELT_CLIENT_PAGE_H */
