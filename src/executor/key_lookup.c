/*
 * executor/key_lookup.c
 *		Looks keys up in a foreign table, many at a time.
 *
 * Keys are gathered into slices, each of which is one request.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/key_lookup.h"
#include "foreign/wait.h"
#include "executor/scan.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "utils/memutils.h"

/* As many requests as may be in flight, and as many to follow at once. */
#define ROUNDS_AHEAD		2

/* Keys that are asked for in one request: the cursor's tag for it. */
typedef struct Slice
{
	int			nkeys;
	int			max_keys;
	int			nleft;			/* not answered yet */
	VeltKeyEntry **entries;
	VeltString	keys[FLEXIBLE_ARRAY_MEMBER];	/* in UTF-8 */
} Slice;

struct VeltKeyLookup
{
	ForeignScanState *scan;
	VeltSource	source;			/* open while it has a cursor */
	int			key_column;
	VeltKeyLookupStats *stats;
	VeltKeyTable *table;
	MemoryContext context;		/* of slices and "allowed", while it is open */
	Slice	   *slice;			/* being filled, or NULL */
	bool		restricted;		/* only these keys can have rows */
	VeltKeys	allowed;
	int			nunanswered;
};

VeltKeyLookup *
velt_key_lookup_create(ForeignScanState *scan, int key_column, Size bound,
					   VeltKeyLookupStats *stats)
{
	const VeltScanPlan *plan = ((VeltScan *) scan->fdw_state)->plan;
	VeltKeyLookup *lookup = palloc0(sizeof(VeltKeyLookup));

	lookup->scan = scan;
	velt_source_init(&lookup->source, scan->ss.ss_currentRelation,
					 plan->resource, plan->attnums, CurrentMemoryContext);
	lookup->key_column = key_column;
	lookup->stats = stats;
	lookup->table = velt_key_table_create(CurrentMemoryContext, bound);
	lookup->context = AllocSetContextCreate(CurrentMemoryContext,
											"velt_fdw keys asked for",
											ALLOCSET_DEFAULT_SIZES);
	return lookup;
}

/* End what is in flight and release the session. */
static void
stop(VeltKeyLookup *lookup)
{
	velt_source_stop(&lookup->source);
	/* the cursor had borrowed keys */
	MemoryContextReset(lookup->context);
	lookup->slice = NULL;
	lookup->nunanswered = 0;
}

void
velt_key_lookup_reset(VeltKeyLookup *lookup)
{
	stop(lookup);
	velt_key_table_reset(lookup->table);
}

static void
describe_source(void *arg)
{
	velt_source_describe(&((VeltKeyLookup *) arg)->source);
}

/* Has errors say which table they are about, until error_context_stack is set back. */
static void
push_context(VeltKeyLookup *lookup, ErrorContextCallback *context)
{
	context->callback = describe_source;
	context->arg = lookup;
	context->previous = error_context_stack;
	error_context_stack = context;
}

/* ----------
 * Questions
 * ----------
 */

static bool
is_open(const VeltKeyLookup *lookup)
{
	return lookup->source.fetch.cursor != NULL;
}

static void
open_source(VeltKeyLookup *lookup)
{
	ErrorContextCallback context;
	MemoryContext old;

	if (is_open(lookup))
		return;
	push_context(lookup, &context);
	old = MemoryContextSwitchTo(lookup->context);
	velt_scan_open_for_keys(lookup->scan, &lookup->source,
							&lookup->stats->scan, &lookup->allowed,
							&lookup->restricted);
	MemoryContextSwitchTo(old);
	error_context_stack = context.previous;
}

void
velt_key_lookup_flush(VeltKeyLookup *lookup)
{
	Slice	   *slice = lookup->slice;
	VeltError	error;

	if (slice == NULL)
		return;
	lookup->slice = NULL;
	slice->nleft = slice->nkeys;
	if (!velt_cursor_add_keys(lookup->source.fetch.cursor, slice->keys,
							  slice->nkeys, slice, &error))
		velt_source_report(&lookup->source, &error);
	velt_cursor_start(lookup->source.fetch.cursor);
}

static Slice *
open_slice(VeltKeyLookup *lookup)
{
	int			most = velt_cursor_max_keys(lookup->source.fetch.cursor);
	Slice	   *slice;

	if (lookup->slice)
		return lookup->slice;
	slice = MemoryContextAlloc(lookup->context, offsetof(Slice, keys) +
							   most * sizeof(VeltString));
	slice->entries = MemoryContextAlloc(lookup->context,
										most * sizeof(VeltKeyEntry *));
	slice->nkeys = 0;
	slice->max_keys = most;
	lookup->slice = slice;
	return slice;
}

/* "key" is the entry's in UTF-8, maybe in memory that is soon gone. */
static void
ask(VeltKeyLookup *lookup, VeltKeyEntry *entry, VeltString key)
{
	Slice	   *slice = open_slice(lookup);
	char	   *copy = MemoryContextAlloc(lookup->context, key.length);

	memcpy(copy, key.bytes, key.length);
	slice->keys[slice->nkeys].bytes = copy;
	slice->keys[slice->nkeys].length = key.length;
	slice->entries[slice->nkeys++] = entry;
	entry->asker = slice;
	lookup->nunanswered++;
	lookup->stats->asked++;
	if (slice->nkeys == slice->max_keys)
		velt_key_lookup_flush(lookup);
}

VeltKeyEntry *
velt_key_lookup_use(VeltKeyLookup *lookup, Datum key)
{
	text	   *key_text = DatumGetTextPP(key);
	VeltString	bytes = {VARDATA_ANY(key_text), VARSIZE_ANY_EXHDR(key_text)};
	VeltString	sent;
	VeltKeyEntry *entry;
	bool		found;

	open_source(lookup);
	if (!velt_filter_key(PointerGetDatum(key_text), &sent) ||
		(lookup->restricted &&
		 !velt_filter_keys_contain(&lookup->allowed, sent)))
		return NULL;
	entry = velt_key_table_use(lookup->table, bytes, &found);
	if (found)
		lookup->stats->remembered++;
	else
		ask(lookup, entry, sent);
	return entry;
}

void
velt_key_lookup_release(VeltKeyLookup *lookup, VeltKeyEntry *entry)
{
	velt_key_table_release(lookup->table, entry);
}

void
velt_key_lookup_advance(VeltKeyLookup *lookup)
{
	ErrorContextCallback context;

	if (lookup->nunanswered == 0)
		return;
	push_context(lookup, &context);
	velt_wait_drive(lookup->source.fetch.session);
	error_context_stack = context.previous;
}

int
velt_key_lookup_unanswered(const VeltKeyLookup *lookup)
{
	return lookup->nunanswered;
}

int
velt_key_lookup_capacity(const VeltKeyLookup *lookup)
{
	return lookup->source.settings.max_concurrency * ROUNDS_AHEAD *
		velt_settings_filter_max(&lookup->source.settings);
}

/* ----------
 * Answers
 * ----------
 */

/* The row at hand, as the scan returns it; NULL if that leaves it out. */
static TupleTableSlot *
read_row(VeltKeyLookup *lookup)
{
	ScanState  *scan = &lookup->scan->ss;
	ExprContext *econtext = scan->ps.ps_ExprContext;
	TupleTableSlot *slot = scan->ss_ScanTupleSlot;
	MemoryContext old;

	CHECK_FOR_INTERRUPTS();
	ResetExprContext(econtext);
	ExecClearTuple(slot);
	old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	velt_source_read(&lookup->source, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(lookup->source.relation);
	econtext->ecxt_scantuple = slot;
	if (scan->ps.qual && !ExecQual(scan->ps.qual, econtext))
		return NULL;
	return scan->ps.ps_ProjInfo ? ExecProject(scan->ps.ps_ProjInfo) : slot;
}

/* Which of the slice's keys the row is of; NULL if of none. */
static VeltKeyEntry *
entry_of_row(VeltKeyLookup *lookup, Slice *slice, TupleTableSlot *row)
{
	VeltString	key;
	bool		isnull;
	Datum		value;
	text	   *value_text;
	VeltKeyEntry *entry;

	if (slice->nkeys == 1)
		return slice->entries[0];
	value = slot_getattr(row, lookup->key_column + 1, &isnull);
	if (isnull)
		return NULL;
	value_text = DatumGetTextPP(value);
	key.bytes = VARDATA_ANY(value_text);
	key.length = VARSIZE_ANY_EXHDR(value_text);
	entry = velt_key_table_find(lookup->table, key);
	/* what was not asked for here is no answer */
	return entry && entry->asker == slice ? entry : NULL;
}

static void
finish_slice(VeltKeyLookup *lookup, Slice *slice)
{
	for (int i = 0; i < slice->nkeys; i++)
	{
		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): none is NULL */
		slice->entries[i]->asker = NULL;
		pfree((char *) slice->keys[i].bytes);
	}
	lookup->nunanswered -= slice->nkeys;
	pfree(slice->entries);
	pfree(slice);
}

/* Takes the rows of a page (NULL: none). */
static void
take_page(VeltKeyLookup *lookup, VeltPage *page)
{
	VeltSource *source = &lookup->source;
	Slice	   *slice = velt_cursor_tag(source->fetch.cursor);

	source->page = page;
	while (velt_source_next_of_page(source))
	{
		TupleTableSlot *row = read_row(lookup);
		VeltKeyEntry *entry = row ? entry_of_row(lookup, slice, row) : NULL;

		if (entry)
			velt_key_table_add_row(lookup->table, entry, row);
	}
	slice->nleft -= velt_cursor_keys_done(source->fetch.cursor);
	if (slice->nleft == 0)
		finish_slice(lookup, slice);
}

/* Takes what has come; waits if nothing has.  False if nothing will. */
static bool
receive(VeltKeyLookup *lookup)
{
	VeltSource *source = &lookup->source;
	ErrorContextCallback context;
	VeltPage   *page;
	VeltError	error;
	bool		more = true;

	push_context(lookup, &context);
	switch (velt_cursor_next_page(source->fetch.cursor, &page, &error))
	{
		case VELT_CURSOR_PAGE:
			take_page(lookup, page);
			break;
		case VELT_CURSOR_WAIT:
			velt_wait(source->fetch.session);
			break;
		case VELT_CURSOR_FAILED:
			velt_source_report(source, &error);
			break;
		case VELT_CURSOR_END:
			more = false;
	}
	error_context_stack = context.previous;
	return more;
}

void
velt_key_lookup_receive(VeltKeyLookup *lookup)
{
	if (!receive(lookup))
		elog(ERROR, "a key was not answered");
}

void
velt_key_lookup_finish(VeltKeyLookup *lookup)
{
	/* the cursor's end is where it tells an unknown key from a workspace */
	while (is_open(lookup) && receive(lookup))
		;
	stop(lookup);
}
