/*
 * optimizer/relation.c
 *		A foreign table in the planner: its paths, and its part of the plan.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "foreign/scan_plan.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/estimate.h"
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

void
veltGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	VeltRelation *info = palloc0(sizeof(VeltRelation));
	Relation	relation = table_open(relid, NoLock);

	velt_table_settings(relid, &info->settings);
	info->table = velt_table_describe(relation, info->settings.resource);
	table_close(relation, NoLock);
	info->quals = velt_qual_list(rel, info->table, rel->baserestrictinfo);
	rel->fdw_private = info;

	velt_estimate_size(root, rel);
	set_baserel_size_estimates(root, rel);
	rel->rows = velt_estimate_rows(root, rel, info->quals,
								   rel->baserestrictinfo);
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
	double		rows;
	Cost		startup;
	Cost		total;

	if (velt_qual_estimate_keys(root, quals) < 0)
		return;
	rows = velt_estimate_rows(root, rel, quals, clauses);
	param->ppi_rows = rows;
	velt_estimate_cost(root, rel, quals, rows, -1, &startup, &total);
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
		List	   *clauses;

		clauses =
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

	velt_estimate_cost(root, rel, info->quals, rel->rows, -1, &startup,
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

static bool
looks_at(const Bitmapset *used, int attnum)
{
	return bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, used) ||
		bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
}

List *
velt_relation_columns(const RelOptInfo *rel, List *exprs, Node *copy)
{
	const VeltTable *table = ((VeltRelation *) rel->fdw_private)->table;
	Bitmapset  *used = NULL;
	Bitmapset  *copied = NULL;
	List	   *attnums = NIL;

	pull_varattnos((Node *) exprs, rel->relid, &used);
	pull_varattnos(copy, rel->relid, &copied);
	for (int attnum = 1; attnum <= table->ncolumns; attnum++)
	{
		const VeltTableColumn *column = &table->columns[attnum - 1];
		bool		has_value = velt_column_has_value(column);

		if ((looks_at(used, attnum) && (has_value || column->unmatched)) ||
			(looks_at(copied, attnum) && has_value))
			attnums = lappend_int(attnums, attnum);
	}
	return attnums;
}

/* Returns whether a part of the query uses the table's row as a whole. */
static bool
uses_row(Node *node, void *context)
{
	const RelOptInfo *table = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno == (int) table->relid &&
			((Var *) node)->varattno == 0 && ((Var *) node)->varlevelsup == 0;
	/* the planner adds these for row marks; a sort key has a reference */
	if (IsA(node, TargetEntry) && ((TargetEntry *) node)->resjunk &&
		((TargetEntry *) node)->ressortgroupref == 0 &&
		IsA(((TargetEntry *) node)->expr, Var))
		return false;
	return expression_tree_walker(node, uses_row, context);
}

/*
 * Returns what of the relation's target copies the row as a whole for a row
 * mark alone, or NULL.  Queries that lock or change rows of one table carry
 * such copies of the others' rows, to check a changed row again.  Nothing
 * shows them, so a column that the query does not use needs no value in them.
 *
 * A partition has the copy where its topmost parent has it; what uses it is
 * known of that parent alone.
 */
static Node *
row_mark_copy(PlannerInfo *root, RelOptInfo *rel)
{
	RelOptInfo *table = rel;
	ListCell   *of_table;
	ListCell   *of_rel;

	if (root->rowMarks == NIL)
		return NULL;
	if (IS_OTHER_REL(rel))
		table = find_base_rel(root,
							  bms_singleton_member(rel->top_parent_relids));
	/* 0 is the target list; a lateral reference is by another table */
	if (bms_next_member(table->attr_needed[0 - table->min_attr], 0) >= 0 ||
		query_tree_walker(root->parse, uses_row, table,
						  QTW_IGNORE_RANGE_TABLE))
		return NULL;
	forboth(of_table, table->reltarget->exprs, of_rel, rel->reltarget->exprs)
	{
		if (uses_row(lfirst(of_table), table))
			return lfirst(of_rel);
	}
	return NULL;
}

ForeignScan *
veltGetForeignPlan(PlannerInfo *root, RelOptInfo *rel,
				   Oid relid pg_attribute_unused(), ForeignPath *path,
				   List *tlist, List *scan_clauses, Plan *outer_plan)
{
	VeltRelation *info = rel->fdw_private;
	List	   *conditions = extract_actual_clauses(scan_clauses, false);
	VeltScanPlan plan = {0};
	Node	   *copy;
	List	   *used;
	List	   *values;

	if (IS_JOIN_REL(rel))
		return velt_join_plan(rel, tlist);
	copy = row_mark_copy(root, rel);
	used = list_concat_copy(rel->reltarget->exprs, conditions);
	plan.resource = info->settings.resource;
	plan.attnums = velt_relation_columns(rel, list_delete_ptr(used, copy),
										 copy);
	values = velt_qual_plan(velt_qual_list(rel, info->table, scan_clauses),
							&plan);
	values = list_concat(values, velt_limit_plan(path, &plan));
	return make_foreignscan(tlist, conditions, rel->relid, values,
							velt_scan_plan_encode(&plan), NIL, NIL,
							outer_plan);
}
