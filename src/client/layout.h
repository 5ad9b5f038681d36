/*
 * client/layout.h
 *		How the responses of one scan are read: what is looked for in them,
 *		and where.
 *
 * Its members are of use to client/page alone.
 */
#ifndef VELT_CLIENT_LAYOUT_H
#define VELT_CLIENT_LAYOUT_H

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

typedef struct VeltLayout
{
	const VeltResource *resource;
	const VeltCredentials *credentials;
	size_t		max_bytes;

	VeltJsonTree *arrival;		/* of the response, by VELT_AT_... */
	VeltJsonTree *row;			/* of a row: its values, then its key */
	int			row_key;		/* its number, or -1: the key asked for */
} VeltLayout;

/*
 * pointers name the row's values that are wanted, in the order in which
 * velt_page_value counts them.  credentials are borrowed; max_bytes bounds one
 * response.  free with velt_layout_free.
 */
extern VeltLayout *velt_layout_create(const VeltResource *resource,
									  const char *const *pointers,
									  int npointers,
									  const VeltCredentials *credentials,
									  size_t max_bytes, VeltError *error);
extern void velt_layout_free(VeltLayout *layout);

#endif							/* VELT_CLIENT_LAYOUT_H */
