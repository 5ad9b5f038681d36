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
	for (int i = layout->narrival - 1; i >= 0; i--)
		free(layout->arrival[i]);
	for (int i = 0; i < layout->nvalues; i++)
		free(layout->values[i]);
	free(layout->message);
	free(layout->row_key);
	free(layout);
}

/* Adds a pointer to those of the arrival; NULL if there is none. */
static bool
add_arrival(VeltLayout *layout, VeltJsonPointer *pointer)
{
	if (pointer != NULL)
		layout->arrival[layout->narrival++] = pointer;
	return pointer != NULL;
}

static bool
parse_envelope(VeltLayout *layout, VeltError *error)
{
	const VeltResource *resource = layout->resource;

	for (int i = 0; i < VELT_ENVELOPE_POINTERS; i++)
	{
		const char *pointer = envelope_pointers[i];

		if (i == VELT_AT_ROWS)
			pointer = resource->rows_pointer;
		else if (i == VELT_AT_ECHO)
			pointer = resource->echo_pointer;
		if (pointer != NULL &&
			!add_arrival(layout, velt_json_pointer_parse(pointer, error)))
			return false;
	}
	layout->message = velt_json_pointer_parse("/result/message", error);
	return layout->message != NULL;
}

/*
 * Rows are noted as they arrive: it takes longer to find them again.  A scan
 * that wants more values than can be looked for at once does just that.
 */
static bool
add_row(VeltLayout *layout, VeltError *error)
{
	static const VeltJsonPointer whole = {0};
	const VeltJsonPointer *rows = layout->arrival[VELT_AT_ROWS];
	bool		each = layout->resource->rows == VELT_ARRAY_OF_OBJECTS;

	if (layout->narrival + 1 + layout->nvalues > VELT_JSON_MAX_POINTERS)
		return true;
	layout->row = layout->narrival;
	if (!add_arrival(layout, velt_json_pointer_join(rows, each, &whole, error)))
		return false;
	for (int i = 0; i < layout->nvalues; i++)
	{
		if (!add_arrival(layout, velt_json_pointer_join(rows, each,
														layout->values[i],
														error)))
			return false;
	}
	return true;
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

static bool
parse_values(VeltLayout *layout, const char *const *pointers, int npointers,
			 VeltError *error)
{
	for (int i = 0; i < npointers; i++)
	{
		layout->values[i] = velt_json_pointer_parse(pointers[i], error);
		if (layout->values[i] == NULL)
			return false;
		layout->nvalues = i + 1;
	}
	return true;
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
	if (!parse_envelope(layout, error) || !parse_row_key(layout, error) ||
		!parse_values(layout, pointers, npointers, error) ||
		!add_row(layout, error))
	{
		velt_layout_free(layout);
		return NULL;
	}
	return layout;
}
