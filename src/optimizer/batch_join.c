/*
 * optimizer/batch_join.c
 *		Plans for a join that asks for the keys of many outer rows together.
 *
 * PostgreSQL joins with a parameterized foreign scan one outer row at a time.
 * This path is offered wherever it could do so: the outer side has the key of
 * the foreign table on the inner side.
 */
#include "postgres.h"

#include <math.h>

#include "executor/batch_join.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/batch_join.h"
#include "optimizer/clauses.h"
#include "optimizer/columns.h"
#include "optimizer/cost.h"
#include "optimizer/estimate.h"
#include "optimizer/join.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/qual.h"
#include "optimizer/relation.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "pg_compat.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

/*
 * Of two plans that make as many requests, this one is to be taken: it stays
 * cheap where there are more rows than was expected.
 */
#define ROBUST_DISCOUNT		0.999

bool		velt_enable_batch_join = true;

static set_join_pathlist_hook_type previous_hook = NULL;

/* One join, while paths for it are made. */
typedef struct Candidate
{
	PlannerInfo *root;
	RelOptInfo *joinrel;
	RelOptInfo *outer;
	RelOptInfo *inner;
	JoinType	type;			/* the executor's */
	List	   *restrictlist;
	Expr	   *key;			/* of the outer side */
	Var		   *key_column;		/* of the inner */
	List	   *columns;		/* that are used above, as they are there */
	QualCost	qual_cost;
} Candidate;

/* The members of a path's custom_private. */
enum
{
	PATH_JOIN_TYPE,				/* integer node */
	PATH_RESTRICTLIST,
	PATH_KEY,
	PATH_KEY_COLUMN,
	PATH_COLUMNS
};

/* ----------
 * Paths
 * ----------
 */

/*
 * Whether a condition of no table is to be checked before the scan begins:
 * that puts a plan node over it, and what is asked for keys is a scan.
 */
static bool
is_gated(const RelOptInfo *rel)
{
	ListCell   *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		if (lfirst_node(RestrictInfo, lc)->pseudoconstant)
			return true;
	}
	return false;
}

/*
 * What has children, or cannot have rows, is not scanned as a foreign table
 * itself, and so was given no fdw_private.
 */
static bool
is_lookup_table(const RelOptInfo *rel)
{
	const VeltRelation *info = rel->fdw_private;

	return IS_SIMPLE_REL(rel) && rel->fdwroutine &&
		rel->fdwroutine->GetForeignPaths == veltGetForeignPaths &&
		info != NULL && info->settings.resource->filter_column &&
		bms_is_empty(rel->lateral_relids) && !is_gated(rel);
}

/*
 * Finds the clause that gives each outer row its key.  In an outer join it
 * must be one of the join itself: others are checked on what it returns.
 */
static bool
find_key(Candidate *join)
{
	const VeltTable *table = ((VeltRelation *) join->inner->fdw_private)->table;
	ListCell   *lc;

	foreach(lc, join->restrictlist)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);
		Relids		needed;
		VeltQual   *qual;

		if (IS_OUTER_JOIN(join->type) &&
			RINFO_IS_PUSHED_DOWN(clause, join->joinrel->relids))
			continue;
		qual = velt_qual_match(join->inner, table, clause->clause);
		if (qual == NULL || qual->target != VELT_FILTER_KEY ||
			list_length(qual->values) != 1 ||
			linitial_int(qual->kinds) != VELT_FILTER_EQUAL)
			continue;
		needed = pull_varnos(join->root, linitial(qual->values));
		if (bms_is_empty(needed) ||
			!bms_is_subset(needed, join->outer->relids))
			continue;
		join->key = linitial(qual->values);
		join->key_column = velt_qual_column(join->inner, table,
											clause->clause);
		return true;
	}
	return false;
}

/* List the columns that are used above the join, if it can return them. */
static bool
find_columns(Candidate *join)
{
	List	   *below = list_concat_copy(join->outer->reltarget->exprs,
										 join->inner->reltarget->exprs);

	return velt_columns_collect(join->joinrel->reltarget->exprs, below,
								&join->columns);
}

/* The foreign table's scan of all rows. */
static Path *
plain_scan(const RelOptInfo *rel)
{
	ListCell   *lc;

	foreach(lc, rel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (IsA(path, ForeignPath) && path->param_info == NULL)
			return path;
	}
	return NULL;
}

/* How many different keys the outer rows have; all are, if nobody knows. */
static double
estimate_keys(const Candidate *join, double rows)
{
	EstimationInfo info = {0};
	double		keys = estimate_num_groups(join->root, list_make1(join->key),
										   rows, NULL, &info);

	return info.flags & SELFLAG_USED_DEFAULT ? rows : keys;
}

/*
 * Whether the query is going to read all rows that this part of it makes.
 * With a LIMIT, a cursor or EXISTS it may not.
 */
static bool
wants_all_rows(const PlannerInfo *root)
{
	return root->tuple_fraction <= 0;
}

/* The rounds of requests before the window is worth a round of its own. */
static int
ramp_up_rounds(const Candidate *join, double keys)
{
	if (wants_all_rows(join->root) || keys <= VELT_BATCH_FIRST_WINDOW)
		return 0;
	return keys <= VELT_BATCH_FIRST_WINDOW * (1 + VELT_BATCH_WINDOW_GROWTH) ?
		1 : 2;
}

/*
 * Costs the path: so many requests as there are different keys, in rounds, and
 * then what a join costs.
 */
static void
cost_path(const Candidate *join, const Path *outer, Path *path)
{
	VeltRelation *info = join->inner->fdw_private;
	double		keys = estimate_keys(join, clamp_row_est(outer->rows));
	double		requests = ceil(keys / velt_settings_filter_max(&info->settings));
	double		pairs = Max(outer->rows, join->joinrel->rows);
	Cost		first;
	Cost		all;

	velt_estimate_request_cost(&info->settings, requests, &first, &all);
	all = (all + first * ramp_up_rounds(join, keys)) * ROBUST_DISCOUNT;
	first *= ROBUST_DISCOUNT;
	path->startup_cost = outer->startup_cost + first +
		join->qual_cost.startup + join->inner->baserestrictcost.startup;
	/* outer rows are kept until they are joined */
	path->total_cost = outer->total_cost + all +
		outer->rows * cpu_tuple_cost +
		join->qual_cost.startup + join->inner->baserestrictcost.startup +
		pairs * (cpu_tuple_cost + cpu_operator_cost +
				 join->qual_cost.per_tuple +
				 join->inner->baserestrictcost.per_tuple);
}

static Plan *plan_batch_join(PlannerInfo *root, RelOptInfo *rel,
							 CustomPath *best_path, List *tlist,
							 List *clauses, List *custom_plans);

static const CustomPathMethods path_methods = {
	.CustomName = "Velt Batch Join",
	.PlanCustomPath = plan_batch_join,
};

/* Rows leave in the outer's order, so what that is sorted by the join is. */
static void
add_batch_path(const Candidate *join, Path *outer)
{
	CustomPath *path = makeNode(CustomPath);
	Path	   *inner = plain_scan(join->inner);

	if (inner == NULL)
		return;
	path->path.pathtype = T_CustomScan;
	path->path.parent = join->joinrel;
	path->path.pathtarget = join->joinrel->reltarget;
	path->path.rows = join->joinrel->rows;
	path->path.pathkeys = outer->pathkeys;
	cost_path(join, outer, &path->path);
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_paths = list_make2(outer, inner);
	path->custom_private = list_make5(makeInteger(join->type),
									  join->restrictlist, join->key,
									  join->key_column, join->columns);
	velt_compat_set_custom_restrictinfo(path, join->restrictlist);
	path->methods = &path_methods;
	add_path(join->joinrel, &path->path);
}

/* The outer's paths that need nothing from elsewhere. */
static void
add_batch_paths(const Candidate *join, bool unique, SpecialJoinInfo *sjinfo)
{
	ListCell   *lc;

	if (unique)
	{
		Path	   *outer = join->outer->cheapest_total_path;

		if (outer && outer->param_info == NULL)
			outer = velt_compat_unique_path(join->root, join->outer, outer,
											sjinfo);
		if (outer && outer->param_info == NULL)
			add_batch_path(join, outer);
		return;
	}
	foreach(lc, join->outer->pathlist)
	{
		Path	   *outer = lfirst(lc);

		if (outer->param_info == NULL)
			add_batch_path(join, outer);
	}
}

/* Whether a single scan returns the join: of keys and their tokens. */
static bool
is_one_scan(const RelOptInfo *joinrel)
{
	return joinrel->fdwroutine && joinrel->fdw_private &&
		joinrel->fdwroutine->GetForeignJoinPaths == veltGetForeignJoinPaths;
}

static void
consider_batch_join(PlannerInfo *root, RelOptInfo *joinrel,
					RelOptInfo *outerrel, RelOptInfo *innerrel,
					JoinType jointype, JoinPathExtraData *extra)
{
	/* a semi-join as an inner join with its outer side made unique */
	bool		unique = jointype == JOIN_UNIQUE_OUTER;
	Candidate	join = {
		.root = root,
		.joinrel = joinrel,
		.outer = outerrel,
		.inner = innerrel,
		.type = unique ? JOIN_INNER : jointype,
		.restrictlist = extra->restrictlist
	};

	if (previous_hook)
		previous_hook(root, joinrel, outerrel, innerrel, jointype, extra);
	if (!velt_enable_batch_join || !is_lookup_table(innerrel) ||
		!bms_is_empty(joinrel->lateral_relids) || is_one_scan(joinrel))
		return;
	if (join.type != JOIN_INNER && join.type != JOIN_LEFT &&
		join.type != JOIN_SEMI && join.type != JOIN_ANTI)
		return;
	if (!find_key(&join) || !find_columns(&join))
		return;
	cost_qual_eval(&join.qual_cost, join.restrictlist, root);
	add_batch_paths(&join, unique, extra->sjinfo);
}

void
velt_batch_join_install(void)
{
	previous_hook = set_join_pathlist_hook;
	set_join_pathlist_hook = consider_batch_join;
}

/* ----------
 * Plan
 * ----------
 */

/*
 * The columns of both children, one after the other.  Those that are used
 * above the join are as they are known there: maybe made NULL by it.
 */
static List *
joined_tlist(List *children, List *returned)
{
	List	   *tlist = NIL;
	ListCell   *child;
	ListCell   *lc;

	foreach(child, children)
	{
		foreach(lc, ((Plan *) lfirst(child))->targetlist)
		{
			Expr	   *below = lfirst_node(TargetEntry, lc)->expr;
			Expr	   *above = (Expr *) velt_columns_find(returned,
														   (Node *) below);

			tlist = lappend(tlist,
							makeTargetEntry(copyObject(above ? above : below),
											list_length(tlist) + 1, NULL,
											false));
		}
	}
	return tlist;
}

/* Which of the plan's columns that one is, from 0. */
static int
find_column(const Plan *plan, const Var *column)
{
	ListCell   *lc;

	foreach(lc, plan->targetlist)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (IsA(var, Var) && var->varno == column->varno &&
			var->varattno == column->varattno)
			return foreach_current_index(lc);
	}
	elog(ERROR, "key column is not among those of the inner plan");
}

/* What is checked of a pair, and what on the rows that the join returns. */
static void
split_clauses(JoinType type, List *restrictlist, Relids relids, List **joining,
			  List **above)
{
	List	   *joins = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, restrictlist)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);

		if (IS_OUTER_JOIN(type) && RINFO_IS_PUSHED_DOWN(clause, relids))
			others = lappend(others, clause);
		else
			joins = lappend(joins, clause);
	}
	*joining = velt_clauses(joins);
	*above = velt_clauses(others);
}

/*
 * What of the join's clauses can be said of an outer row alone; but nothing
 * that is behind a barrier and might tell what that hides.
 */
static List *
outer_clauses(List *restrictlist, JoinType type, Relids relids, Relids outer)
{
	List	   *clauses = NIL;
	Index		barrier = PG_UINT32_MAX;
	ListCell   *lc;

	foreach(lc, velt_sorted_clauses(restrictlist))
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);

		if (IS_OUTER_JOIN(type) && RINFO_IS_PUSHED_DOWN(clause, relids))
			continue;
		if (!bms_is_subset(clause->clause_relids, outer) ||
			contain_volatile_functions((Node *) clause->clause) ||
			contain_subplans((Node *) clause->clause))
			barrier = Min(barrier, clause->security_level);
		else if (clause->security_level <= barrier || clause->leakproof)
			clauses = lappend(clauses, clause->clause);
	}
	return clauses;
}

/* The key of an outer row, or NULL if nothing can match the row. */
static Expr *
key_if_needed(Expr *key, List *conditions)
{
	CaseExpr   *choice = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	if (conditions == NIL)
		return key;
	when->expr = make_ands_explicit(conditions);
	when->result = key;
	when->location = -1;
	choice->casetype = exprType((Node *) key);
	choice->casecollid = exprCollation((Node *) key);
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeNullConst(choice->casetype, -1,
											   choice->casecollid);
	choice->location = -1;
	return (Expr *) choice;
}

/*
 * Shows the outer side of an equality first, as the core does in hash and
 * merge clauses: the planner may have it either way round.
 */
static Node *
put_outer_first(PlannerInfo *root, Node *clause, Relids inner)
{
	OpExpr	   *op = copyObject((OpExpr *) clause);

	if (!is_opclause(clause) || list_length(op->args) != 2 ||
		get_commutator(op->opno) != op->opno ||
		!bms_equal(pull_varnos(root, linitial(op->args)), inner) ||
		bms_overlap(pull_varnos(root, lsecond(op->args)), inner))
		return clause;
	CommuteOpExpr(op);
	return (Node *) op;
}

static List *
put_outers_first(PlannerInfo *root, List *clauses, Relids inner)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
		result = lappend(result, put_outer_first(root, lfirst(lc), inner));
	return result;
}

static Plan *
plan_batch_join(PlannerInfo *root, RelOptInfo *rel,
				CustomPath *best_path, List *tlist,
				List *clauses pg_attribute_unused(), List *custom_plans)
{
	CustomScan *plan = makeNode(CustomScan);
	List	   *members = best_path->custom_private;
	JoinType	type = intVal(list_nth(members, PATH_JOIN_TYPE));
	Plan	   *inner = list_nth(custom_plans, VELT_BATCH_INNER);
	Path	   *inner_path = list_nth(best_path->custom_paths,
									  VELT_BATCH_INNER);
	List	   *scan_tlist = joined_tlist(custom_plans,
										  list_nth(members, PATH_COLUMNS));
	List	   *restrictlist = list_nth(members, PATH_RESTRICTLIST);
	Path	   *outer = list_nth(best_path->custom_paths, VELT_BATCH_OUTER);
	List	   *needed = outer_clauses(restrictlist, type, rel->relids,
									   outer->parent->relids);
	List	   *joining;
	List	   *above;
	List	   *exprs;

	split_clauses(type, restrictlist, rel->relids, &joining, &above);
	joining = put_outers_first(root, joining, inner_path->parent->relids);
	exprs = list_make2(key_if_needed(list_nth(members, PATH_KEY), needed),
					   make_ands_explicit(joining));
	plan->scan.plan.targetlist =
		(List *) velt_columns_of_tlist((Node *) tlist, scan_tlist);
	plan->scan.plan.qual =
		(List *) velt_columns_of_tlist((Node *) above, scan_tlist);
	plan->custom_exprs =
		(List *) velt_columns_of_tlist((Node *) exprs, scan_tlist);
	plan->custom_scan_tlist = scan_tlist;
	plan->custom_plans = custom_plans;
	plan->custom_private =
		list_make3_int(type, find_column(inner, list_nth(members,
														 PATH_KEY_COLUMN)),
					   wants_all_rows(root));
	plan->flags = best_path->flags;
	plan->methods = &velt_batch_join_scan_methods;
	return &plan->scan.plan;
}
