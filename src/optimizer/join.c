/*
 * optimizer/join.c
 *		API keys joined with their tokens, as one foreign scan.
 *
 * The scan lists the keys and asks for the tokens of those that meet what can
 * be said of a key alone.  All conditions are checked here, by the scan; which
 * of them is checked when decides what is asked for, and what an outer join
 * returns.
 */
#include "postgres.h"

#include <math.h>

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/columns.h"
#include "optimizer/join.h"
#include "optimizer/estimate.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/qual.h"
#include "optimizer/relation.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "pg_compat.h"

/* What the planner knows of a join: fdw_private of its RelOptInfo. */
typedef struct VeltJoinRelation
{
	VeltJoinKind kind;
	RelOptInfo *keys;
	RelOptInfo *tokens;
	Var		   *key_column;		/* by which the two are joined */
	Var		   *token_column;
	List	   *on;				/* RestrictInfos of the join, but for that */
	List	   *above;			/* those that are checked on its result */
	List	   *gates;			/* those of no table, which the core checks */
	List	   *columns;		/* that are used above, as they are there */
} VeltJoinRelation;

static VeltRelation *
relation_of(const RelOptInfo *rel)
{
	return rel->fdw_private;
}

/* ----------
 * What can be joined
 * ----------
 */

/* The kind of join, by whether keys are its outer side. */
static VeltJoinKind
join_kind(JoinType type, bool keys_outer)
{
	switch (type)
	{
		case JOIN_INNER:
			return VELT_JOIN_INNER;
		case JOIN_LEFT:
			return keys_outer ? VELT_JOIN_KEYS_LEFT : VELT_JOIN_TOKENS_LEFT;
		case JOIN_RIGHT:
			return keys_outer ? VELT_JOIN_TOKENS_LEFT : VELT_JOIN_KEYS_LEFT;
		case JOIN_SEMI:
			return keys_outer ? VELT_JOIN_KEYS_SEMI : VELT_JOIN_TOKENS_SEMI;
		case JOIN_ANTI:
			return keys_outer ? VELT_JOIN_KEYS_ANTI : VELT_JOIN_TOKENS_ANTI;
		default:
			return VELT_JOIN_NONE;
	}
}

/* Whether the kind returns tokens that have no matching key. */
static bool
keeps_tokens(VeltJoinKind kind)
{
	return kind == VELT_JOIN_TOKENS_LEFT || kind == VELT_JOIN_TOKENS_ANTI;
}

/* Whether the kind returns keys that have no matching token. */
static bool
keeps_keys(VeltJoinKind kind)
{
	return kind == VELT_JOIN_KEYS_LEFT || kind == VELT_JOIN_KEYS_ANTI;
}

/*
 * Whether the relation is a table of the resource that the other's is of.
 * What has children, or cannot have rows, is not scanned as a foreign table
 * itself, and so was given no fdw_private.
 */
static bool
is_parent(const RelOptInfo *keys, const RelOptInfo *tokens)
{
	/* of a relation that is proved to be empty nobody has asked the size */
	return IS_SIMPLE_REL(keys) && IS_SIMPLE_REL(tokens) &&
		relation_of(keys) && relation_of(tokens) &&
		relation_of(tokens)->settings.resource->parent ==
		relation_of(keys)->settings.resource;
}

/* Whether the scan may evaluate the expression, and as often as it likes. */
static bool
can_evaluate(Node *node)
{
	List	   *vars = pull_var_clause(node, PVC_INCLUDE_PLACEHOLDERS);
	ListCell   *lc;

	if (contain_volatile_functions(node) || contain_subplans(node))
		return false;
	foreach(lc, vars)
	{
		Var		   *var = lfirst(lc);

		if (!IsA(var, Var) || var->varattno < 0)
			return false;
	}
	return true;
}

static bool
can_evaluate_all(List *clauses)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);

		/* a gate of one table, which says nothing of the other */
		if (clause->pseudoconstant || !can_evaluate((Node *) clause->clause))
			return false;
	}
	return true;
}

/* Return the side that is NULL where a row has no partner, or NULL. */
static const RelOptInfo *
nullable_side(const VeltJoinRelation *join)
{
	switch (join->kind)
	{
		case VELT_JOIN_KEYS_LEFT:
			return join->tokens;
		case VELT_JOIN_TOKENS_LEFT:
			return join->keys;
		default:
			return NULL;
	}
}

/*
 * Tell if an expression of the nullable side has to be computed before the
 * join: the scan computes all expressions from the columns that it returns.
 */
static bool
has_placeholders(PlannerInfo *root, const VeltJoinRelation *join)
{
	const RelOptInfo *side = nullable_side(join);
	Relids		relids;
	ListCell   *lc;

	if (side == NULL)
		return false;
	/* of partitions too, what is known is about their parents */
	relids = IS_OTHER_REL(side) ? side->top_parent_relids : side->relids;
	foreach(lc, root->placeholder_list)
	{
		PlaceHolderInfo *info = lfirst(lc);

		if (bms_is_subset(info->ph_eval_at, relids))
			return true;
	}
	return false;
}

/* List the columns that are used above the scan, if it can return them. */
static bool
find_columns(const RelOptInfo *joinrel, VeltJoinRelation *join)
{
	List	   *exprs = list_concat_copy(joinrel->reltarget->exprs,
										 extract_actual_clauses(join->above,
																false));
	ListCell   *lc;

	if (!velt_columns_collect(exprs, NIL, &join->columns))
		return false;
	foreach(lc, join->columns)
	{
		if (lfirst_node(Var, lc)->varattno < 0)
			return false;
	}
	return true;
}

/* Sorts the join's clauses; the one that it hangs on is in no list. */
static bool
classify_clauses(VeltJoinRelation *join, RelOptInfo *joinrel,
				 JoinType jointype, List *clauses)
{
	ListCell   *lc;

	foreach(lc, clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);

		if (clause->pseudoconstant)
			join->gates = lappend(join->gates, clause);
		else if (IS_OUTER_JOIN(jointype) &&
				 RINFO_IS_PUSHED_DOWN(clause, joinrel->relids))
			join->above = lappend(join->above, clause);
		else if (join->key_column == NULL &&
				 velt_qual_joins_keys(join->keys,
									  relation_of(join->keys)->table,
									  join->tokens,
									  relation_of(join->tokens)->table,
									  clause->clause, &join->key_column,
									  &join->token_column))
			continue;
		else
			join->on = lappend(join->on, clause);
	}
	return join->key_column != NULL;
}

/*
 * Whether rows are locked or changed, by this query or one around it.  They
 * have to be found again one by one; and where the server looks at such a row
 * once more, not every release of it reads joined scans elsewhere in the
 * statement: they were empty then.
 */
static bool
may_recheck_rows(const PlannerInfo *root)
{
	for (; root != NULL; root = root->parent_root)
	{
		CmdType		type = root->parse->commandType;

		if (root->rowMarks != NIL || type == CMD_UPDATE ||
			type == CMD_DELETE || type == CMD_MERGE)
			return true;
	}
	return false;
}

/* Whether this place in the query allows a scan to join. */
static bool
allows_join(PlannerInfo *root, const RelOptInfo *joinrel,
			const VeltJoinRelation *join)
{
	return !may_recheck_rows(root) &&
		bms_is_empty(joinrel->lateral_relids) &&
		!has_placeholders(root, join);
}

/* Whether the scan can evaluate all that decides about a row. */
static bool
can_filter(const VeltJoinRelation *join)
{
	return can_evaluate_all(join->on) &&
		can_evaluate_all(join->keys->baserestrictinfo) &&
		can_evaluate_all(join->tokens->baserestrictinfo) &&
		(join->gates == NIL || velt_compat_gates_joins());
}

/* NULL if it cannot be done in one scan. */
static VeltJoinRelation *
make_join(PlannerInfo *root, RelOptInfo *joinrel, RelOptInfo *outerrel,
		  RelOptInfo *innerrel, JoinType jointype, List *clauses)
{
	VeltJoinRelation *join = palloc0(sizeof(VeltJoinRelation));
	bool		keys_outer = is_parent(outerrel, innerrel);

	if (!keys_outer && !is_parent(innerrel, outerrel))
		return NULL;
	join->kind = join_kind(jointype, keys_outer);
	join->keys = keys_outer ? outerrel : innerrel;
	join->tokens = keys_outer ? innerrel : outerrel;
	if (join->kind == VELT_JOIN_NONE || !allows_join(root, joinrel, join) ||
		!classify_clauses(join, joinrel, jointype, clauses) ||
		!can_filter(join) || !find_columns(joinrel, join))
		return NULL;
	return join;
}

/* ----------
 * Conditions
 * ----------
 */

/* The column of a key in the place of that of its tokens. */
static Node *
put_key_column(Node *node, void *context)
{
	const VeltJoinRelation *join = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) &&
		((Var *) node)->varno == join->token_column->varno &&
		((Var *) node)->varattno == join->token_column->varattno)
		return copyObject((Node *) join->key_column);
	return expression_tree_mutator(node, put_key_column, context);
}

static bool
same_type(const Var *a, const Var *b)
{
	return a->vartype == b->vartype && a->vartypmod == b->vartypmod &&
		a->varcollid == b->varcollid;
}

/*
 * The clause as one on a key alone; NULL if it needs more than that.  There
 * may be no token with the key, so a clause on tokens must not fail for it.
 */
static Node *
clause_on_key(const VeltJoinRelation *join, const RestrictInfo *info)
{
	Node	   *clause = (Node *) info->clause;

	if (same_type(join->key_column, join->token_column) &&
		!contain_leaked_vars(clause))
		clause = put_key_column(clause, unconstify(VeltJoinRelation *, join));
	return bms_is_member(join->tokens->relid, pull_varnos(NULL, clause)) ?
		NULL : clause;
}

/*
 * Of the clauses, in the order of velt_sorted_clauses, those that can be said of a key
 * alone; but none that is behind a barrier and might tell what that hides.
 */
static List *
clauses_on_key(const VeltJoinRelation *join, List *infos)
{
	List	   *on_key = NIL;
	Index		barrier = PG_UINT32_MAX;
	ListCell   *lc;

	foreach(lc, infos)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);
		Node	   *clause = clause_on_key(join, info);

		if (clause == NULL)
			barrier = Min(barrier, info->security_level);
		else if (info->security_level <= barrier || info->leakproof)
			on_key = lappend(on_key, clause);
	}
	return on_key;
}

/*
 * What a key needs for its tokens to be asked for.  Those that are returned
 * only if they do not match are not asked for where the key alone tells that
 * they do.
 */
static Expr *
asked_condition(const VeltJoinRelation *join, List *on, List *tokens)
{
	List	   *deciding;

	if (!keeps_tokens(join->kind))
		return make_ands_explicit(clauses_on_key(join, on));
	tokens = clauses_on_key(join, tokens);
	deciding = clauses_on_key(join, on);
	if (join->kind == VELT_JOIN_TOKENS_ANTI &&
		list_length(deciding) == list_length(on))
	{
		BooleanTest *differs = makeNode(BooleanTest);

		differs->arg = make_ands_explicit(deciding);
		differs->booltesttype = IS_NOT_TRUE;
		differs->location = -1;
		tokens = lappend(tokens, differs);
	}
	return make_ands_explicit(tokens);
}

/* See VeltJoinCondition. */
static List *
join_conditions(const VeltJoinRelation *join)
{
	List	   *clauses[VELT_JOIN_CONDITIONS] = {NIL};
	List	   *keys = join->keys->baserestrictinfo;
	List	   *tokens = join->tokens->baserestrictinfo;
	List	   *conditions = NIL;
	Expr	   *asked;

	if (keeps_tokens(join->kind))
	{
		clauses[VELT_TOKEN_EXISTS] = velt_sorted_clauses(tokens);
		clauses[VELT_PAIR_MATCHES] =
			velt_sorted_clauses(list_concat_copy(keys, join->on));
	}
	else
	{
		clauses[VELT_KEY_EXISTS] = velt_sorted_clauses(keys);
		clauses[VELT_PAIR_MATCHES] =
			velt_sorted_clauses(list_concat_copy(tokens, join->on));
	}
	asked = asked_condition(join, clauses[VELT_PAIR_MATCHES],
							clauses[VELT_TOKEN_EXISTS]);
	for (int i = 0; i < VELT_JOIN_CONDITIONS; i++)
		conditions = lappend(conditions, i == VELT_KEY_ASKED ? asked :
							 make_ands_explicit(extract_actual_clauses(clauses[i],
																	   false)));
	return conditions;
}

/*
 * The quals that say which keys are listed: those on tokens too, unless keys
 * without tokens are returned; those on keys, unless tokens without are.
 */
static List *
listing_quals(const VeltJoinRelation *join)
{
	List	   *keys = (keeps_tokens(join->kind) ? NIL :
						relation_of(join->keys)->quals);
	List	   *tokens = (keeps_keys(join->kind) ? NIL :
						  relation_of(join->tokens)->quals);

	return list_concat_copy(keys, tokens);
}

/* ----------
 * Path
 * ----------
 */

/* How many keys are going to have their tokens asked for. */
static double
asked_keys(PlannerInfo *root, const VeltJoinRelation *join)
{
	double		all = join->keys->tuples;
	double		listed = velt_qual_estimate_keys(root, listing_quals(join));
	List	   *clauses = list_concat_copy(join->on,
										   join->tokens->baserestrictinfo);
	List	   *on_key = NIL;
	ListCell   *lc;

	if (listed >= 0)
		all = Min(all, listed);
	if (keeps_tokens(join->kind))
		clauses = join->tokens->baserestrictinfo;
	else
		all = Min(all, join->keys->rows);
	foreach(lc, clauses)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);

		/* those that say which keys are listed have been counted */
		if (clause_on_key(join, clause) != NULL &&
			velt_qual_match(join->tokens, relation_of(join->tokens)->table,
							clause->clause) == NULL)
			on_key = lappend(on_key, clause);
	}
	return all * clauselist_selectivity(root, on_key, 0, JOIN_INNER, NULL);
}

static void
add_join_path(PlannerInfo *root, RelOptInfo *joinrel,
			  const VeltJoinRelation *join)
{
	List	   *quals = listing_quals(join);
	double		asked = clamp_row_est(asked_keys(root, join));
	double		rows = joinrel->rows;
	Cost		startup;
	Cost		total;
	Cost		first_answer;
	Cost		answers;

	velt_estimate_cost(root, join->keys, quals, join->keys->rows, -1,
					   &startup, &total);
	velt_estimate_request_cost(&relation_of(join->tokens)->settings, asked,
							   &first_answer, &answers);
	/* tokens are asked for while keys still arrive */
	total = Max(total + first_answer, startup + answers) +
		rows * (cpu_tuple_cost + join->tokens->baserestrictcost.per_tuple);
	add_path(joinrel, (Path *)
			 velt_compat_foreign_join_path(root, joinrel, rows,
										   startup + first_answer, total,
										   join->gates));
}

void
veltGetForeignJoinPaths(PlannerInfo *root, RelOptInfo *joinrel,
						RelOptInfo *outerrel, RelOptInfo *innerrel,
						JoinType jointype, JoinPathExtraData *extra)
{
	/* asked for both orders of the tables: the result is the same */
	if (joinrel->fdw_private)
		return;
	joinrel->fdw_private = make_join(root, joinrel, outerrel, innerrel,
									 jointype, extra->restrictlist);
	if (joinrel->fdw_private)
		add_join_path(root, joinrel, joinrel->fdw_private);
}

bool
velt_join_is_async_capable(RelOptInfo *joinrel)
{
	const VeltJoinRelation *join = joinrel->fdw_private;

	return relation_of(join->keys)->settings.async_capable &&
		relation_of(join->tokens)->settings.async_capable;
}

/* ----------
 * Plan
 * ----------
 */

/* What the scan returns: every column that is looked at, once. */
static List *
make_scan_tlist(const VeltJoinRelation *join, List *conditions)
{
	List	   *tlist = add_to_flat_tlist(NIL, join->columns);
	ListCell   *lc;

	foreach(lc, conditions)
	{
		Node	   *node = velt_columns_of_tlist(lfirst(lc), tlist);

		lfirst(lc) = node;
		tlist = add_to_flat_tlist(tlist, pull_var_clause(node, 0));
	}
	return tlist;
}

ForeignScan *
velt_join_plan(RelOptInfo *joinrel, List *tlist)
{
	VeltJoinRelation *join = joinrel->fdw_private;
	List	   *conditions = join_conditions(join);
	List	   *above = extract_actual_clauses(join->above, false);
	List	   *scan_tlist = make_scan_tlist(join, conditions);
	List	   *columns = get_tlist_exprs(scan_tlist, false);
	VeltScanPlan plan = {
		.resource = relation_of(join->keys)->settings.resource,
		.attnums = velt_relation_columns(join->keys, columns, NULL),
		.join = join->kind,
		.tokens = relation_of(join->tokens)->settings.resource,
		.token_attnums = velt_relation_columns(join->tokens, columns, NULL),
		.keys_first = join->keys->relid < join->tokens->relid
	};
	List	   *values = velt_qual_plan(listing_quals(join), &plan);

	return make_foreignscan(tlist, above, 0, list_concat(values, conditions),
							velt_scan_plan_encode(&plan), scan_tlist, NIL,
							NULL);
}
