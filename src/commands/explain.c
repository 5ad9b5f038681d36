/*
 * commands/explain.c
 *		What EXPLAIN shows of a foreign scan.  Makes no request.
 */
#include "postgres.h"

#include "commands/commands.h"
#include "common/int.h"
#include "executor/batch_join.h"
#include "executor/scan.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "nodes/value.h"
#include "pg_compat.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

static char *
endpoint(const VeltResource *resource)
{
	return psprintf("POST %s", resource->path);
}

/* The endpoints in the order of their use. */
static List *
endpoints(const VeltScanPlan *plan)
{
	const VeltResource *resource = plan->resource;
	List	   *list = NIL;

	if (resource->filter_required && !velt_scan_plan_has_keys(plan))
		list = lappend(list, endpoint(resource->parent));
	list = lappend(list, endpoint(resource));
	return plan->join == VELT_JOIN_NONE ? list :
		lappend(list, endpoint(plan->tokens));
}

/* Tell if the parameter is the result of a subquery of the plan node itself. */
static bool
is_own_result(const Param *param, const Plan *plan)
{
	ListCell   *lc;

	foreach(lc, plan->initPlan)
	{
		if (list_member_int(lfirst_node(SubPlan, lc)->setParam,
							param->paramid))
			return true;
	}
	return false;
}

/*
 * Replace the parameters that other plan nodes set by external ones, which are
 * shown as $n.  PostgreSQL would look for their origin among the nodes above,
 * which a foreign scan is not told.
 */
static Node *
make_parameters_external(Node *node, void *context)
{
	Param	   *param;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Param) || is_own_result((Param *) node, context))
		return expression_tree_mutator(node, make_parameters_external,
									   context);
	param = copyObject((Param *) node);
	param->paramkind = PARAM_EXTERN;
	return (Node *) param;
}

static char *
deparse_in_scan(Node *expression, ForeignScan *scan, bool qualify,
				ExplainState *es)
{
	List	   *context = set_deparse_context_plan(es->deparse_cxt,
												   (Plan *) scan, NIL);

	return deparse_expression(make_parameters_external(expression, scan),
							  context, qualify, false);
}

/* The remote quals as a reader would write them; parameters are $n. */
static char *
deparse_filter(ForeignScanState *node, const VeltScanPlan *plan,
			   ExplainState *es)
{
	ForeignScan *scan = (ForeignScan *) node->ss.ps.plan;
	StringInfoData filter;

	initStringInfo(&filter);
	for (int i = 0; i < plan->nterms; i++)
	{
		const VeltFilterTerm *term = &plan->terms[i];
		bool		first = i == 0 || term[-1].qual != term->qual;
		bool		last = i == plan->nterms - 1 || term[1].qual != term->qual;

		appendStringInfo(&filter,
						 term->kind == VELT_FILTER_EQUAL ?
						 "%s%s = %s%s" : "%s%s = ANY (%s)%s",
						 !first ? " OR " : i > 0 ? " AND (" : "(",
						 term->target == VELT_FILTER_WORKSPACE ?
						 "workspace_id" : plan->resource->filter_column,
						 deparse_in_scan(list_nth(scan->fdw_exprs, i), scan,
										 es->verbose, es),
						 last ? ")" : "");
	}
	return filter.data;
}

/* How a join is called between what the plan has for its outer and its inner. */
static const char *const join_names[] = {
	[VELT_JOIN_INNER] = "INNER",
	[VELT_JOIN_KEYS_LEFT] = "LEFT",
	[VELT_JOIN_KEYS_SEMI] = "SEMI",
	[VELT_JOIN_KEYS_ANTI] = "ANTI",
	[VELT_JOIN_TOKENS_LEFT] = "LEFT",
	[VELT_JOIN_TOKENS_SEMI] = "SEMI",
	[VELT_JOIN_TOKENS_ANTI] = "ANTI"
};

static bool
tokens_are_outer(const VeltScanPlan *plan)
{
	return plan->join == VELT_JOIN_TOKENS_LEFT ||
		plan->join == VELT_JOIN_TOKENS_SEMI ||
		plan->join == VELT_JOIN_TOKENS_ANTI;
}

/* A table of a join, by the name it has in the query too. */
static char *
relation_name(ForeignScanState *node, bool first, ExplainState *es)
{
	Index		index = velt_join_relation_index(node, first);
	Oid			relid = rt_fetch(index, es->rtable)->relid;
	const char *name = get_rel_name(relid);
	const char *alias = list_nth(es->rtable_names, index - 1);
	StringInfoData text;

	initStringInfo(&text);
	if (es->verbose)
		appendStringInfo(&text, "%s.",
						 quote_identifier(get_namespace_name(get_rel_namespace(relid))));
	appendStringInfoString(&text, quote_identifier(name));
	if (alias && strcmp(alias, name) != 0)
		appendStringInfo(&text, " %s", quote_identifier(alias));
	return text.data;
}

/* What the plan's other nodes show of a join. */
static void
explain_join(ForeignScanState *node, const VeltScanPlan *plan,
			 ExplainState *es)
{
	static const char *const labels[] = {
		[VELT_KEY_EXISTS] = "Velt Key Filter",
		[VELT_KEY_ASKED] = "Velt Request Filter",
		[VELT_TOKEN_EXISTS] = "Velt Token Filter",
		[VELT_PAIR_MATCHES] = "Velt Join Filter"
	};
	ForeignScan *scan = (ForeignScan *) node->ss.ps.plan;
	int			first = list_length(scan->fdw_exprs) - VELT_JOIN_CONDITIONS;
	bool		outer_first = plan->keys_first != tokens_are_outer(plan);

	ExplainPropertyText("Relations",
						psprintf("(%s) %s JOIN (%s)",
								 relation_name(node, outer_first, es),
								 join_names[plan->join],
								 relation_name(node, !outer_first, es)), es);
	for (int i = 0; i < VELT_JOIN_CONDITIONS; i++)
	{
		Node	   *condition = list_nth(scan->fdw_exprs, first + i);

		/* nothing to check is a constant */
		if (!IsA(condition, Const))
			ExplainPropertyText(labels[i],
								deparse_in_scan(condition, scan, true, es), es);
	}
}

/* The size of pages, as far as the plan tells it. */
static int
page_size(ForeignScanState *node, const VeltScanPlan *plan,
		  const VeltSettings *settings)
{
	int			page_size = settings->page_size;
	List	   *values = ((ForeignScan *) node->ss.ps.plan)->fdw_exprs;
	int			last = plan->nterms + plan->has_limit + plan->has_offset;
	int64		wanted = 0;

	/* a page has all keys that were asked for by id */
	for (int i = 0; i < plan->nterms; i++)
	{
		if (plan->terms[i].target == VELT_FILTER_KEY)
			return velt_settings_filter_max(settings);
	}
	for (int i = plan->nterms; i < last; i++)
	{
		Const	   *value = list_nth(values, i);

		if (!IsA(value, Const) || value->constisnull ||
			DatumGetInt64(value->constvalue) < 0 ||
			pg_add_s64_overflow(wanted, DatumGetInt64(value->constvalue),
								&wanted))
			return page_size;
	}
	return plan->has_limit && wanted > 0 && wanted < page_size ?
		(int) wanted : page_size;
}

static void
explain_counters(const VeltScanStats *stats, ExplainState *es)
{
	ExplainPropertyInteger("Velt Requests", NULL, stats->requests, es);
	ExplainPropertyInteger("Velt Retries", NULL, stats->retries, es);
	ExplainPropertyInteger("Velt Bytes Received", NULL,
						   stats->bytes_received, es);
	ExplainPropertyInteger("Velt Max In Flight", NULL, stats->max_in_flight,
						   es);
}

void
veltExplainForeignScan(ForeignScanState *node, ExplainState *es)
{
	VeltScan   *scan = node->fdw_state;
	const VeltScanPlan *plan = scan->plan;

	if (plan->join != VELT_JOIN_NONE)
		explain_join(node, plan, es);
	ExplainPropertyList("Velt Endpoint", endpoints(plan), es);
	if (es->verbose && plan->nterms > 0)
		ExplainPropertyText("Velt Filter", deparse_filter(node, plan, es), es);
	if (es->verbose && plan->resource->paged)
		ExplainPropertyInteger("Velt Page Size", NULL,
							   page_size(node, plan,
										 &scan->source.settings), es);
	if (es->analyze)
		explain_counters(&scan->stats, es);
}

/* ----------
 * Batched join
 * ----------
 */

static const char *
join_type_name(JoinType type)
{
	switch (type)
	{
		case JOIN_LEFT:
			return "Left";
		case JOIN_SEMI:
			return "Semi";
		case JOIN_ANTI:
			return "Anti";
		default:
			return "Inner";
	}
}

static void
explain_batch_condition(CustomScanState *node, const char *label, int member,
						List *ancestors, ExplainState *es)
{
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt,
												   (Plan *) plan, ancestors);

	ExplainPropertyText(label,
						deparse_expression(list_nth(plan->custom_exprs, member),
										   context, true, false), es);
}

void
velt_explain_batch_join(CustomScanState *node, List *ancestors,
						ExplainState *es)
{
	const CustomScan *plan = (const CustomScan *) node->ss.ps.plan;
	ForeignScanState *inner = list_nth(node->custom_ps, VELT_BATCH_INNER);
	const VeltScan *scan = inner->fdw_state;
	const VeltBatchStats *stats = velt_batch_join_stats(node);

	ExplainPropertyText("Velt Join Type",
						join_type_name(list_nth_int(plan->custom_private,
													VELT_BATCH_JOIN_TYPE)),
						es);
	explain_batch_condition(node, "Velt Batch Key", VELT_BATCH_KEY, ancestors,
							es);
	explain_batch_condition(node, "Velt Join Filter", VELT_BATCH_CONDITION,
							ancestors, es);
	ExplainPropertyList("Velt Endpoint",
						list_make1(endpoint(scan->plan->resource)), es);
	if (es->verbose && scan->plan->nterms > 0)
		ExplainPropertyText("Velt Filter",
							deparse_filter(inner, scan->plan, es), es);
	if (es->verbose && scan->plan->resource->paged)
		ExplainPropertyInteger("Velt Page Size", NULL,
							   velt_settings_filter_max(&scan->source.settings),
							   es);
	if (!es->analyze)
		return;
	ExplainPropertyInteger("Velt Batches", NULL, stats->batches, es);
	ExplainPropertyInteger("Velt Distinct Keys", NULL, stats->keys.asked, es);
	ExplainPropertyInteger("Velt Keys Remembered", NULL,
						   stats->keys.remembered, es);
	explain_counters(&stats->keys.scan, es);
}
