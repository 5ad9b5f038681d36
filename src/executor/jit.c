/*
 * executor/jit.c
 *		Whether compiling a query's expressions is worth it.
 *
 * PostgreSQL compiles the expressions of plans that cost more than
 * jit_above_cost.  What costs in a foreign scan is to wait for requests, and
 * compiling does not shorten that: it takes tens of milliseconds and of
 * megabytes.  So it is decided again, when a query begins, by what its plan
 * costs without that.
 */
#include "postgres.h"

#include "executor/batch_join.h"
#include "executor/executor.h"
#include "executor/jit.h"
#include "executor/scan.h"
#include "foreign/fdwapi.h"
#include "jit/jit.h"

static ExecutorStart_hook_type previous_hook = NULL;

static Cost waiting_cost(const Plan *plan);

static Cost
waiting_cost_of_list(const List *plans)
{
	Cost		cost = 0;
	ListCell   *lc;

	foreach(lc, plans)
		cost += waiting_cost(lfirst(lc));
	return cost;
}

static bool
is_velt_scan(const ForeignScan *scan)
{
	return OidIsValid(scan->fs_server) &&
		GetFdwRoutineByServerId(scan->fs_server)->IterateForeignScan ==
		veltIterateForeignScan;
}

/* All that a batched join takes but its outer rows is to wait for the keys'. */
static Cost
waiting_cost_of_join(const CustomScan *join)
{
	const Plan *outer = list_nth(join->custom_plans, VELT_BATCH_OUTER);

	return join->scan.plan.total_cost - outer->total_cost +
		waiting_cost(outer);
}

/* What waiting costs in this plan and those below it, each run once. */
static Cost
waiting_cost(const Plan *plan)
{
	Cost		cost;

	if (plan == NULL)
		return 0;
	check_stack_depth();
	cost = waiting_cost(plan->lefttree) + waiting_cost(plan->righttree);
	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			return is_velt_scan((const ForeignScan *) plan) ?
				plan->total_cost : cost;
		case T_CustomScan:
			if (((const CustomScan *) plan)->methods ==
				&velt_batch_join_scan_methods)
				return waiting_cost_of_join((const CustomScan *) plan);
			return cost +
				waiting_cost_of_list(((const CustomScan *) plan)->custom_plans);
		case T_Append:
			return cost +
				waiting_cost_of_list(((const Append *) plan)->appendplans);
		case T_MergeAppend:
			return cost +
				waiting_cost_of_list(((const MergeAppend *) plan)->mergeplans);
		case T_SubqueryScan:
			return cost + waiting_cost(((const SubqueryScan *) plan)->subplan);
		default:
			return cost;
	}
}

/* What to compile, of a plan for which that was decided by all of its cost. */
static int
flags_without_waiting(const PlannedStmt *statement)
{
	int			flags = statement->jitFlags;
	Cost		waiting = waiting_cost(statement->planTree) +
	waiting_cost_of_list(statement->subplans);
	Cost		rest = statement->planTree->total_cost - waiting;

	if (waiting > 0 && rest <= jit_above_cost)
		return PGJIT_NONE;
	if (waiting > 0 && rest <= jit_optimize_above_cost)
		flags &= ~PGJIT_OPT3;
	if (waiting > 0 && rest <= jit_inline_above_cost)
		flags &= ~PGJIT_INLINE;
	return flags;
}

static void
start(QueryDesc *query, int eflags)
{
	if (previous_hook)
		previous_hook(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

/* ExecutorStart_hook.  The plan may be a cached one, and is as it was after. */
static void
start_query(QueryDesc *query, int eflags)
{
	PlannedStmt *statement = query->plannedstmt;
	int			flags = statement->jitFlags;

	if (flags == PGJIT_NONE)
	{
		start(query, eflags);
		return;
	}
	statement->jitFlags = flags_without_waiting(statement);
	PG_TRY();
	{
		start(query, eflags);
	}
	PG_FINALLY();
	{
		statement->jitFlags = flags;
	}
	PG_END_TRY();
}

void
velt_jit_install(void)
{
	previous_hook = ExecutorStart_hook;
	ExecutorStart_hook = start_query;
}
