/*
 * optimizer/estimate.c
 *		How many rows, in how many requests, and what that costs.
 *
 * What costs is requests: a row costs what any row costs, a request what the
 * server's request_cost says, and those that are under way together cost as
 * much time as one.
 */
#include "postgres.h"

#include <math.h>

#include "optimizer/cost.h"
#include "optimizer/estimate.h"
#include "optimizer/optimizer.h"
#include "optimizer/qual.h"
#include "optimizer/relation.h"

/* What is assumed of a workspace that nobody has looked at. */
#define DEFAULT_KEYS			1000.0
#define DEFAULT_TOKENS_PER_KEY	2.0

/* What a request costs that is under way together with another. */
#define SHARED_ROUND_PART		0.01

/* ----------
 * Size
 * ----------
 */

/* All rows of the resource, as far as is known. */
static double
total_rows(RelOptInfo *rel, const VeltResource *resource)
{
	if (resource->rows == VELT_ONE_OBJECT)
		return 1;
	/* ANALYZE has counted them */
	if (rel->tuples > 0)
		return rel->tuples;
	return resource->parent ? DEFAULT_KEYS * DEFAULT_TOKENS_PER_KEY :
		DEFAULT_KEYS;
}

/* The rows that so many keys have, before any other condition. */
static double
rows_of_keys(RelOptInfo *rel, const VeltResource *resource, double keys)
{
	double		rows = resource->parent ? keys * DEFAULT_TOKENS_PER_KEY : keys;

	return Min(rows, rel->tuples);
}

/*
 * The share of rows that meet all clauses but those the quals stand for.  All
 * rows are of one workspace, whose id statistics do not have.
 */
static Selectivity
other_selectivity(PlannerInfo *root, RelOptInfo *rel, const VeltTable *table,
				  List *clauses)
{
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);

		if (velt_qual_match(rel, table, info->clause) == NULL)
			others = lappend(others, info);
	}
	return clauselist_selectivity(root, others, 0, JOIN_INNER, NULL);
}

void
velt_estimate_size(RelOptInfo *rel)
{
	VeltRelation *info = rel->fdw_private;

	rel->tuples = total_rows(rel, info->settings.resource);
}

double
velt_estimate_rows(PlannerInfo *root, RelOptInfo *rel, List *quals,
				   List *clauses)
{
	VeltRelation *info = rel->fdw_private;
	double		keys = velt_qual_estimate_keys(root, quals);
	double		rows = keys < 0 ? rel->tuples :
		rows_of_keys(rel, info->settings.resource, keys);

	return clamp_row_est(rows * other_selectivity(root, rel, info->table,
												  clauses));
}

/* ----------
 * Cost
 * ----------
 */

/* How many requests answer the query, "keys" < 0 standing for all. */
static double
estimate_requests(const VeltRelation *info, double tuples, double keys)
{
	const VeltResource *resource = info->settings.resource;

	if (keys >= 0)
		return Max(1, ceil(keys / resource->filter_max));
	if (resource->parent)
		return Max(1, ceil(tuples / DEFAULT_TOKENS_PER_KEY)) +
			ceil(tuples / DEFAULT_TOKENS_PER_KEY / VELT_MAX_PAGE_SIZE);
	if (resource->paged)
		return Max(1, ceil(tuples / info->settings.page_size));
	return 1;
}

void
velt_estimate_cost(PlannerInfo *root, RelOptInfo *rel, List *quals,
				   double rows, double limit, Cost *startup_cost,
				   Cost *total_cost)
{
	VeltRelation *info = rel->fdw_private;
	const VeltResource *resource = info->settings.resource;
	double		keys = velt_qual_estimate_keys(root, quals);
	double		requests = estimate_requests(info, rel->tuples, keys);
	double		looked_at = keys < 0 ? rel->tuples :
		rows_of_keys(rel, resource, keys);
	bool		concurrent = keys >= 0 || resource->parent != NULL;
	double		rounds;

	/* a limit ends the scan early, and keeps it from asking ahead */
	if (limit >= 0 && rows > 0)
	{
		double		part = Min(1.0, limit / rows);

		requests = Max(1, ceil(requests * part));
		looked_at *= part;
	}
	rounds = concurrent ?
		ceil(requests / info->settings.max_concurrency) : requests;

	*startup_cost = info->settings.request_cost +
		rel->baserestrictcost.startup;
	/* rounds take time; requests that share one still cost something */
	*total_cost = *startup_cost +
		(rounds - 1) * info->settings.request_cost +
		(requests - rounds) * info->settings.request_cost * SHARED_ROUND_PART +
		looked_at * (cpu_tuple_cost + rel->baserestrictcost.per_tuple);
}

void
velt_estimate_request_cost(const VeltSettings *settings, double requests,
						   Cost *first, Cost *all)
{
	double		rounds = ceil(requests / settings->max_concurrency);

	*first = settings->request_cost;
	*all = rounds * settings->request_cost +
		(requests - rounds) * settings->request_cost * SHARED_ROUND_PART;
}
