/*
 * client/layout.c
 *		How the responses of one scan are read.
 */
#include "client/layout.h"

#include <stdlib.h>

static const char *const envelope_pointers[VELT_ENVELOPE_POINTERS] = {
	[VELT_AT_ERROR] = "/error",
	[VELT_AT_ERROR_STATUS] = "/error/status",
	[VELT_AT_ERROR_MESSAGE] = "/error/message",
	[VELT_AT_ERROR_DETAILS] = "/error/details",
	[VELT_AT_RESULT_STATUS] = "/result/status",
	[VELT_AT_NEXT_PAGE_TOKEN] = "/result/nextPageToken",
	/* VELT_AT_ROWS and VELT_AT_ECHO are the resource's */
};

void
velt_layout_free(VeltLayout *layout)
{
	if (layout == NULL)
		return;
	for (int i = 0; i < VELT_ENVELOPE_POINTERS; i++)
		free(layout->envelope[i]);
	for (int i = 0; i < layout->nvalues; i++)
		free(layout->values[i]);
	free(layout->message);
	free(layout->row_key);
	free(layout);
}

static bool
parse_envelope(VeltLayout *layout, VeltError *error)
{
	const VeltResource *resource = layout->resource;

	layout->nenvelope = resource->echo_pointer ? VELT_ENVELOPE_POINTERS :
		VELT_AT_ECHO;
	for (int i = 0; i < layout->nenvelope; i++)
	{
		const char *pointer = envelope_pointers[i];

		if (i == VELT_AT_ROWS)
			pointer = resource->rows_pointer;
		else if (i == VELT_AT_ECHO)
			pointer = resource->echo_pointer;
		layout->envelope[i] = velt_json_pointer_parse(pointer, error);
		if (layout->envelope[i] == NULL)
			return false;
	}
	layout->message = velt_json_pointer_parse("/result/message", error);
	return layout->message != NULL;
}

static bool
parse_row_key(VeltLayout *layout, VeltError *error)
{
	const VeltColumn *column = velt_resource_column(layout->resource,
													layout->resource->key_column);

	if (column->source != VELT_FROM_ROW)
		return true;
	layout->row_key = velt_json_pointer_parse(column->pointer, error);
	return layout->row_key != NULL;
}

VeltLayout *
velt_layout_create(const VeltResource *resource, const char *const *pointers,
				   int npointers, const VeltCredentials *credentials,
				   size_t max_bytes, VeltError *error)
{
	VeltLayout *layout = calloc(1, offsetof(VeltLayout, values) +
								npointers * sizeof(VeltJsonPointer *));

	if (layout == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	layout->resource = resource;
	layout->credentials = credentials;
	layout->max_bytes = max_bytes;
	if (!parse_envelope(layout, error) || !parse_row_key(layout, error))
	{
		velt_layout_free(layout);
		return NULL;
	}
	for (int i = 0; i < npointers; i++)
	{
		layout->values[i] = velt_json_pointer_parse(pointers[i], error);
		if (layout->values[i] == NULL)
		{
			velt_layout_free(layout);
			return NULL;
		}
		layout->nvalues = i + 1;
	}
	return layout;
}
