/*
 * optimizer/columns.h
 *		Columns in expressions of a plan that joins.
 */
#ifndef VELT_OPTIMIZER_COLUMNS_H
#define VELT_OPTIMIZER_COLUMNS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/*
 * A copy of the expression, or list of them, with the columns as the target
 * list has them.  Below an outer join and above it the same column comes in
 * two guises: for a plan that is the join there is one.
 */
extern Node *velt_columns_of_tlist(Node *node, List *tlist);

/* The one of the expressions that is this column, in any guise; or NULL. */
extern Node *velt_columns_find(List *exprs, const Node *column);

/*
 * Append to the list the columns that are needed to compute the expressions
 * above a join, each as the expressions have it.  What the join gets from
 * below in these other expressions is not computed again: it is a column, too.
 *
 * Return false if no plan node with a target list of its own can return the
 * columns.  Such a node has each of them once, but expressions from different
 * sides of an outer join can differ in what makes the same column NULL.  And
 * the planner itself has to fill in the identity of rows that an UPDATE,
 * DELETE or MERGE of a table with partitions changes.
 */
extern bool velt_columns_collect(List *exprs, List *below, List **columns);

/*
 * RestrictInfos, and their clauses, in the order in which security barriers
 * have them checked.
 */
extern List *velt_sorted_clauses(List *restrictinfos);
extern List *velt_clauses(List *restrictinfos);

#endif							/* VELT_OPTIMIZER_COLUMNS_H */
