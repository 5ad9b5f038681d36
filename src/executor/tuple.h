/*
 * executor/tuple.h
 *		Rows of a page as values of PostgreSQL.
 *
 * What each column takes is decided once a scan.  Knows nothing of json-c or
 * the network.
 */
#ifndef VELT_EXECUTOR_TUPLE_H
#define VELT_EXECUTOR_TUPLE_H

#include "postgres.h"

#include "client/page.h"
#include "foreign/column.h"
#include "utils/rel.h"

typedef struct VeltTupleReader VeltTupleReader;

/*
 * Prepares to fill the columns attnums (integers) of the relation.  Allocates
 * in the current context, which must outlive it.
 */
extern VeltTupleReader *velt_tuple_reader_create(Relation relation,
												 const VeltTable *table,
												 List *attnums);

/* The JSON pointers of the values it takes from a row, in their order. */
extern const char *const *velt_tuple_reader_pointers(const VeltTupleReader *reader,
													 int *npointers);

/* Whose rows are read: for workspace_id, and to keep the token out of errors. */
extern void velt_tuple_reader_set_workspace(VeltTupleReader *reader,
											const VeltCredentials *credentials);

/*
 * Fills values and isnull, arrays as long as the relation has attributes,
 * from the page's current row; all columns not asked for are NULL.  Allocates
 * in the current context.
 */
extern void velt_tuple_read(VeltTupleReader *reader, VeltPage *page,
							Datum *values, bool *isnull);

/* Whether a value of the current row is being converted. */
extern bool velt_tuple_reader_is_reading(const VeltTupleReader *reader);

/*
 * For an error's context: the table and, while the page's (may be NULL) row is
 * converted, its key and the column.  Looks nothing up, as nobody knows what
 * state an error has left.
 */
extern void velt_tuple_reader_describe(const VeltTupleReader *reader,
									   VeltPage *page,
									   const char *table_name);

#endif							/* VELT_EXECUTOR_TUPLE_H */
