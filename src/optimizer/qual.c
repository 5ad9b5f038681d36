/*
 * optimizer/qual.c
 *		May this clause go to the API, and as which filter.
 *
 * Only where the meaning is provably the same: equality of text, byte by
 * byte, with values that are known before the first row is asked for.
 */
#include "postgres.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/qual.h"
#include "pg_compat.h"
#include "utils/lsyscache.h"

/* What clauses are matched against. */
typedef struct Subject
{
	RelOptInfo *rel;
	const VeltTable *table;
} Subject;

/* ----------
 * Matching
 * ----------
 */

/* Whether the column's text is the API's: varchar(n) cuts trailing blanks. */
static bool
keeps_bytes(const Var *var)
{
	return var->vartype == TEXTOID ||
		(var->vartype == VARCHAROID && var->vartypmod < 0);
}

/* The expression without what changes its type but not its bytes. */
static Expr *
strip_relabels(Expr *expr)
{
	/* varchar is compared as text */
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	return expr;
}

/* Whether the expression is a column that can be restricted, as text. */
static bool
is_target(Expr *expr, const Subject *subject, VeltFilterTarget *target)
{
	const VeltTableColumn *column;
	Var		   *var;

	expr = strip_relabels(expr);
	if (!IsA(expr, Var))
		return false;
	var = (Var *) expr;
	if (var->varno != (int) subject->rel->relid || var->varlevelsup != 0 ||
		var->varattno <= 0 || var->varattno > subject->table->ncolumns ||
		!keeps_bytes(var))
		return false;
	column = &subject->table->columns[var->varattno - 1];
	*target = column->is_filter ? VELT_FILTER_KEY : VELT_FILTER_WORKSPACE;
	return column->is_filter || column->source == VELT_FROM_WORKSPACE;
}

/* Whether the value is known, and the same, for all rows of a scan. */
static bool
is_stable_value(Expr *expr, const Subject *subject)
{
	return !bms_is_member(subject->rel->relid,
						  pull_varnos(NULL, (Node *) expr)) &&
		!contain_volatile_functions((Node *) expr) &&
		!contain_subplans((Node *) expr);
}

/* A collation that takes texts of different bytes for equal has its own idea. */
static bool
is_bytewise(Oid operator, Oid collation)
{
	return operator == TextEqualOperator &&
		(!OidIsValid(collation) || get_collation_isdeterministic(collation));
}

static VeltQual *
make_qual(VeltFilterTarget target, VeltFilterKind kind, Expr *value)
{
	VeltQual   *qual = palloc(sizeof(VeltQual));

	qual->target = target;
	qual->kinds = list_make1_int(kind);
	qual->values = list_make1(value);
	return qual;
}

static VeltQual *
match_equality(OpExpr *op, const Subject *subject)
{
	VeltFilterTarget target;

	if (!is_bytewise(op->opno, op->inputcollid))
		return NULL;
	for (int side = 0; side < 2; side++)
	{
		Expr	   *column = list_nth(op->args, side);
		Expr	   *value = list_nth(op->args, 1 - side);

		if (is_target(column, subject, &target) &&
			is_stable_value(value, subject))
			return make_qual(target, VELT_FILTER_EQUAL, value);
	}
	return NULL;
}

static VeltQual *
match_any(ScalarArrayOpExpr *op, const Subject *subject)
{
	VeltFilterTarget target;

	if (op->useOr && is_bytewise(op->opno, op->inputcollid) &&
		is_target(linitial(op->args), subject, &target) &&
		is_stable_value(lsecond(op->args), subject))
		return make_qual(target, VELT_FILTER_ANY, lsecond(op->args));
	return NULL;
}

/* Equalities of the same column: what the planner makes no array of. */
static VeltQual *
match_or(BoolExpr *expr, const Subject *subject)
{
	VeltQual   *all = NULL;
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		VeltQual   *one = velt_qual_match(subject->rel, subject->table,
										  lfirst(lc));

		if (one == NULL || (all != NULL && all->target != one->target))
			return NULL;
		if (all == NULL)
			all = one;
		else
		{
			all->kinds = list_concat(all->kinds, one->kinds);
			all->values = list_concat(all->values, one->values);
		}
	}
	return all;
}

VeltQual *
velt_qual_match(RelOptInfo *rel, const VeltTable *table, Expr *clause)
{
	Subject		subject = {rel, table};

	if (IsA(clause, OpExpr))
		return match_equality((OpExpr *) clause, &subject);
	if (IsA(clause, ScalarArrayOpExpr))
		return match_any((ScalarArrayOpExpr *) clause, &subject);
	if (is_orclause(clause))
		return match_or((BoolExpr *) clause, &subject);
	return NULL;
}

Var *
velt_qual_column(RelOptInfo *rel, const VeltTable *table, Expr *clause)
{
	Subject		subject = {rel, table};
	VeltFilterTarget target;
	List	   *args = ((OpExpr *) clause)->args;

	return (Var *) strip_relabels(is_target(linitial(args), &subject, &target) ?
								  linitial(args) : lsecond(args));
}

static bool
is_key(Expr *expr, const Subject *subject)
{
	VeltFilterTarget target;

	return is_target(expr, subject, &target) && target == VELT_FILTER_KEY;
}

bool
velt_qual_joins_keys(RelOptInfo *rel, const VeltTable *table,
					 RelOptInfo *other, const VeltTable *other_table,
					 Expr *clause, Var **column, Var **other_column)
{
	Subject		subject = {rel, table};
	Subject		other_subject = {other, other_table};
	OpExpr	   *op = (OpExpr *) clause;

	if (!IsA(clause, OpExpr) || !is_bytewise(op->opno, op->inputcollid))
		return false;
	for (int side = 0; side < 2; side++)
	{
		Expr	   *one = list_nth(op->args, side);
		Expr	   *two = list_nth(op->args, 1 - side);

		if (!is_key(one, &subject) || !is_key(two, &other_subject))
			continue;
		*column = (Var *) strip_relabels(one);
		*other_column = (Var *) strip_relabels(two);
		return true;
	}
	return false;
}

List *
velt_qual_list(RelOptInfo *rel, const VeltTable *table, List *clauses)
{
	List	   *quals = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		VeltQual   *qual = velt_qual_match(rel, table,
										   lfirst_node(RestrictInfo, lc)->clause);

		if (qual)
			quals = lappend(quals, qual);
	}
	return quals;
}

/* ----------
 * What they come to
 * ----------
 */

/* How many different values an array of a subquery's rows has. */
static double
count_rows(PlannerInfo *root, const SubPlan *subplan)
{
	int			number = subplan->plan_id - 1;
	double		rows = ((Plan *) list_nth(root->glob->subplans,
										  number))->plan_rows;
	PlannerInfo *subroot = list_nth(root->glob->subroots, number);
	Query	   *query = subroot->parse;

	/* what is grouped is distinct, more or less, as for set operations */
	if (query->setOperations || query->groupClause || query->groupingSets ||
		query->distinctClause || subroot->hasHavingQual || query->hasAggs)
		return rows;
	return estimate_num_groups(subroot,
							   list_make1(linitial_node(TargetEntry, query->targetList)->expr),
							   rows, NULL, NULL);
}

/* The planner has no idea of = ANY (ARRAY(SELECT ...)), but a plan for it. */
static double
count_elements(PlannerInfo *root, Expr *array)
{
	Expr	   *bare = array;

	while (IsA(bare, RelabelType))
		bare = ((RelabelType *) bare)->arg;
	for (PlannerInfo *level = root; IsA(bare, Param) && level != NULL;
		 level = level->parent_root)
	{
		ListCell   *lc;

		foreach(lc, level->init_plans)
		{
			SubPlan    *subplan = lfirst_node(SubPlan, lc);

			if (((Param *) bare)->paramkind == PARAM_EXEC &&
				subplan->subLinkType == ARRAY_SUBLINK &&
				list_member_int(subplan->setParam, ((Param *) bare)->paramid))
				return count_rows(level, subplan);
		}
	}
	return velt_compat_array_length(root, (Node *) array);
}

static double
count_values(PlannerInfo *root, const VeltQual *qual)
{
	double		count = 0;
	ListCell   *kind;
	ListCell   *value;

	forboth(kind, qual->kinds, value, qual->values)
	{
		if (lfirst_int(kind) == VELT_FILTER_EQUAL)
			count += 1;
		else
			count += count_elements(root, lfirst(value));
	}
	return count;
}

double
velt_qual_estimate_keys(PlannerInfo *root, List *quals)
{
	double		nkeys = -1;
	ListCell   *lc;

	/* of several quals only what all of them allow is asked for */
	foreach(lc, quals)
	{
		const VeltQual *qual = lfirst(lc);
		double		n;

		if (qual->target != VELT_FILTER_KEY)
			continue;
		n = count_values(root, qual);
		if (nkeys < 0 || n < nkeys)
			nkeys = n;
	}
	return nkeys;
}

List *
velt_qual_plan(List *quals, VeltScanPlan *plan)
{
	List	   *values = NIL;
	ListCell   *lc;
	ListCell   *kind;

	plan->nterms = 0;
	foreach(lc, quals)
		plan->nterms += list_length(((VeltQual *) lfirst(lc))->values);
	plan->terms = palloc(sizeof(VeltFilterTerm) * Max(plan->nterms, 1));
	plan->nterms = 0;
	foreach(lc, quals)
	{
		const VeltQual *qual = lfirst(lc);

		foreach(kind, qual->kinds)
		{
			VeltFilterTerm *term = &plan->terms[plan->nterms++];

			term->qual = foreach_current_index(lc);
			term->target = qual->target;
			term->kind = lfirst_int(kind);
		}
		values = list_concat(values, qual->values);
	}
	return values;
}
