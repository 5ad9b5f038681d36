/*
 * commands/explain.c
 *		What EXPLAIN shows of a foreign scan.  Makes no request.
 */
#include "postgres.h"

#include "commands/commands.h"
#include "common/int.h"
#include "executor/scan.h"
#include "lib/stringinfo.h"
#include "nodes/value.h"
#include "pg_compat.h"
#include "utils/builtins.h"
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
	return lappend(list, endpoint(resource));
}

/* The remote quals as a reader would write them; parameters are $n. */
static char *
deparse_filter(ForeignScanState *node, const VeltScanPlan *plan,
			   ExplainState *es)
{
	ForeignScan *scan = (ForeignScan *) node->ss.ps.plan;
	List	   *context = set_deparse_context_plan(es->deparse_cxt,
												   (Plan *) scan, NIL);
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
						 deparse_expression(list_nth(scan->fdw_exprs, i),
											context, es->verbose, false),
						 last ? ")" : "");
	}
	return filter.data;
}

/* The size of pages, as far as the plan tells it. */
static int
page_size(ForeignScanState *node, const VeltScanPlan *plan, int page_size)
{
	List	   *values = ((ForeignScan *) node->ss.ps.plan)->fdw_exprs;
	int64		wanted = 0;

	for (int i = plan->nterms; i < list_length(values); i++)
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

	ExplainPropertyList("Velt Endpoint", endpoints(plan), es);
	if (es->verbose && plan->nterms > 0)
		ExplainPropertyText("Velt Filter", deparse_filter(node, plan, es), es);
	if (es->verbose && plan->resource->paged)
		ExplainPropertyInteger("Velt Page Size", NULL,
							   page_size(node, plan,
										 scan->settings.page_size), es);
	if (es->analyze)
		explain_counters(&scan->stats, es);
}
