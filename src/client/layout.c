/*
 * client/layout.c
 *		How the responses of one scan are read.
 */
#include "client/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer than any pointer to what all responses of a resource have. */
#define POINTER_BYTES	100

static VeltJsonTree *
make_arrival(const VeltResource *resource, const char *key_pointer,
			 VeltError *error)
{
	const char *rows = resource->rows_pointer;
	const char *echo = resource->echo_pointer;
	bool		one = resource->rows == VELT_ONE_OBJECT;
	char		object_key[POINTER_BYTES];
	const char *pointers[VELT_ENVELOPE_POINTERS] = {
		[VELT_AT_ERROR] = "/error",
		[VELT_AT_ERROR_STATUS] = "/error/status",
		[VELT_AT_ERROR_MESSAGE] = "/error/message",
		[VELT_AT_ERROR_DETAILS] = "/error/details",
		[VELT_AT_RESULT_STATUS] = "/result/status",
		[VELT_AT_RESULT_MESSAGE] = "/result/message",
		[VELT_AT_NEXT_PAGE_TOKEN] = "/result/nextPageToken",
		[VELT_AT_DATA] = "/result/data",
		[VELT_AT_ROWS] = rows,
		[VELT_AT_OBJECT_KEY] = object_key,
		[VELT_AT_ECHO] = echo ? echo : "",
	};

	snprintf(object_key, sizeof(object_key), "%s%s", rows,
			 one ? key_pointer : "");
	return velt_json_tree_create(pointers, VELT_ENVELOPE_POINTERS, error);
}

/* Compiles the pointers of the values, and of the row's key if it has one. */
static VeltJsonTree *
make_row(const char *const *values, int nvalues, const char *key_pointer,
		 VeltError *error)
{
	size_t		size = nvalues * sizeof(char *);
	const char **pointers = malloc(size + sizeof(char *));
	VeltJsonTree *tree = NULL;

	if (pointers == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	if (nvalues > 0)
		memcpy(pointers, values, size);
	pointers[nvalues] = key_pointer;
	tree = velt_json_tree_create(pointers,
								 key_pointer ? nvalues + 1 : nvalues, error);
	free(pointers);
	return tree;
}

VeltLayout *
velt_layout_create(const VeltResource *resource, const char *const *pointers,
				   int npointers, const VeltCredentials *credentials,
				   size_t max_bytes, VeltError *error)
{
	const VeltColumn *key = velt_resource_column(resource,
												 resource->key_column);
	VeltLayout *layout = calloc(1, sizeof(VeltLayout));

	if (layout == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	layout->resource = resource;
	layout->credentials = credentials;
	layout->max_bytes = max_bytes;
	layout->row_key = key->pointer ? npointers : -1;
	layout->arrival = make_arrival(resource, key->pointer, error);
	layout->row = make_row(pointers, npointers, key->pointer, error);
	if (layout->arrival != NULL && layout->row != NULL)
		return layout;
	velt_layout_free(layout);
	return NULL;
}

void
velt_layout_free(VeltLayout *layout)
{
	if (layout == NULL)
		return;
	free(layout->arrival);
	free(layout->row);
	free(layout);
}
