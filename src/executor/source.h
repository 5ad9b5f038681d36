/*
 * executor/source.h
 *		A foreign table being read: its cursor, and the rows of its pages.
 *
 * Knows nothing of plans: what is asked for is its caller's to say.
 */
#ifndef VELT_EXECUTOR_SOURCE_H
#define VELT_EXECUTOR_SOURCE_H

#include "postgres.h"

#include "executor/fetch.h"
#include "executor/tuple.h"
#include "foreign/column.h"
#include "foreign/option.h"
#include "utils/rel.h"

typedef struct VeltSource
{
	const VeltResource *resource;
	VeltSettings settings;		/* of the table over those of its server */
	VeltTable  *table;
	Relation	relation;
	char	   *table_name;		/* with its schema, for messages */
	char	   *server_name;
	VeltTupleReader *reader;

	/* holds nothing before the first row is asked for, or after the last */
	VeltFetch	fetch;
	VeltPage   *page;			/* the cursor's, with rows left */
} VeltSource;

/*
 * Prepares to read the columns attnums (integers) of the relation, which must
 * stay open.  Allocates in the context, whose end lets go of what is held.
 * Raises an error if one of them matches nothing of the resource.
 */
extern void velt_source_init(VeltSource *source, Relation relation,
							 const VeltResource *resource, List *attnums,
							 MemoryContext context);

/*
 * Takes hold of the session, and returns a spec for all rows.  No request
 * leaves before a row is asked for.
 */
extern void velt_source_acquire(VeltSource *source, Oid userid,
								VeltScanStats *stats, VeltCursorSpec *spec);

/* The same in the session of another source: one waits for both. */
extern void velt_source_acquire_beside(VeltSource *source,
									   const VeltSource *other,
									   VeltScanStats *stats,
									   VeltCursorSpec *spec);
extern void velt_source_open(VeltSource *source, const VeltCursorSpec *spec);

extern const VeltCredentials *velt_source_credentials(const VeltSource *source);

/*
 * Steps to the next row, without waiting: VELT_CURSOR_PAGE stands for one,
 * and has velt_source_read fill values and isnull from it.
 */
extern VeltCursorStatus velt_source_next_row(VeltSource *source,
											 VeltError *error);

/* Steps to the next row of the page at hand; false behind the last one. */
extern bool velt_source_next_of_page(VeltSource *source);

extern void velt_source_read(VeltSource *source, Datum *values, bool *isnull);

/* Raises the error, as one of the table. */
extern void velt_source_report(const VeltSource *source,
							   const VeltError *error)
			__attribute__((noreturn));

/* Adds a line of context to the error at hand; looks nothing up. */
extern void velt_source_describe(const VeltSource *source);

/* Whether an error at hand is about one of its values. */
extern bool velt_source_is_reading(const VeltSource *source);

/* Ends what is in flight and lets go; raises no error. */
extern void velt_source_stop(VeltSource *source);

#endif							/* VELT_EXECUTOR_SOURCE_H */
