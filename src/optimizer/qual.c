/*
 * optimizer/qual.c
 *		May this clause go to the API, and as which filter.
 *
 * Only where the meaning is provably the same: equality of text, byte by
 * byte, with a value that is known before the first row is asked for.
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

/* Whether the expression is the relation's filter column, as text. */
static bool
is_filter_column(Expr *expr, RelOptInfo *rel, const VeltTable *table)
{
	Var		   *var;

	/* varchar is compared as text, without a change of its bytes */
	while (IsA(expr, RelabelType))
		expr = ((RelabelType *) expr)->arg;
	if (!IsA(expr, Var))
		return false;
	var = (Var *) expr;
	return var->varno == (int) rel->relid && var->varlevelsup == 0 &&
		var->varattno > 0 && var->varattno <= table->ncolumns &&
		table->columns[var->varattno - 1].is_filter &&
		(var->vartype == TEXTOID || var->vartype == VARCHAROID);
}

/* Whether the value is known, and the same, for all rows of a scan. */
static bool
is_stable_value(Expr *expr)
{
	return !contain_var_clause((Node *) expr) &&
		!contain_volatile_functions((Node *) expr) &&
		!contain_subplans((Node *) expr);
}

/* A collation that tells equal texts of different bytes has its own idea. */
static bool
is_bytewise(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

static VeltFilter *
make_filter(VeltFilterKind kind, Expr *value)
{
	VeltFilter *filter = palloc(sizeof(VeltFilter));

	filter->kind = kind;
	filter->value = value;
	return filter;
}

static VeltFilter *
match_equality(OpExpr *op, RelOptInfo *rel, const VeltTable *table)
{
	Expr	   *left;
	Expr	   *right;

	if (op->opno != TextEqualOperator || !is_bytewise(op->inputcollid) ||
		list_length(op->args) != 2)
		return NULL;
	left = linitial(op->args);
	right = lsecond(op->args);
	if (is_filter_column(left, rel, table) && is_stable_value(right))
		return make_filter(VELT_FILTER_EQUAL, right);
	if (is_filter_column(right, rel, table) && is_stable_value(left))
		return make_filter(VELT_FILTER_EQUAL, left);
	return NULL;
}

static VeltFilter *
match_any(ScalarArrayOpExpr *op, RelOptInfo *rel, const VeltTable *table)
{
	if (op->useOr && op->opno == TextEqualOperator &&
		is_bytewise(op->inputcollid) &&
		is_filter_column(linitial(op->args), rel, table) &&
		is_stable_value(lsecond(op->args)))
		return make_filter(VELT_FILTER_ANY, lsecond(op->args));
	return NULL;
}

List *
velt_qual_filters(RelOptInfo *rel, const VeltTable *table, List *clauses)
{
	List	   *filters = NIL;
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);
		VeltFilter *filter = NULL;

		if (IsA(info->clause, OpExpr))
			filter = match_equality((OpExpr *) info->clause, rel, table);
		else if (IsA(info->clause, ScalarArrayOpExpr))
			filter = match_any((ScalarArrayOpExpr *) info->clause, rel,
							   table);
		if (filter)
			filters = lappend(filters, filter);
	}
	return filters;
}

double
velt_qual_estimate_keys(PlannerInfo *root, List *filters)
{
	double		nkeys = -1;
	ListCell   *lc;

	/* of several filters only what all of them allow is asked for */
	foreach(lc, filters)
	{
		VeltFilter *filter = lfirst(lc);
		double		n = filter->kind == VELT_FILTER_EQUAL ? 1 :
			velt_compat_array_length(root, (Node *) filter->value);

		if (nkeys < 0 || n < nkeys)
			nkeys = n;
	}
	return nkeys;
}
