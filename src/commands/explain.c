/*
 * commands/explain.c
 *		What EXPLAIN shows of a foreign scan.  Makes no request.
 */
#include "postgres.h"

#include "commands/commands.h"
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

	if (resource->filter_required && plan->filters == NIL)
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
	const char *column = plan->resource->filter_column;
	StringInfoData filter;
	ListCell   *value;
	ListCell   *kind;

	initStringInfo(&filter);
	forboth(value, scan->fdw_exprs, kind, plan->filters)
	{
		char	   *text = deparse_expression(lfirst(value), context, false,
											  false);

		appendStringInfo(&filter,
						 lfirst_int(kind) == VELT_FILTER_EQUAL ?
						 "%s(%s = %s)" : "%s(%s = ANY (%s))",
						 filter.len > 0 ? " AND " : "", column, text);
	}
	return filter.data;
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
	if (es->verbose && plan->filters != NIL)
		ExplainPropertyText("Velt Filter", deparse_filter(node, plan, es), es);
	if (es->verbose && plan->resource->paged)
		ExplainPropertyInteger("Velt Page Size", NULL,
							   scan->settings.page_size, es);
	if (es->analyze)
		explain_counters(&scan->stats, es);
}
