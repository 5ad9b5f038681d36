/*
 * optimizer/relation.h
 *		A foreign table in the planner: its size, its cost and its paths.
 */
#ifndef VELT_OPTIMIZER_RELATION_H
#define VELT_OPTIMIZER_RELATION_H

#include "postgres.h"

#include "foreign/fdwapi.h"

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
