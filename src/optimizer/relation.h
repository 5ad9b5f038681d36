/*
 * optimizer/relation.h
 *		A foreign table in the planner: its paths, and its part of the plan.
 */
#ifndef VELT_OPTIMIZER_RELATION_H
#define VELT_OPTIMIZER_RELATION_H

#include "postgres.h"

#include "foreign/column.h"
#include "foreign/fdwapi.h"
#include "foreign/option.h"

/* What the planner knows of a foreign table: fdw_private of its RelOptInfo. */
typedef struct VeltRelation
{
	VeltSettings settings;
	VeltTable  *table;
	List	   *quals;			/* VeltQuals of its own restrictions */
	bool		has_statistics; /* of the column that can be restricted */
	double		rows_per_key;	/* of a key that has rows */
} VeltRelation;

/*
 * Returns the numbers of the relation's columns that expressions look at, as
 * integers.  Of what "copy" looks at (NULL: nothing) it returns only columns
 * that have a value.
 */
extern List *velt_relation_columns(const RelOptInfo *rel, List *exprs,
								   Node *copy);

extern void veltGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel,
								  Oid relid);
extern void veltGetForeignPaths(PlannerInfo *root, RelOptInfo *rel,
								Oid relid);
extern ForeignScan *veltGetForeignPlan(PlannerInfo *root, RelOptInfo *rel,
									   Oid relid, ForeignPath *path,
									   List *tlist, List *scan_clauses,
									   Plan *outer_plan);

/* Options async_capable of the table and its server. */
extern bool veltIsForeignPathAsyncCapable(ForeignPath *path);

#endif							/* VELT_OPTIMIZER_RELATION_H */
