/*
 * optimizer/relation.h
 *		A foreign table in the planner: its size, its cost and its paths.
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
} VeltRelation;

/*
 * What a scan with these VeltQuals costs.  rows are those it returns, of
 * which "limit" (less than 0: all) are going to be looked at.
 */
extern void velt_relation_cost(PlannerInfo *root, RelOptInfo *rel,
							   List *quals, double rows, double limit,
							   Cost *startup_cost, Cost *total_cost);

/*
 * What so many requests cost, until the first reply and until the last; with
 * "concurrent" as many are under way as the server's options allow.
 */
extern void velt_relation_request_cost(const VeltSettings *settings,
									   double requests, bool concurrent,
									   Cost *first, Cost *all);

/* The numbers of the relation's columns that expressions look at, as integers. */
extern List *velt_relation_columns(const RelOptInfo *rel, List *exprs);

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
