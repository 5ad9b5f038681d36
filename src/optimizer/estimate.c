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

#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/estimate.h"
#include "optimizer/optimizer.h"
#include "optimizer/qual.h"
#include "optimizer/relation.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/* What is assumed of a workspace that nobody has looked at. */
#define DEFAULT_KEYS			1000.0
#define DEFAULT_TOKENS_PER_KEY	2.0

/*
 * What a request costs that is under way together with another: it takes no
 * time of its own, but some of what a rate limit leaves.
 */
#define SHARED_ROUND_PART		0.25

/* ----------
 * Size
 * ----------
 */

double
velt_estimate_default_rows_per_key(const VeltResource *resource)
{
	return resource->parent ? DEFAULT_TOKENS_PER_KEY : 1;
}

/* All rows of the resource, as far as is known. */
static double
total_rows(const RelOptInfo *rel, const VeltResource *resource)
{
	if (resource->rows == VELT_ONE_OBJECT)
		return 1;
	/* ANALYZE has counted them, and there may be none */
	if (rel->tuples >= 0)
		return rel->tuples;
	return DEFAULT_KEYS * velt_estimate_default_rows_per_key(resource);
}

/* The number of the column that requests can be restricted by; 0: none. */
static AttrNumber
filter_attnum(const VeltTable *table)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		if (table->columns[i].is_filter)
			return i + 1;
	}
	return 0;
}

/* How many values statistics say a column has; less than 0: nothing. */
static double
distinct_values(PlannerInfo *root, RelOptInfo *rel, AttrNumber attnum)
{
	VariableStatData stats;
	Oid			type;
	int32		typmod;
	Oid			collation;
	double		distinct;
	bool		unknown;

	get_atttypetypmodcoll(planner_rt_fetch(rel->relid, root)->relid, attnum,
						  &type, &typmod, &collation);
	examine_variable(root, (Node *)
					 makeVar(rel->relid, attnum, type, typmod, collation, 0),
					 0, &stats);
	distinct = get_variable_numdistinct(&stats, &unknown);
	ReleaseVariableStats(stats);
	return unknown ? -1 : distinct;
}

void
velt_estimate_size(PlannerInfo *root, RelOptInfo *rel)
{
	VeltRelation *info = rel->fdw_private;
	const VeltResource *resource = info->settings.resource;
	AttrNumber	attnum = filter_attnum(info->table);
	double		distinct = -1;

	rel->tuples = total_rows(rel, resource);
	/* a resource's own keys are unique, which is no question of statistics */
	if (attnum > 0)
		distinct = resource->parent ? distinct_values(root, rel, attnum) :
			rel->tuples;
	info->has_statistics = distinct >= 0;
	info->rows_per_key = resource->parent && info->has_statistics ?
		rel->tuples / distinct : velt_estimate_default_rows_per_key(resource);
}

/* The rows that so many keys have, before any other condition. */
static double
rows_of_keys(const RelOptInfo *rel, double keys)
{
	const VeltRelation *info = rel->fdw_private;

	return Min(keys * info->rows_per_key, rel->tuples);
}

/*
 * The clauses but for those that the quals stand for, of all targets or of
 * VELT_FILTER_WORKSPACE alone.
 */
static List *
other_clauses(RelOptInfo *rel, List *clauses, bool all_targets)
{
	VeltRelation *info = rel->fdw_private;
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);
		VeltQual   *qual = velt_qual_match(rel, info->table, clause->clause);

		if (qual == NULL ||
			(qual->target != VELT_FILTER_WORKSPACE && !all_targets))
			others = lappend(others, clause);
	}
	return others;
}

/* Whether it can be looked up in statistics which keys are asked for. */
static bool
known_keys(const List *quals)
{
	ListCell   *lc;
	ListCell   *value;

	foreach(lc, quals)
	{
		const VeltQual *qual = lfirst(lc);

		foreach(value, qual->values)
		{
			if (qual->target == VELT_FILTER_KEY && !IsA(lfirst(value), Const))
				return false;
		}
	}
	return true;
}

/*
 * All rows are of one workspace, whose id statistics do not have.  Keys are
 * unique, whatever a lack of statistics would make of them.
 */
double
velt_estimate_rows(PlannerInfo *root, RelOptInfo *rel, List *quals,
				   List *clauses)
{
	VeltRelation *info = rel->fdw_private;
	double		keys = velt_qual_estimate_keys(root, quals);
	bool		by_key = (keys >= 0 &&
						  !(info->has_statistics && known_keys(quals)));
	double		rows = by_key ? rows_of_keys(rel, keys) : rel->tuples;
	List	   *others = other_clauses(rel, clauses, by_key);

	/* columns of other relations are as good as constants */
	return clamp_row_est(rows *
						 clauselist_selectivity(root, others, rel->relid,
												JOIN_INNER, NULL));
}

/* ----------
 * Cost
 * ----------
 */

/* What a scan asks for, and how many times it waits for an answer. */
typedef struct Requests
{
	double		total;
	double		rounds;
} Requests;

static Requests
make_requests(double total, double rounds)
{
	Requests	requests = {total, rounds};

	return requests;
}

static Requests
concurrent_requests(const VeltSettings *settings, double total)
{
	return make_requests(total, ceil(total / settings->max_concurrency));
}

/* Until the first reply, and until the last. */
static void
cost_requests(const VeltSettings *settings, Requests requests, Cost *first,
			  Cost *all)
{
	*first = Min(requests.rounds, 1) * settings->request_cost;
	*all = (requests.rounds +
			(requests.total - requests.rounds) * SHARED_ROUND_PART) *
		settings->request_cost;
}

/* Only these keys are asked for, whether they exist or not. */
static Requests
requests_for_keys(const VeltSettings *settings, double keys)
{
	return concurrent_requests(settings,
							   ceil(keys / velt_settings_filter_max(settings)));
}

/* A page names the next one. */
static Requests
requests_for_pages(const VeltSettings *settings, double rows)
{
	double		pages = Max(1, ceil(rows / settings->page_size));

	return make_requests(pages, pages);
}

/* All keys are listed, and each one's rows asked for. */
static Requests
requests_for_all_keys(const VeltSettings *settings, double keys)
{
	Requests	list = requests_for_pages(settings, keys);
	Requests	requests = {.total = list.total + ceil(keys)};

	requests.rounds = ceil(requests.total / settings->max_concurrency);
	/* what the last page lists is asked for thereafter */
	requests.rounds = Max(requests.rounds, list.rounds + 1);
	return requests;
}

/*
 * The requests that answer the query, or that part of it which is looked at;
 * keys less than 0 stand for all.
 */
static Requests
estimate_requests(const RelOptInfo *rel, double keys, double part)
{
	const VeltRelation *info = rel->fdw_private;
	const VeltResource *resource = info->settings.resource;

	if (keys >= 0)
		return requests_for_keys(&info->settings, keys * part);
	if (resource->parent)
		return requests_for_all_keys(&info->settings,
									 rel->tuples * part /
									 Max(info->rows_per_key, 1));
	if (resource->paged)
		return requests_for_pages(&info->settings, rel->tuples * part);
	return make_requests(1, 1);
}

void
velt_estimate_cost(PlannerInfo *root, RelOptInfo *rel, List *quals,
				   double rows, double limit, Cost *startup_cost,
				   Cost *total_cost)
{
	VeltRelation *info = rel->fdw_private;
	double		keys = velt_qual_estimate_keys(root, quals);
	double		looked_at = keys < 0 ? rel->tuples : rows_of_keys(rel, keys);
	double		part = 1;
	Requests	requests;
	Cost		first;
	Cost		all;

	/* a limit ends the scan early, and keeps it from asking ahead */
	if (limit >= 0 && rows > 0)
		part = Min(1, limit / rows);
	requests = estimate_requests(rel, keys, part);

	cost_requests(&info->settings, requests, &first, &all);
	*startup_cost = rel->baserestrictcost.startup + first;
	*total_cost = rel->baserestrictcost.startup + all + looked_at * part *
		(cpu_tuple_cost + rel->baserestrictcost.per_tuple);
}

void
velt_estimate_request_cost(const VeltSettings *settings, double requests,
						   Cost *first, Cost *all)
{
	cost_requests(settings, concurrent_requests(settings, requests), first,
				  all);
}
