/*
 * executor/batch_join.c
 *		A join that asks for the keys of many outer rows together.
 *
 * Outer rows wait in a queue, in their order, until what belongs to their key
 * has come; a row leaves at the queue's head, joined.  How many keys may be
 * unanswered at a time is the window: what keeps the server busy.  Where not
 * all rows may be wanted it is small at first, so that a LIMIT above stays
 * cheap, and grows to that.
 */
#include "postgres.h"

#include "executor/batch_join.h"
#include "executor/executor.h"
#include "executor/scan.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Rows whose keys are known are queued too, but not without end. */
#define QUEUED_PER_KEY		16

/* Parts of work_mem: for the queue of outer rows, and for what is known. */
#define QUEUE_PART			4
#define KNOWN_PART			2

/* An outer row, waiting to be joined. */
typedef struct OuterRow
{
	slist_node	link;
	VeltKeyEntry *entry;		/* NULL: nothing can match */
	MinimalTuple tuple;
} OuterRow;

typedef struct BatchJoin
{
	CustomScanState node;		/* must be the first */
	JoinType	type;
	ExprState  *key;
	ExprState  *condition;
	PlanState  *outer;
	ForeignScanState *inner;
	int			nouter;			/* columns of the outer in the joined row */
	TupleTableSlot *outer_slot; /* the row being joined */
	TupleTableSlot *inner_slot; /* and the one it is joined with */
	VeltBatchStats stats;

	/* outer rows read ahead */
	MemoryContext queue_context;
	slist_head	queue;
	slist_node *queue_tail;
	int64		nqueued;
	Size		queued_bytes;
	bool		outer_done;

	VeltKeyLookup *lookup;
	bool		all_rows;		/* are wanted, as far as the planner knows */
	int			window;			/* of keys unanswered */
	int64		nfills;			/* since the last rescan */

	/* the row being joined */
	OuterRow   *row;
	bool		matched;

	bool		rechecking;		/* an outer row is there, for EvalPlanQual */
} BatchJoin;

/* ----------
 * The joined row
 * ----------
 */

/* Columns of a side of the joined row; NULLs if there is no row of it. */
static void
put_columns(TupleTableSlot *joined, int first, TupleTableSlot *side)
{
	int			n = side->tts_tupleDescriptor->natts;

	if (TTS_EMPTY(side))
	{
		memset(joined->tts_isnull + first, true, n * sizeof(bool));
		return;
	}
	slot_getallattrs(side);
	memcpy(joined->tts_values + first, side->tts_values, n * sizeof(Datum));
	memcpy(joined->tts_isnull + first, side->tts_isnull, n * sizeof(bool));
}

static TupleTableSlot *
put_pair(BatchJoin *join, TupleTableSlot *outer, TupleTableSlot *inner)
{
	TupleTableSlot *joined = join->node.ss.ss_ScanTupleSlot;

	ExecClearTuple(joined);
	put_columns(joined, 0, outer);
	put_columns(joined, join->nouter, inner);
	return ExecStoreVirtualTuple(joined);
}

/* Evaluates in memory that stands until the next row. */
static Datum
evaluate(BatchJoin *join, ExprState *expression, bool *isnull)
{
	ExprContext *econtext = join->node.ss.ps.ps_ExprContext;

	econtext->ecxt_scantuple = join->node.ss.ss_ScanTupleSlot;
	return ExecEvalExprSwitchContext(expression, econtext, isnull);
}

static bool
pair_matches(BatchJoin *join)
{
	bool		isnull;
	Datum		result = evaluate(join, join->condition, &isnull);

	return !isnull && DatumGetBool(result);
}

/* ----------
 * The queue of outer rows
 * ----------
 */

static void
enqueue(BatchJoin *join, TupleTableSlot *slot)
{
	ExprContext *econtext = join->node.ss.ps.ps_ExprContext;
	MemoryContext old;
	OuterRow   *row;
	Datum		key;
	bool		isnull;

	CHECK_FOR_INTERRUPTS();
	ResetExprContext(econtext);
	ExecClearTuple(join->inner_slot);
	put_pair(join, slot, join->inner_slot);
	old = MemoryContextSwitchTo(join->queue_context);
	row = palloc(sizeof(OuterRow));
	row->tuple = ExecCopySlotMinimalTuple(slot);
	MemoryContextSwitchTo(old);
	row->entry = NULL;
	key = evaluate(join, join->key, &isnull);
	if (!isnull)
	{
		old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		row->entry = velt_key_lookup_use(join->lookup, key);
		MemoryContextSwitchTo(old);
	}
	if (slist_is_empty(&join->queue))
		slist_push_head(&join->queue, &row->link);
	else
		slist_insert_after(join->queue_tail, &row->link);
	join->queue_tail = &row->link;
	join->nqueued++;
	join->queued_bytes += GetMemoryChunkSpace(row->tuple);
}

static void
free_row(BatchJoin *join)
{
	OuterRow   *row = join->row;

	if (row == NULL)
		return;
	/* they point into its tuple, and into those of its entry */
	ExecClearTuple(join->node.ss.ss_ScanTupleSlot);
	ExecClearTuple(join->outer_slot);
	ExecClearTuple(join->inner_slot);
	if (row->entry)
		velt_key_lookup_release(join->lookup, row->entry);
	join->nqueued--;
	join->queued_bytes -= GetMemoryChunkSpace(row->tuple);
	pfree(row->tuple);
	pfree(row);
	join->row = NULL;
}

/* Whether the queue would be full with so many times what it has. */
static bool
is_full(const BatchJoin *join, int times)
{
	return join->queued_bytes * times >= (Size) work_mem * 1024 / QUEUE_PART ||
		join->nqueued * times >= (int64) join->window * QUEUED_PER_KEY;
}

/*
 * Whether it is time to read ahead.  Unless all rows are wanted, the second
 * time is when the first are used up, as there may be no use for more; then
 * when half of the window
 * has been answered, and half of the queue is free, so that requests are as
 * full as they can be.
 */
static bool
should_fill(const BatchJoin *join)
{
	if (join->outer_done)
		return false;
	if (join->nqueued == 0)
		return true;
	return (join->all_rows || join->nfills > 1) &&
		velt_key_lookup_unanswered(join->lookup) <= join->window / 2 &&
		!is_full(join, 2);
}

/* Reads outer rows ahead, and asks for what their keys need. */
static void
fill(BatchJoin *join)
{
	if (join->nfills++ > 0)
		join->window = Min(join->window * VELT_BATCH_WINDOW_GROWTH,
						   velt_key_lookup_capacity(join->lookup));
	join->stats.batches++;
	do
	{
		TupleTableSlot *slot = ExecProcNode(join->outer);

		join->outer_done = TupIsNull(slot);
		if (join->outer_done)
			break;
		enqueue(join, slot);
	} while (velt_key_lookup_unanswered(join->lookup) < join->window &&
			 !is_full(join, 1));
	velt_key_lookup_flush(join->lookup);
}

/* ----------
 * Joining
 * ----------
 */

/* Makes the queue's first row the one to be joined; false behind the last. */
static bool
next_outer(BatchJoin *join)
{
	OuterRow   *row;

	free_row(join);
	while (should_fill(join))
		fill(join);
	if (slist_is_empty(&join->queue))
		return false;
	row = slist_head_element(OuterRow, link, &join->queue);
	while (row->entry && row->entry->asker)
	{
		velt_key_lookup_receive(join->lookup);
		if (should_fill(join))
			fill(join);
	}
	velt_key_lookup_advance(join->lookup);
	slist_pop_head_node(&join->queue);
	join->row = row;
	ExecStoreMinimalTuple(row->tuple, join->outer_slot, false);
	if (row->entry)
		velt_key_table_rewind(row->entry);
	join->matched = false;
	return true;
}

/* The next row that the outer row at hand makes; NULL if there is none. */
static TupleTableSlot *
next_pair(BatchJoin *join)
{
	VeltKeyEntry *entry = join->row->entry;
	bool		lone = join->type == JOIN_LEFT || join->type == JOIN_ANTI;
	bool		once = join->type == JOIN_SEMI || join->type == JOIN_ANTI;

	while (entry && !(once && join->matched) &&
		   velt_key_table_next_row(entry, join->inner_slot))
	{
		TupleTableSlot *joined;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(join->node.ss.ps.ps_ExprContext);
		joined = put_pair(join, join->outer_slot, join->inner_slot);
		if (!pair_matches(join))
			continue;
		join->matched = true;
		if (join->type != JOIN_ANTI)
			return joined;
	}
	if (join->matched || !lone)
		return NULL;
	join->matched = true;
	ExecClearTuple(join->inner_slot);
	return put_pair(join, join->outer_slot, join->inner_slot);
}

static TupleTableSlot *
next_row(ScanState *node)
{
	BatchJoin  *join = (BatchJoin *) node;
	TupleTableSlot *joined;

	for (;;)
	{
		if (join->row && (joined = next_pair(join)) != NULL)
			return joined;
		if (!next_outer(join))
			break;
	}
	/* connections and memory are of use to others */
	velt_key_lookup_finish(join->lookup);
	return ExecClearTuple(node->ss_ScanTupleSlot);
}

/*
 * Returns whether the rows to be checked again, which the children return,
 * make a row: a plain nested loop.
 */
static bool
recheck_pair(BatchJoin *join)
{
	PlanState  *inner = &join->inner->ss.ps;

	for (;;)
	{
		TupleTableSlot *row;

		if (!join->rechecking)
		{
			TupleTableSlot *outer = ExecProcNode(join->outer);

			if (TupIsNull(outer))
				return false;
			ExecCopySlot(join->outer_slot, outer);
			ExecReScan(inner);
			join->rechecking = true;
			join->matched = false;
		}
		row = ExecProcNode(inner);
		if (!TupIsNull(row))
		{
			put_pair(join, join->outer_slot, row);
			if (!pair_matches(join))
				continue;
			join->matched = true;
			join->rechecking = join->type != JOIN_SEMI &&
				join->type != JOIN_ANTI;
			if (join->type != JOIN_ANTI)
				return true;
			continue;
		}
		join->rechecking = false;
		if (join->matched ||
			(join->type != JOIN_LEFT && join->type != JOIN_ANTI))
			continue;
		ExecClearTuple(join->inner_slot);
		put_pair(join, join->outer_slot, join->inner_slot);
		return true;
	}
}

static bool
recheck_row(ScanState *node, TupleTableSlot *slot)
{
	if (velt_scan_is_rechecked(&node->ps))
		return recheck_pair((BatchJoin *) node);
	slot = next_row(node);
	return !TupIsNull(slot);
}

static TupleTableSlot *
execute_join(CustomScanState *node)
{
	return ExecScan(&node->ss, next_row, recheck_row);
}

/* ----------
 * Beginning and end
 * ----------
 */

static TupleTableSlot *
make_slot(BatchJoin *join, PlanState *side)
{
	return ExecInitExtraTupleSlot(join->node.ss.ps.state,
								  ExecGetResultType(side),
								  &TTSOpsMinimalTuple);
}

static int
first_window(const BatchJoin *join)
{
	return join->all_rows ? velt_key_lookup_capacity(join->lookup) :
		VELT_BATCH_FIRST_WINDOW;
}

static void
begin_join(CustomScanState *node, EState *estate, int eflags)
{
	BatchJoin  *join = (BatchJoin *) node;
	CustomScan *plan = (CustomScan *) node->ss.ps.plan;
	int			inner_eflags = eflags & ~EXEC_FLAG_REWIND;

	join->outer = ExecInitNode(list_nth(plan->custom_plans, VELT_BATCH_OUTER),
							   estate, eflags);
	join->inner = (ForeignScanState *)
		ExecInitNode(list_nth(plan->custom_plans, VELT_BATCH_INNER), estate,
					 inner_eflags);
	node->custom_ps = list_make2(join->outer, join->inner);
	join->type = list_nth_int(plan->custom_private, VELT_BATCH_JOIN_TYPE);
	join->key = ExecInitExpr(list_nth(plan->custom_exprs, VELT_BATCH_KEY),
							 &node->ss.ps);
	join->all_rows = list_nth_int(plan->custom_private, VELT_BATCH_ALL_ROWS);
	join->condition = ExecInitExpr(list_nth(plan->custom_exprs,
											VELT_BATCH_CONDITION),
								   &node->ss.ps);
	join->outer_slot = make_slot(join, join->outer);
	join->inner_slot = make_slot(join, &join->inner->ss.ps);
	join->nouter = join->outer_slot->tts_tupleDescriptor->natts;
	join->queue_context = AllocSetContextCreate(estate->es_query_cxt,
												"velt_fdw outer rows",
												ALLOCSET_DEFAULT_SIZES);
	join->lookup =
		velt_key_lookup_create(join->inner,
							   list_nth_int(plan->custom_private,
											VELT_BATCH_KEY_COLUMN),
							   (Size) work_mem * 1024 / KNOWN_PART,
							   &join->stats.keys);
	slist_init(&join->queue);
	join->window = first_window(join);
}

/*
 * Begins anew.  What is known of keys stays, unless they are answered
 * otherwise now, or the answers are still to come.
 */
static void
rescan_join(CustomScanState *node)
{
	BatchJoin  *join = (BatchJoin *) node;
	PlanState  *inner = &join->inner->ss.ps;

	free_row(join);
	if (node->ss.ps.chgParam != NULL)
	{
		UpdateChangedParamSet(join->outer, node->ss.ps.chgParam);
		UpdateChangedParamSet(inner, node->ss.ps.chgParam);
	}
	while (!slist_is_empty(&join->queue))
	{
		join->row = slist_head_element(OuterRow, link, &join->queue);
		slist_pop_head_node(&join->queue);
		free_row(join);
	}
	if (velt_key_lookup_unanswered(join->lookup) > 0 ||
		inner->chgParam != NULL)
		velt_key_lookup_reset(join->lookup);
	join->outer_done = false;
	join->rechecking = false;
	join->window = first_window(join);
	join->nfills = 0;
	if (join->outer->chgParam == NULL)
		ExecReScan(join->outer);
	/* for its conditions; as a scan, recheck_pair starts it for each row */
	if (inner->chgParam != NULL)
		ExecReScan(inner);
}

static void
end_join(CustomScanState *node)
{
	BatchJoin  *join = (BatchJoin *) node;

	velt_key_lookup_reset(join->lookup);
	ExecEndNode(join->outer);
	ExecEndNode(&join->inner->ss.ps);
}

const VeltBatchStats *
velt_batch_join_stats(const CustomScanState *node)
{
	return &((const BatchJoin *) node)->stats;
}

static CustomExecMethods batch_join_methods = {
	.CustomName = "Velt Batch Join",
	.BeginCustomScan = begin_join,
	.ExecCustomScan = execute_join,
	.EndCustomScan = end_join,
	.ReScanCustomScan = rescan_join,
};

static Node *
create_state(CustomScan *plan pg_attribute_unused())
{
	BatchJoin  *join = palloc0(sizeof(BatchJoin));

	NodeSetTag(join, T_CustomScanState);
	join->node.methods = &batch_join_methods;
	return (Node *) join;
}

const CustomScanMethods velt_batch_join_scan_methods = {
	.CustomName = "Velt Batch Join",
	.CreateCustomScanState = create_state,
};

void
velt_batch_join_register(VeltExplainBatchJoin explain)
{
	batch_join_methods.ExplainCustomScan = explain;
	RegisterCustomScanMethods(&velt_batch_join_scan_methods);
}
