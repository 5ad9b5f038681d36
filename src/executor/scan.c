/*
 * executor/scan.c
 *		A foreign scan at work: pages come in, rows go up.
 *
 * One table's rows come from its source; those of two tables joined on the
 * key from a join of two sources.
 */
#include "postgres.h"

#include "common/int.h"
#include "executor/async.h"
#include "executor/executor.h"
#include "executor/filter_keys.h"
#include "executor/scan.h"
#include "foreign/wait.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "utils/memutils.h"

/* ----------
 * Beginning and end
 * ----------
 */

/* Ends what is in flight; the next row asked for begins anew. */
static void
stop_scan(VeltScan *scan)
{
	scan->done = false;
	scan->pending = false;
	if (scan->join)
		velt_join_stop(scan->join);
	velt_source_stop(&scan->source);
}

/* Rows are kept for rescans: asking for them again would cost requests. */
static void
create_store(ForeignScanState *node)
{
	VeltScan   *scan = node->fdw_state;

	scan->store = tuplestore_begin_heap(false, false, work_mem);
	tuplestore_set_eflags(scan->store, EXEC_FLAG_REWIND);
	scan->store_slot =
		ExecInitExtraTupleSlot(node->ss.ps.state,
							   node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
							   &TTSOpsMinimalTuple);
}

/* The table that is read first, and the one joined to it, if any. */
static void
prepare_sources(ForeignScanState *node)
{
	VeltScan   *scan = node->fdw_state;
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	Relation	relation = node->ss.ss_currentRelation;

	if (relation == NULL)
		relation = velt_join_relation(node, scan->plan->keys_first);
	velt_source_init(&scan->source, relation, scan->plan->resource,
					 scan->plan->attnums, estate->es_query_cxt);
	scan->values = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
	if (scan->plan->join != VELT_JOIN_NONE)
		scan->join = velt_join_create(node, &scan->source, scan->plan,
									  scan->values);
}

void
veltBeginForeignScan(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	VeltScan   *scan = palloc0(sizeof(VeltScan));

	node->fdw_state = scan;
	scan->plan = velt_scan_plan_decode(plan->fdw_private);
	scan->userid = velt_compat_scan_user(node);
	prepare_sources(node);
	scan->async = node->ss.ps.async_capable;
	if (eflags & EXEC_FLAG_REWIND)
		create_store(node);
	scan->keys_context = AllocSetContextCreate(estate->es_query_cxt,
											   "velt_fdw filter keys",
											   ALLOCSET_DEFAULT_SIZES);
}

/*
 * Begins anew.  The rows that have come are good as long as nothing they
 * depend on has changed; the scan goes on behind them where it was.
 */
void
veltReScanForeignScan(ForeignScanState *node)
{
	VeltScan   *scan = node->fdw_state;

	if (scan->store && node->ss.ps.chgParam == NULL)
	{
		tuplestore_rescan(scan->store);
		scan->replaying = true;
		return;
	}
	stop_scan(scan);
	if (scan->store)
		tuplestore_clear(scan->store);
	scan->replaying = false;
}

void
veltEndForeignScan(ForeignScanState *node)
{
	VeltScan   *scan = node->fdw_state;

	if (scan == NULL)
		return;
	stop_scan(scan);
	if (scan->store)
		tuplestore_end(scan->store);
	scan->store = NULL;
}

/* ----------
 * The cursor
 * ----------
 */

/* Whether the quals on workspace_id allow the rows of this workspace. */
static bool
workspace_wanted(VeltScan *scan, ExprContext *econtext,
				 const VeltCredentials *credentials)
{
	const char *id = credentials->workspace_id;
	VeltString	ours = velt_string(id, strlen(id));
	VeltKeys	workspaces;

	return !velt_filter_keys_evaluate(scan->plan, scan->values,
									  VELT_FILTER_WORKSPACE, econtext,
									  &workspaces) ||
		velt_filter_keys_contain(&workspaces, ours);
}

/* The value of a LIMIT or OFFSET expression; "otherwise" for NULL. */
static int64
evaluate_count(ExprState *value, ExprContext *econtext, int64 otherwise)
{
	bool		isnull;
	Datum		datum = ExecEvalExpr(value, econtext, &isnull);

	return isnull ? otherwise : DatumGetInt64(datum);
}

/* How many rows the Limit above will ask for; less than 0: as many as come. */
static int64
wanted_rows(VeltScan *scan, ExprContext *econtext)
{
	int			next = scan->plan->nterms;
	int64		limit = -1;
	int64		offset = 0;

	if (scan->plan->has_limit)
		limit = evaluate_count(list_nth(scan->values, next++), econtext, -1);
	if (scan->plan->has_offset)
		offset = evaluate_count(list_nth(scan->values, next), econtext, 0);
	/* of a negative count the Limit will complain */
	if (limit < 0 || offset < 0 || pg_add_s64_overflow(limit, offset, &limit))
		return -1;
	return limit;
}

/*
 * Adds the remote quals and the limit to the spec.  Allocates the keys in the
 * current context.
 */
static void
add_quals(VeltScan *scan, ExprContext *econtext,
		  const VeltCredentials *credentials, VeltCursorSpec *spec)
{
	VeltKeys	keys = {NULL, 0};

	spec->filtered = velt_filter_keys_evaluate(scan->plan, scan->values,
											   VELT_FILTER_KEY, econtext,
											   &keys);
	if (!workspace_wanted(scan, econtext, credentials))
	{
		spec->filtered = true;
		keys.nitems = 0;
	}
	spec->keys = keys.items;
	spec->nkeys = keys.nitems;
	spec->limit = wanted_rows(scan, econtext);
}

/* Makes what asks; no request leaves before a row is asked for. */
static void
start_scan(ForeignScanState *node)
{
	VeltScan   *scan = node->fdw_state;
	VeltCursorSpec spec;
	MemoryContext old;

	velt_source_acquire(&scan->source, scan->userid, &scan->stats, &spec);
	MemoryContextReset(scan->keys_context);
	old = MemoryContextSwitchTo(scan->keys_context);
	add_quals(scan, node->ss.ps.ps_ExprContext,
			  velt_source_credentials(&scan->source), &spec);
	MemoryContextSwitchTo(old);
	if (scan->join)
		velt_join_start(scan->join, &spec);
	else
		velt_source_open(&scan->source, &spec);
}

void
velt_scan_open_for_keys(ForeignScanState *node, VeltSource *source,
						VeltScanStats *stats, VeltKeys *allowed,
						bool *restricted)
{
	VeltScan   *scan = node->fdw_state;
	VeltCursorSpec spec;

	velt_source_acquire(source, scan->userid, stats, &spec);
	add_quals(scan, node->ss.ps.ps_ExprContext,
			  velt_source_credentials(source), &spec);
	*restricted = spec.filtered;
	allowed->items = (VeltString *) spec.keys;
	allowed->nitems = spec.nkeys;
	spec.filtered = true;
	spec.nkeys = 0;
	spec.every_key = true;
	velt_source_open(source, &spec);
}

bool
velt_scan_has_news(const VeltScan *scan)
{
	const VeltCursor *cursor = scan->source.fetch.cursor;

	return cursor == NULL ||
		(scan->join ? velt_join_has_news(scan->join) :
		 velt_cursor_has_news(cursor));
}

/* ----------
 * Rows
 * ----------
 */

/* The next row of the table, if there is one without waiting. */
static VeltCursorStatus
next_row(ForeignScanState *node, TupleTableSlot *slot)
{
	VeltScan   *scan = node->fdw_state;
	MemoryContext old;
	VeltError	error;
	VeltCursorStatus status = velt_source_next_row(&scan->source, &error);

	if (status == VELT_CURSOR_FAILED)
		velt_source_report(&scan->source, &error);
	if (status != VELT_CURSOR_PAGE)
		return status;
	old = MemoryContextSwitchTo(node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	velt_source_read(&scan->source, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(slot);
	return status;
}

/* Fills the slot; leaves it empty behind the last row, or if it must wait. */
static void
fetch_row(ForeignScanState *node, TupleTableSlot *slot)
{
	VeltScan   *scan = node->fdw_state;
	VeltCursorStatus status;

	if (scan->source.fetch.cursor == NULL)
		start_scan(node);
	while ((status = scan->join ? velt_join_next_row(scan->join, slot) :
			next_row(node, slot)) == VELT_CURSOR_WAIT && !scan->async)
		velt_wait(scan->source.fetch.session);
	scan->pending = status == VELT_CURSOR_WAIT;
	if (status == VELT_CURSOR_END)
	{
		/* connections and memory are of use to others */
		stop_scan(scan);
		scan->done = true;
	}
	else if (scan->store && status == VELT_CURSOR_PAGE)
		tuplestore_puttupleslot(scan->store, slot);
}

/* The next row of an earlier scan; false behind the last one. */
static bool
replay_row(VeltScan *scan, TupleTableSlot *slot)
{
	TupleTableSlot *kept = scan->store_slot;
	MemoryContext old;
	bool		found;

	/* a row that was spilled is read into memory that the slot will free */
	old = MemoryContextSwitchTo(kept->tts_mcxt);
	found = tuplestore_gettupleslot(scan->store, true, false, kept);
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	slot_getallattrs(kept);
	memcpy(slot->tts_values, kept->tts_values,
		   kept->tts_nvalid * sizeof(Datum));
	memcpy(slot->tts_isnull, kept->tts_isnull, kept->tts_nvalid * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	return true;
}

/* Says which table an error was about. */
static void
describe_context(void *arg)
{
	VeltScan   *scan = arg;

	if (scan->join)
		velt_join_describe(scan->join);
	else
		velt_source_describe(&scan->source);
}

TupleTableSlot *
veltIterateForeignScan(ForeignScanState *node)
{
	VeltScan   *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	ErrorContextCallback context;

	ExecClearTuple(slot);
	if (scan->replaying)
		scan->replaying = replay_row(scan, slot);
	if (scan->replaying || scan->done)
		return slot;
	context.callback = describe_context;
	context.arg = scan;
	context.previous = error_context_stack;
	error_context_stack = &context;
	fetch_row(node, slot);
	error_context_stack = context.previous;
	return slot;
}

bool
velt_scan_is_rechecked(const PlanState *node)
{
	const EPQState *state = node->state->es_epq_active;

	return state != NULL &&
		bms_is_member(state->epqParam, node->plan->extParam);
}

/*
 * Accepts a row of a single table: the core checks all of its conditions.
 * Joins are not planned where their rows would have to be checked, so a join
 * is in a subplan, and this returns its next row.
 */
bool
veltRecheckForeignScan(ForeignScanState *node, TupleTableSlot *slot)
{
	const VeltScan *scan = node->fdw_state;
	MemoryContext old;

	if (scan->join == NULL)
		return true;
	Assert(!velt_scan_is_rechecked(&node->ss.ps));
	old = MemoryContextSwitchTo(node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	slot = veltIterateForeignScan(node);
	MemoryContextSwitchTo(old);
	return !TupIsNull(slot);
}
