/*
 * optimizer/columns.c
 *		Columns in expressions of a plan that joins.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/columns.h"
#include "optimizer/restrictinfo.h"

/*
 * Whether the two are the same column, or the same expression from below,
 * whichever outer joins have made it NULL by then.  Of a partition a row as a
 * whole is one that is converted.
 */
static bool
same_column(const Node *a, const Node *b)
{
	if (nodeTag(a) != nodeTag(b))
		return false;
	if (IsA(a, ConvertRowtypeExpr))
		return ((const ConvertRowtypeExpr *) a)->resulttype ==
			((const ConvertRowtypeExpr *) b)->resulttype &&
			same_column((const Node *) ((const ConvertRowtypeExpr *) a)->arg,
						(const Node *) ((const ConvertRowtypeExpr *) b)->arg);
	if (IsA(a, Var))
		return ((const Var *) a)->varno == ((const Var *) b)->varno &&
			((const Var *) a)->varattno == ((const Var *) b)->varattno;
	return IsA(a, PlaceHolderVar) &&
		((const PlaceHolderVar *) a)->phid ==
		((const PlaceHolderVar *) b)->phid;
}

Node *
velt_columns_find(List *exprs, const Node *column)
{
	ListCell   *lc;

	foreach(lc, exprs)
	{
		if (same_column(lfirst(lc), column))
			return lfirst(lc);
	}
	return NULL;
}

/* Lists of velt_columns_collect. */
typedef struct Collection
{
	List	   *below;
	List	   *columns;
} Collection;

/* Return true, and so end the walk, at a column that cannot be returned. */
static bool
collect_column(Node *node, void *context)
{
	Collection *collection = context;
	Node	   *known;

	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varno == ROWID_VAR)
		return true;
	if (!IsA(node, Var) && velt_columns_find(collection->below, node) == NULL)
		return expression_tree_walker(node, collect_column, context);
	known = velt_columns_find(collection->columns, node);
	if (known == NULL)
		collection->columns = lappend(collection->columns, node);
	return known != NULL && !equal(known, node);
}

bool
velt_columns_collect(List *exprs, List *below, List **columns)
{
	Collection	collection = {below, *columns};
	bool		failed = collect_column((Node *) exprs, &collection);

	*columns = collection.columns;
	return !failed;
}

static Node *
replace_column(Node *node, void *context)
{
	List	   *tlist = context;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) || IsA(node, PlaceHolderVar) ||
		IsA(node, ConvertRowtypeExpr))
	{
		foreach(lc, tlist)
		{
			Node	   *column = (Node *) lfirst_node(TargetEntry, lc)->expr;

			if (same_column(column, node))
				return copyObject(column);
		}
	}
	return expression_tree_mutator(node, replace_column, context);
}

Node *
velt_columns_of_tlist(Node *node, List *tlist)
{
	return replace_column(node, tlist);
}

static int
compare_levels(const ListCell *a, const ListCell *b)
{
	Index		left = lfirst_node(RestrictInfo, a)->security_level;
	Index		right = lfirst_node(RestrictInfo, b)->security_level;

	return left < right ? -1 : left > right;
}

List *
velt_sorted_clauses(List *restrictinfos)
{
	List	   *sorted = list_copy(restrictinfos);

	list_sort(sorted, compare_levels);
	return sorted;
}

List *
velt_clauses(List *restrictinfos)
{
	return extract_actual_clauses(velt_sorted_clauses(restrictinfos), false);
}
