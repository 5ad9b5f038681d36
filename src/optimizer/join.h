/*
 * optimizer/join.h
 *		API keys joined with their tokens, as one foreign scan.
 */
#ifndef VELT_OPTIMIZER_JOIN_H
#define VELT_OPTIMIZER_JOIN_H

#include "postgres.h"

#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"

extern void veltGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel,
									RelOptInfo *outerrel,
									RelOptInfo *innerrel, JoinType jointype,
									JoinPathExtraData *extra);

/* As veltGetForeignPlan, for the one path of such a join. */
extern ForeignScan *velt_join_plan(RelOptInfo *joinrel, List *tlist);

/* As veltIsForeignPathAsyncCapable. */
extern bool velt_join_is_async_capable(RelOptInfo *joinrel);

#endif							/* VELT_OPTIMIZER_JOIN_H */
