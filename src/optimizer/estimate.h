/*
 * optimizer/estimate.h
 *		How many rows, in how many requests, and what that costs.
 */
#ifndef VELT_OPTIMIZER_ESTIMATE_H
#define VELT_OPTIMIZER_ESTIMATE_H

#include "postgres.h"

#include "client/resource.h"
#include "foreign/option.h"
#include "nodes/pathnodes.h"

/*
 * Sets rel->tuples, and what the relation's VeltRelation knows of keys, once
 * that has its settings and its table.
 */
extern void velt_estimate_size(PlannerInfo *root, RelOptInfo *rel);

/* What is assumed of a resource that nobody has looked at. */
extern double velt_estimate_default_rows_per_key(const VeltResource *resource);

/*
 * The rows that a scan returns which meet all the RestrictInfos, of which the
 * VeltQuals are those that restrict the request.
 */
extern double velt_estimate_rows(PlannerInfo *root, RelOptInfo *rel,
								 List *quals, List *clauses);

/*
 * What a scan with these VeltQuals costs.  rows are those it returns, of
 * which "limit" (less than 0: all) are going to be looked at.
 */
extern void velt_estimate_cost(PlannerInfo *root, RelOptInfo *rel,
							   List *quals, double rows, double limit,
							   Cost *startup_cost, Cost *total_cost);

/*
 * What so many requests cost, as many at a time as the settings allow, until
 * the first reply and until the last.
 */
extern void velt_estimate_request_cost(const VeltSettings *settings,
									   double requests, Cost *first,
									   Cost *all);

#endif							/* VELT_OPTIMIZER_ESTIMATE_H */
