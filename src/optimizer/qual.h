/*
 * optimizer/qual.h
 *		May this clause go to the API, and as which filter.
 *
 * Knows nothing of how a request spells a filter.
 */
#ifndef VELT_OPTIMIZER_QUAL_H
#define VELT_OPTIMIZER_QUAL_H

#include "postgres.h"

#include "foreign/column.h"
#include "foreign/scan_plan.h"
#include "nodes/pathnodes.h"

typedef struct VeltFilter
{
	VeltFilterKind kind;
	Expr	   *value;			/* has no column of the relation */
} VeltFilter;

/*
 * Of the clauses (RestrictInfos) on the relation, those that restrict the
 * resource's filter column, as VeltFilters.  All clauses stay to be checked
 * on the rows.
 */
extern List *velt_qual_filters(RelOptInfo *rel, const VeltTable *table,
							   List *clauses);

/* How many keys the filters ask for, as far as the planner can tell. */
extern double velt_qual_estimate_keys(PlannerInfo *root, List *filters);

#endif							/* VELT_OPTIMIZER_QUAL_H */
