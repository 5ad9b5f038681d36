/*
 * executor/scan.c
 *		A foreign scan at work: pages come in, rows go up.
 *
 * The cursor and the hold on the session are malloc'd or cached, so memory
 * contexts do not free them: one reset callback does, whatever ends the scan.
 */
#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "common/int.h"
#include "executor/executor.h"
#include "executor/async.h"
#include "executor/filter_keys.h"
#include "executor/scan.h"
#include "foreign/column.h"
#include "foreign/foreign.h"
#include "foreign/report.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* A row's key in a message is cut to this. */
#define KEY_SHOWN_BYTES		128

/* ----------
 * What an error was about
 * ----------
 */

/* Looks nothing up: who knows what state an error has left. */
static void
describe_context(void *arg)
{
	VeltScan   *scan = arg;
	const char *column = velt_tuple_reader_column(scan->reader);
	char		key[KEY_SHOWN_BYTES];
	VeltString	row_key = {NULL, 0};

	if (column == NULL || scan->page == NULL)
	{
		errcontext("foreign table \"%s\"", scan->table_name);
		return;
	}
	row_key = velt_page_row_key(scan->page);
	velt_error_clean_text(key, sizeof(key), row_key.bytes, row_key.length,
						  velt_transport_credentials(velt_session_transport(scan->fetch.session)));
	for (char *at = key; GetDatabaseEncoding() != PG_UTF8 && *at; at++)
	{
		if (IS_HIGHBIT_SET(*at))
			*at = '?';
	}
	errcontext("column \"%s\" of foreign table \"%s\", row of \"%s\"",
			   column, scan->table_name, key);
}

/* ----------
 * Beginning and end
 * ----------
 */

/* Ends what is in flight; the next row asked for begins anew. */
static void
stop_scan(VeltScan *scan)
{
	scan->page = NULL;
	scan->done = false;
	scan->pending = false;
	velt_fetch_stop(&scan->fetch);
	velt_async_forget(scan);
}

static void
cleanup_scan(void *arg)
{
	velt_async_forget(arg);
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

void
veltBeginForeignScan(ForeignScanState *node,
					 int eflags)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	EState	   *estate = node->ss.ps.state;
	VeltScan   *scan = palloc0(sizeof(VeltScan));
	ForeignServer *server;
	VeltTable  *table;

	node->fdw_state = scan;
	scan->ready_fd = -1;
	scan->cleanup.func = cleanup_scan;
	scan->cleanup.arg = scan;
	MemoryContextRegisterResetCallback(estate->es_query_cxt, &scan->cleanup);
	velt_fetch_init(&scan->fetch, estate->es_query_cxt);

	scan->plan = velt_scan_plan_decode(plan->fdw_private);
	scan->relation = node->ss.ss_currentRelation;
	scan->table_name =
		psprintf("%s.%s",
				 get_namespace_name(RelationGetNamespace(scan->relation)),
				 RelationGetRelationName(scan->relation));
	scan->userid = velt_compat_scan_user(node);
	server = GetForeignServer(GetForeignServerIdByRelId(RelationGetRelid(scan->relation)));
	scan->serverid = server->serverid;
	scan->server_name = server->servername;
	velt_table_settings(RelationGetRelid(scan->relation), &scan->settings);
	table = velt_table_describe(scan->relation, scan->plan->resource);
	scan->reader = velt_tuple_reader_create(scan->relation, table,
											scan->plan->attnums);
	scan->values = ExecInitExprList(plan->fdw_exprs, &node->ss.ps);
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

/* A partition's bound holds only if this is the workspace it speaks of. */
static void
check_workspace(VeltScan *scan, const VeltCredentials *credentials)
{
	const char *expected = scan->settings.expected_workspace_id;

	if (expected && strcmp(expected, credentials->workspace_id) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("foreign table \"%s\" is for another workspace than the user mapping",
						RelationGetRelationName(scan->relation)),
				 errdetail("The table's option workspace_id is \"%s\", the user mapping's is another.",
						   expected)));
}

/* Whether the quals on workspace_id allow the rows of this workspace. */
static bool
workspace_wanted(VeltScan *scan, ExprContext *econtext,
				 const VeltCredentials *credentials)
{
	VeltKeys	workspaces;

	return !velt_filter_keys_evaluate(scan->plan, scan->values,
									  VELT_FILTER_WORKSPACE, econtext,
									  &workspaces) ||
		velt_filter_keys_contain(&workspaces, credentials->workspace_id);
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

/* What the remote quals and the limit make of the request. */
static void
add_quals(VeltScan *scan, ExprContext *econtext,
		  const VeltCredentials *credentials, VeltCursorSpec *spec)
{
	MemoryContext old;
	VeltKeys	keys = {NULL, 0};

	MemoryContextReset(scan->keys_context);
	old = MemoryContextSwitchTo(scan->keys_context);
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
	MemoryContextSwitchTo(old);
}

/* Makes the scan's cursor; no request leaves before a page is asked for. */
static void
start_scan(ForeignScanState *node)
{
	VeltScan   *scan = node->fdw_state;
	VeltTransport *transport;
	VeltCursorSpec spec;
	VeltError	error;

	scan->fetch.session = velt_session_acquire(scan->userid, scan->serverid);
	transport = velt_session_transport(scan->fetch.session);
	check_workspace(scan, velt_transport_credentials(transport));
	velt_tuple_reader_set_workspace(scan->reader,
									velt_transport_credentials(transport));
	velt_fetch_spec(&scan->fetch, scan->plan->resource, &scan->settings,
					&scan->stats, &spec);
	spec.pointers = velt_tuple_reader_pointers(scan->reader, &spec.npointers);
	add_quals(scan, node->ss.ps.ps_ExprContext,
			  velt_transport_credentials(transport), &spec);
	if (!velt_fetch_open(&scan->fetch, &spec, &error))
		velt_report_fetch(&error, scan->plan->resource->name,
						  scan->server_name);
}

/*
 * Sets the scan's page, waiting for it if need be; false behind the last, or
 * if it would have to wait and may not.
 */
static bool
next_page(VeltScan *scan)
{
	VeltError	error;
	VeltPage   *page;
	VeltCursorStatus status = scan->async ?
		velt_cursor_next_page(scan->fetch.cursor, &page, &error) :
		velt_fetch_next_page(&scan->fetch, &page, &error);

	scan->page = status == VELT_CURSOR_PAGE ? page : NULL;
	scan->pending = status == VELT_CURSOR_WAIT;
	if (status == VELT_CURSOR_FAILED)
		velt_report_fetch(&error, scan->plan->resource->name,
						  scan->server_name);
	return status == VELT_CURSOR_PAGE;
}

/* ----------
 * Rows
 * ----------
 */

/* Steps to the next row of the scan; false behind the last one. */
static bool
next_row(VeltScan *scan)
{
	VeltError	error;
	bool		found;

	for (;;)
	{
		if (scan->page == NULL && !next_page(scan))
			return false;
		if (!velt_page_next_row(scan->page, &found, &error))
			velt_report_fetch(&error, scan->plan->resource->name,
							  scan->server_name);
		if (found)
			return true;
		scan->page = NULL;
	}
}

static void
fetch_row(ForeignScanState *node, TupleTableSlot *slot)
{
	VeltScan   *scan = node->fdw_state;
	MemoryContext old;

	if (scan->fetch.cursor == NULL)
		start_scan(node);
	if (!next_row(scan))
	{
		/* connections and memory are of use to others */
		if (!scan->pending)
		{
			stop_scan(scan);
			scan->done = true;
		}
		return;
	}
	old = MemoryContextSwitchTo(node->ss.ps.ps_ExprContext->ecxt_per_tuple_memory);
	velt_tuple_read(scan->reader, scan->page, slot->tts_values,
					slot->tts_isnull);
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(slot);
	if (scan->store)
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
