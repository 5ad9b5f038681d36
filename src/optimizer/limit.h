/*
 * optimizer/limit.h
 *		LIMIT and OFFSET as a hint to a scan: how many rows will be asked for.
 */
#ifndef VELT_OPTIMIZER_LIMIT_H
#define VELT_OPTIMIZER_LIMIT_H

#include "postgres.h"

#include "foreign/fdwapi.h"
#include "foreign/scan_plan.h"

extern void veltGetForeignUpperPaths(PlannerInfo *root,
									 UpperRelationKind stage,
									 RelOptInfo *input_rel,
									 RelOptInfo *output_rel, void *extra);

/* Puts the path's limit into a plan; returns its expressions. */
extern List *velt_limit_plan(ForeignPath *path, VeltScanPlan *plan);

#endif							/* VELT_OPTIMIZER_LIMIT_H */
