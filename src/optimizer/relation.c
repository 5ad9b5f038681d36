/*
 * optimizer/relation.c
 *		A foreign table in the planner: its size, its cost and its paths.
 *
 * What costs is requests: a row costs what any row costs, a request what the
 * server's request_cost says, and those that are under way together cost as
 * much time as one.
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "access/table.h"
#include "foreign/scan_plan.h"
#include "optimizer/cost.h"
#include "optimizer/join.h"
#include "optimizer/limit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/qual.h"
#include "optimizer/relation.h"
#include "optimizer/restrictinfo.h"
#include "pg_compat.h"
#include "utils/rel.h"

/* What is assumed of a workspace that nobody has looked at. */
#define DEFAULT_KEYS			1000.0
#define DEFAULT_TOKENS_PER_KEY	2.0

/* What a request costs that is under way together with another. */
#define SHARED_ROUND_PART		0.01

/* ----------
 * Size and cost
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
veltGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	VeltRelation *info = palloc0(sizeof(VeltRelation));
	Relation	relation = table_open(relid, NoLock);
	double		keys;

	velt_table_settings(relid, &info->settings);
	info->table = velt_table_describe(relation, info->settings.resource);
	table_close(relation, NoLock);
	info->quals = velt_qual_list(rel, info->table, rel->baserestrictinfo);
	rel->fdw_private = info;

	rel->tuples = total_rows(rel, info->settings.resource);
	set_baserel_size_estimates(root, rel);

	/* keys are unique, whatever a lack of statistics would make of them */
	keys = velt_qual_estimate_keys(root, info->quals);
	rel->rows = clamp_row_est((keys < 0 ? rel->tuples :
							   rows_of_keys(rel, info->settings.resource,
											keys)) *
							  other_selectivity(root, rel, info->table,
												rel->baserestrictinfo));
}

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
velt_relation_request_cost(const VeltSettings *settings, double requests,
						   bool concurrent, Cost *first, Cost *all)
{
	double		rounds = concurrent ?
		ceil(requests / settings->max_concurrency) : requests;

	*first = settings->request_cost;
	/* rounds take time; requests that share one still cost something */
	*all = rounds * settings->request_cost +
		(requests - rounds) * settings->request_cost * SHARED_ROUND_PART;
}

void
velt_relation_cost(PlannerInfo *root, RelOptInfo *rel, List *quals,
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
	Cost		first;
	Cost		all;

	/* a limit ends the scan early, and keeps it from asking ahead */
	if (limit >= 0 && rows > 0)
	{
		double		part = Min(1.0, limit / rows);

		requests = Max(1, ceil(requests * part));
		looked_at *= part;
	}
	velt_relation_request_cost(&info->settings, requests, concurrent, &first,
							   &all);
	*startup_cost = first + rel->baserestrictcost.startup;
	*total_cost = all + rel->baserestrictcost.startup +
		looked_at * (cpu_tuple_cost + rel->baserestrictcost.per_tuple);
}

/* ----------
 * Paths
 * ----------
 */

/*
 * A path that takes keys from the other side of a join, for the clauses that
 * the parameterization brings; nothing if they do not restrict the keys.
 */
static void
add_parameterized_path(PlannerInfo *root, RelOptInfo *rel,
					   Relids required_outer)
{
	VeltRelation *info = rel->fdw_private;
	ParamPathInfo *param = get_baserel_parampathinfo(root, rel,
													 required_outer);
	List	   *clauses = list_concat_copy(param->ppi_clauses,
										   rel->baserestrictinfo);
	List	   *quals = velt_qual_list(rel, info->table, clauses);
	double		keys = velt_qual_estimate_keys(root, quals);
	double		rows;
	Cost		startup;
	Cost		total;

	if (keys < 0)
		return;
	rows = clamp_row_est(rows_of_keys(rel, info->settings.resource, keys) *
						 other_selectivity(root, rel, info->table, clauses));
	param->ppi_rows = rows;
	velt_relation_cost(root, rel, quals, rows, -1, &startup, &total);
	add_path(rel, (Path *)
			 velt_compat_foreign_path(root, rel, rows, startup, total,
									  required_outer, NIL));
}

/* Notes which other relations a clause would need, if it restricts keys. */
static List *
note_outer(RelOptInfo *rel, RestrictInfo *clause, List *outers)
{
	VeltRelation *info = rel->fdw_private;
	VeltQual   *qual;
	Relids		outer;
	ListCell   *lc;

	if (!join_clause_is_movable_to(clause, rel))
		return outers;
	qual = velt_qual_match(rel, info->table, clause->clause);
	if (qual == NULL || qual->target != VELT_FILTER_KEY)
		return outers;
	outer = bms_union(clause->clause_relids, rel->lateral_relids);
	outer = bms_del_member(outer, rel->relid);
	if (bms_is_empty(outer))
		return outers;
	foreach(lc, outers)
	{
		if (bms_equal(lfirst(lc), outer))
			return outers;
	}
	return lappend(outers, outer);
}

/* Whether an equivalence is about a column that can be restricted. */
static bool
is_key_member(PlannerInfo *root pg_attribute_unused(), RelOptInfo *rel,
			  EquivalenceClass *ec pg_attribute_unused(),
			  EquivalenceMember *em, void *arg pg_attribute_unused())
{
	VeltRelation *info = rel->fdw_private;
	Expr	   *expr = em->em_expr;

	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	return IsA(expr, Var) && ((Var *) expr)->varno == (int) rel->relid &&
		((Var *) expr)->varattno > 0 &&
		info->table->columns[((Var *) expr)->varattno - 1].is_filter;
}

static void
add_parameterized_paths(PlannerInfo *root, RelOptInfo *rel)
{
	List	   *outers = NIL;
	ListCell   *lc;

	foreach(lc, rel->joininfo)
		outers = note_outer(rel, lfirst_node(RestrictInfo, lc), outers);
	if (rel->has_eclass_joins)
	{
		List	   *clauses =
			generate_implied_equalities_for_column(root, rel, is_key_member,
												   NULL,
												   rel->lateral_referencers);

		foreach(lc, clauses)
			outers = note_outer(rel, lfirst_node(RestrictInfo, lc), outers);
	}
	foreach(lc, outers)
		add_parameterized_path(root, rel, lfirst(lc));
}

void
veltGetForeignPaths(PlannerInfo *root, RelOptInfo *rel,
					Oid relid pg_attribute_unused())
{
	VeltRelation *info = rel->fdw_private;
	Cost		startup;
	Cost		total;

	velt_relation_cost(root, rel, info->quals, rel->rows, -1, &startup,
					   &total);
	add_path(rel, (Path *)
			 velt_compat_foreign_path(root, rel, rel->rows, startup, total,
									  rel->lateral_relids, NIL));
	if (info->settings.resource->filter_column)
		add_parameterized_paths(root, rel);
}

bool
veltIsForeignPathAsyncCapable(ForeignPath *path)
{
	RelOptInfo *rel = path->path.parent;

	return IS_JOIN_REL(rel) ? velt_join_is_async_capable(rel) :
		((VeltRelation *) rel->fdw_private)->settings.async_capable;
}

/* ----------
 * Plan
 * ----------
 */

List *
velt_relation_columns(const RelOptInfo *rel, List *exprs)
{
	const VeltTable *table = ((VeltRelation *) rel->fdw_private)->table;
	Bitmapset  *used = NULL;
	List	   *attnums = NIL;
	bool		all;

	pull_varattnos((Node *) exprs, rel->relid, &used);
	all = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	for (int attnum = 1; attnum <= table->ncolumns; attnum++)
	{
		const VeltTableColumn *column = &table->columns[attnum - 1];
		bool		dropped = column->source == VELT_FROM_ROW &&
			column->pointer == NULL;

		if (!dropped &&
			(all || bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
								  used)))
			attnums = lappend_int(attnums, attnum);
	}
	return attnums;
}

ForeignScan *
veltGetForeignPlan(PlannerInfo *root pg_attribute_unused(), RelOptInfo *rel,
				   Oid relid pg_attribute_unused(), ForeignPath *path,
				   List *tlist, List *scan_clauses, Plan *outer_plan)
{
	VeltRelation *info = rel->fdw_private;
	List	   *conditions = extract_actual_clauses(scan_clauses, false);
	VeltScanPlan plan = {0};
	List	   *values;

	if (IS_JOIN_REL(rel))
		return velt_join_plan(rel, tlist);
	plan.resource = info->settings.resource;
	plan.attnums =
		velt_relation_columns(rel, list_concat_copy(rel->reltarget->exprs,
													conditions));
	values = velt_qual_plan(velt_qual_list(rel, info->table, scan_clauses),
							&plan);
	values = list_concat(values, velt_limit_plan(path, &plan));
	return make_foreignscan(tlist, conditions, rel->relid, values,
							velt_scan_plan_encode(&plan), NIL, NIL,
							outer_plan);
}
