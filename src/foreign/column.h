/*
 * foreign/column.h
 *		Which value of a resource each column of a foreign table shows.
 */
#ifndef VELT_FOREIGN_COLUMN_H
#define VELT_FOREIGN_COLUMN_H

#include "postgres.h"

#include "client/resource.h"
#include "foreign/option.h"
#include "utils/rel.h"

typedef struct VeltTableColumn
{
	VeltColumnSource source;
	char	   *pointer;		/* for VELT_FROM_ROW; NULL: no value */
	char	   *unmatched;		/* name that the resource lacks, or NULL */
	bool		secret;
	bool		is_filter;		/* shows the resource's filter column */
} VeltTableColumn;

typedef struct VeltTable
{
	const VeltResource *resource;
	int			ncolumns;		/* attribute n is columns[n - 1] */
	VeltTableColumn columns[FLEXIBLE_ARRAY_MEMBER];
} VeltTable;

/*
 * Reads the options of an open foreign table's columns; palloc'd.  A column
 * that matches nothing of the resource has no value, like a dropped one.
 */
extern VeltTable *velt_table_describe(Relation relation,
									  const VeltResource *resource);

/* Returns whether the column is neither dropped nor unmatched. */
static inline bool
velt_column_has_value(const VeltTableColumn *column)
{
	return column->source != VELT_FROM_ROW || column->pointer != NULL;
}

/*
 * Raises an error if one of the columns attnums (integers) matches nothing of
 * the resource.  The caller has checked the privilege to read them.
 */
extern void velt_table_require_columns(Relation relation,
									   const VeltTable *table, List *attnums);

/* The settings of a foreign table, URLs left out: its own over its server's. */
extern void velt_table_settings(Oid relid, VeltSettings *settings);

/* What it shows: less to read than all of its settings. */
extern const VeltResource *velt_table_resource(Oid relid);

#endif							/* VELT_FOREIGN_COLUMN_H */
