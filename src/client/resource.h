/*
 * client/resource.h
 *		What the Velt API offers: one table, no code.
 *
 * A new resource is an entry in resource.c.  Planning, import, requests and
 * conversion are generic over it.
 */
#ifndef VELT_CLIENT_RESOURCE_H
#define VELT_CLIENT_RESOURCE_H

#include <stdbool.h>
#include <stddef.h>

/* Where a column's value comes from. */
typedef enum VeltColumnSource
{
	VELT_FROM_ROW,				/* a JSON pointer into the row's object */
	VELT_FROM_REQUEST,			/* the key that was asked for */
	VELT_FROM_WORKSPACE			/* the workspace that was asked */
} VeltColumnSource;

typedef struct VeltColumn
{
	const char *name;
	const char *type;			/* its SQL type in an imported table */
	VeltColumnSource source;
	const char *pointer;		/* RFC 6901, for VELT_FROM_ROW */
	bool		secret;			/* never in a message, log or statistics */
} VeltColumn;

/* What the rows of a response are. */
typedef enum VeltRows
{
	VELT_ONE_OBJECT,
	VELT_ARRAY_OF_OBJECTS
} VeltRows;

typedef struct VeltResource VeltResource;

struct VeltResource
{
	const char *name;
	const char *path;			/* behind the base URL, always POST */
	VeltRows	rows;
	const char *rows_pointer;	/* into the response */

	const VeltColumn *columns;	/* ends with a NULL name */
	const char *key_column;		/* names a row in messages */

	/*
	 * The column that requests can be restricted by, and the member of the
	 * request that carries its values: an array of up to filter_max of them,
	 * or one plain string if filter_max is 1.
	 */
	const char *filter_column;	/* NULL: none */
	const char *filter_member;
	int			filter_max;
	bool		filter_required;

	/* Where the reply repeats the value asked for; NULL: nowhere. */
	const char *echo_pointer;

	/* Whence all values of a required filter come. */
	const VeltResource *parent;
	const char *parent_column;

	bool		paged;
};

/* No page is larger than this. */
#define VELT_MAX_PAGE_SIZE	100

/* All resources, in the order in which IMPORT creates them; ends with NULL. */
extern const VeltResource *const velt_resources[];

/* The one request that only succeeds if the workspace exists. */
extern const VeltResource *const velt_workspace_resource;

/* NULL if there is none of that name. */
extern const VeltResource *velt_resource_find(const char *name);
extern const VeltColumn *velt_resource_column(const VeltResource *resource,
											  const char *name);

/*
 * Whether a JSON pointer into a row of the resource names a secret, a part of
 * one, or something that contains one.
 */
extern bool velt_resource_pointer_is_secret(const VeltResource *resource,
											const char *pointer);

#endif							/* VELT_CLIENT_RESOURCE_H */
