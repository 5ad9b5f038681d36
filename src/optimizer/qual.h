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

/* A clause that may go to the API: one of its values must be met. */
typedef struct VeltQual
{
	VeltFilterTarget target;
	List	   *kinds;			/* integers: a VeltFilterKind for each value */
	List	   *values;			/* Exprs without a column of the relation */
} VeltQual;

/*
 * NULL if the clause on the relation must stay here alone.  It must be
 * checked on the rows in any case.
 */
extern VeltQual *velt_qual_match(RelOptInfo *rel, const VeltTable *table,
								 Expr *clause);

/* The column of the relation that a clause with a VeltQual of one value is about. */
extern Var *velt_qual_column(RelOptInfo *rel, const VeltTable *table,
							 Expr *clause);

/*
 * Whether the clause says no more than that the key of the one relation is
 * that of the other; if so, sets the two columns.
 */
extern bool velt_qual_joins_keys(RelOptInfo *rel, const VeltTable *table,
								 RelOptInfo *other,
								 const VeltTable *other_table, Expr *clause,
								 Var **column, Var **other_column);

/* The VeltQuals among a list of RestrictInfos. */
extern List *velt_qual_list(RelOptInfo *rel, const VeltTable *table,
							List *clauses);

/*
 * How many keys the quals ask for, as far as the planner can tell; less than
 * 0 if they ask for all.
 */
extern double velt_qual_estimate_keys(PlannerInfo *root, List *quals);

/* Puts the quals into a plan; returns their values, for fdw_exprs. */
extern List *velt_qual_plan(List *quals, VeltScanPlan *plan);

#endif							/* VELT_OPTIMIZER_QUAL_H */
