/*
 * executor/join.c
 *		API keys and their tokens in one scan.
 *
 * Keys are read from their pages as long as the tokens' cursor has use for
 * more of them.  A key that meets its conditions is kept as a tuple until all
 * its tokens have been looked at; there are never more of these than requests
 * that may be in flight or next.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/executor.h"
#include "executor/join.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "utils/memutils.h"

/* What of a pair, of a token and of a key becomes a row. */
enum JoinRule
{
	PAIRS = 1 << 0,				/* key and token, if they match */
	LONE_TOKENS = 1 << 1,		/* those without a matching key */
	LONE_KEYS = 1 << 2,			/* those without a matching token */
	ONCE = 1 << 3,				/* a key's first match decides */
};

static const int join_rules[] = {
	[VELT_JOIN_INNER] = PAIRS,
	[VELT_JOIN_KEYS_LEFT] = PAIRS | LONE_KEYS,
	[VELT_JOIN_KEYS_SEMI] = PAIRS | ONCE,
	[VELT_JOIN_KEYS_ANTI] = LONE_KEYS | ONCE,
	[VELT_JOIN_TOKENS_LEFT] = PAIRS | LONE_TOKENS,
	[VELT_JOIN_TOKENS_SEMI] = PAIRS,
	[VELT_JOIN_TOKENS_ANTI] = LONE_TOKENS,
};

/* One of the two tables, as part of the joined row. */
typedef struct Side
{
	VeltSource *source;
	Datum	   *values;			/* of its current row, by attribute */
	bool	   *isnull;
	int			ncolumns;
	int		   *columns;		/* which of the joined row are its, from 0 */
	AttrNumber *attnums;		/* of each; 0: the row as a whole */
} Side;

/* A key whose tokens have been asked for: the tag of that request. */
typedef struct AskedKey
{
	bool		matched;
	MinimalTuple row;			/* the joined row, with NULLs for the token */
} AskedKey;

struct VeltJoin
{
	int			rules;			/* of JoinRule */
	ExprContext *econtext;
	ExprState  *conditions[VELT_JOIN_CONDITIONS];
	Side		keys;
	Side		tokens;
	VeltSource	token_source;
	const char **key_pointers;	/* of the keys' source, and one for the key */
	int			key_value;		/* which of them that is */

	bool		returned;		/* a row of the result */
	bool		keys_done;
	bool		keys_failed;
	VeltError	keys_error;
	AskedKey   *current;		/* whose tokens are being looked at */
	TupleTableSlot *key_slot;	/* its row */
	MemoryContext context;		/* of AskedKeys */
};

/* ----------
 * Preparation
 * ----------
 */

Index
velt_join_relation_index(ForeignScanState *node, bool first)
{
	Relids		relids = velt_compat_scan_relids((ForeignScan *) node->ss.ps.plan);
	int			index = bms_next_member(relids, -1);

	return first ? index : bms_next_member(relids, index);
}

Relation
velt_join_relation(ForeignScanState *node, bool first)
{
	return velt_compat_open_relation(node->ss.ps.state,
									 velt_join_relation_index(node, first));
}

/* Which columns of the joined row are the side's. */
static void
map_columns(Side *side, List *scan_tlist, Index varno)
{
	ListCell   *lc;

	side->columns = palloc(sizeof(int) * Max(list_length(scan_tlist), 1));
	side->attnums = palloc(sizeof(AttrNumber) * Max(list_length(scan_tlist),
													1));
	foreach(lc, scan_tlist)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (var->varno != (int) varno)
			continue;
		side->columns[side->ncolumns] = foreach_current_index(lc);
		side->attnums[side->ncolumns++] = var->varattno;
	}
}

static void
init_side(Side *side, VeltSource *source, ForeignScanState *node, bool first)
{
	int			natts = RelationGetDescr(source->relation)->natts;

	side->source = source;
	side->values = palloc0(sizeof(Datum) * Max(natts, 1));
	side->isnull = palloc(sizeof(bool) * Max(natts, 1));
	map_columns(side, ((ForeignScan *) node->ss.ps.plan)->fdw_scan_tlist,
				velt_join_relation_index(node, first));
}

/* The values wanted of a key's row, and behind them what names its tokens. */
static void
extend_pointers(VeltJoin *join, const VeltScanPlan *plan)
{
	VeltSource *keys = join->keys.source;
	int			n;
	const char *const *pointers = velt_tuple_reader_pointers(keys->reader, &n);

	join->key_pointers = palloc(sizeof(char *) * (n + 1));
	memcpy(join->key_pointers, pointers, sizeof(char *) * n);
	join->key_pointers[n] =
		velt_resource_column(keys->resource,
							 plan->tokens->parent_column)->pointer;
	join->key_value = n;
}

VeltJoin *
velt_join_create(ForeignScanState *node, VeltSource *keys,
				 const VeltScanPlan *plan, List *values)
{
	EState	   *estate = node->ss.ps.state;
	VeltJoin   *join = palloc0(sizeof(VeltJoin));
	int			first = list_length(values) - VELT_JOIN_CONDITIONS;

	join->rules = join_rules[plan->join];
	join->econtext = node->ss.ps.ps_ExprContext;
	for (int i = 0; i < VELT_JOIN_CONDITIONS; i++)
		join->conditions[i] = list_nth(values, first + i);
	velt_source_init(&join->token_source,
					 velt_join_relation(node, !plan->keys_first),
					 plan->tokens, plan->token_attnums, estate->es_query_cxt);
	init_side(&join->keys, keys, node, plan->keys_first);
	init_side(&join->tokens, &join->token_source, node, !plan->keys_first);
	extend_pointers(join, plan);
	join->key_slot =
		ExecInitExtraTupleSlot(estate,
							   node->ss.ss_ScanTupleSlot->tts_tupleDescriptor,
							   &TTSOpsMinimalTuple);
	join->context = AllocSetContextCreate(estate->es_query_cxt,
										  "velt_fdw keys asked for",
										  ALLOCSET_DEFAULT_SIZES);
	return join;
}

void
velt_join_start(VeltJoin *join, const VeltCursorSpec *spec)
{
	VeltSource *keys = join->keys.source;
	VeltCursorSpec key_spec = *spec;
	VeltCursorSpec token_spec;

	key_spec.pointers = join->key_pointers;
	key_spec.npointers = join->key_value + 1;
	velt_source_acquire_beside(&join->token_source, keys, spec->stats,
							   &token_spec);
	/* one scan: the stricter limit binds */
	if (key_spec.max_requests == 0 ||
		(token_spec.max_requests > 0 &&
		 token_spec.max_requests < key_spec.max_requests))
		key_spec.max_requests = token_spec.max_requests;
	velt_source_open(keys, &key_spec);
	token_spec.filtered = true;
	token_spec.every_key = true;
	token_spec.within = keys->fetch.cursor;
	velt_source_open(&join->token_source, &token_spec);
	join->returned = false;
	join->keys_done = false;
	join->keys_failed = false;
}

void
velt_join_stop(VeltJoin *join)
{
	velt_source_stop(&join->token_source);
	join->current = NULL;
	ExecClearTuple(join->key_slot);
	MemoryContextReset(join->context);
}

/* ----------
 * The joined row
 * ----------
 */

/* NULLs in the side's columns. */
static void
put_nulls(const Side *side, TupleTableSlot *slot)
{
	for (int i = 0; i < side->ncolumns; i++)
	{
		slot->tts_values[side->columns[i]] = (Datum) 0;
		slot->tts_isnull[side->columns[i]] = true;
	}
}

static Datum
whole_row(const Side *side)
{
	return HeapTupleGetDatum(heap_form_tuple(RelationGetDescr(side->source->relation),
											 side->values, side->isnull));
}

/* The current row of the side's source, in its columns. */
static void
put_row(Side *side, TupleTableSlot *slot)
{
	velt_source_read(side->source, side->values, side->isnull);
	for (int i = 0; i < side->ncolumns; i++)
	{
		AttrNumber	attnum = side->attnums[i];
		int			column = side->columns[i];

		slot->tts_isnull[column] = attnum > 0 && side->isnull[attnum - 1];
		slot->tts_values[column] = attnum > 0 ? side->values[attnum - 1] :
			whole_row(side);
	}
}

/* The key whose tokens are being looked at. */
static void
put_key(VeltJoin *join, TupleTableSlot *slot)
{
	TupleTableSlot *kept = join->key_slot;

	slot_getallattrs(kept);
	for (int i = 0; i < join->keys.ncolumns; i++)
	{
		int			column = join->keys.columns[i];

		slot->tts_values[column] = kept->tts_values[column];
		slot->tts_isnull[column] = kept->tts_isnull[column];
	}
}

/* Whether the row in the slot, or what there is of it, meets a condition. */
static bool
holds(VeltJoin *join, VeltJoinCondition condition, TupleTableSlot *slot)
{
	bool		isnull;
	Datum		result;

	join->econtext->ecxt_scantuple = slot;
	result = ExecEvalExprSwitchContext(join->conditions[condition],
									   join->econtext, &isnull);
	return !isnull && DatumGetBool(result);
}

/* Puts a row of a side into the slot, in memory of the row. */
static void
begin_row(VeltJoin *join, Side *side, TupleTableSlot *slot)
{
	MemoryContext old;

	CHECK_FOR_INTERRUPTS();
	ExecClearTuple(slot);
	ResetExprContext(join->econtext);
	old = MemoryContextSwitchTo(join->econtext->ecxt_per_tuple_memory);
	put_nulls(&join->keys, slot);
	put_nulls(&join->tokens, slot);
	if (side == &join->tokens)
		put_key(join, slot);
	if (side->source->page)
		put_row(side, slot);
	MemoryContextSwitchTo(old);
	ExecStoreVirtualTuple(slot);
}

/* ----------
 * Keys
 * ----------
 */

/* What the tokens of the key at hand are asked for by; false if by nothing. */
static bool
key_of_row(VeltJoin *join, VeltString *key)
{
	VeltSource *keys = join->keys.source;
	VeltJsonSpan span = velt_page_value(keys->page, join->key_value);
	VeltError	error;

	if (span.kind <= VELT_JSON_NULL)
		return false;
	if (span.kind != VELT_JSON_STRING)
	{
		velt_error_set(&error, VELT_ERROR_PROTOCOL,
					   "The response is not of the documented shape: a row's key is no string.");
		velt_source_report(keys, &error);
	}
	if (!velt_page_string(keys->page, span, key, &error))
		velt_source_report(keys, &error);
	return key->length > 0;
}

/* Asks for the tokens of the key in the slot. */
static void
ask(VeltJoin *join, VeltString key, TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(join->context);
	AskedKey   *asked = palloc0(sizeof(AskedKey));
	VeltError	error;

	asked->row = ExecCopySlotMinimalTuple(slot);
	MemoryContextSwitchTo(old);
	if (!velt_cursor_add_keys(join->token_source.fetch.cursor, &key, 1, asked,
							  &error))
		velt_source_report(&join->token_source, &error);
}

/* Takes the key at hand; whether it is a row of the result by itself. */
static bool
take_key(VeltJoin *join, TupleTableSlot *slot)
{
	VeltString	key;

	begin_row(join, &join->keys, slot);
	if (!holds(join, VELT_KEY_EXISTS, slot))
		return false;
	if (holds(join, VELT_KEY_ASKED, slot) && key_of_row(join, &key))
	{
		ask(join, key, slot);
		return false;
	}
	return (join->rules & LONE_KEYS) != 0;
}

/*
 * Lists the keys again after an error of theirs, if that may help and no row
 * has been returned.
 */
static bool
restart(VeltJoin *join)
{
	VeltError  *error = &join->keys_error;
	VeltError	token_error = *error;

	if (join->returned ||
		!velt_cursor_restart(join->keys.source->fetch.cursor, error))
		return false;
	if (!velt_cursor_restart(join->token_source.fetch.cursor, &token_error))
		velt_source_report(&join->token_source, &token_error);
	join->token_source.page = NULL;
	join->current = NULL;
	ExecClearTuple(join->key_slot);
	MemoryContextReset(join->context);
	return true;
}

/*
 * Takes keys while there is use for them; true if one is a row of the result.
 * An error waits until all that was asked before has been answered.
 */
static bool
take_keys(VeltJoin *join, TupleTableSlot *slot)
{
	while (!join->keys_done &&
		   velt_cursor_wants_key(join->token_source.fetch.cursor))
	{
		switch (velt_source_next_row(join->keys.source, &join->keys_error))
		{
			case VELT_CURSOR_PAGE:
				if (take_key(join, slot))
					return true;
				break;
			case VELT_CURSOR_WAIT:
				return false;
			case VELT_CURSOR_FAILED:
				if (restart(join))
					break;
				join->keys_failed = true;
				join->keys_done = true;
				break;
			case VELT_CURSOR_END:
				join->keys_done = true;
				break;
		}
	}
	return false;
}

/* ----------
 * Tokens
 * ----------
 */

static void
forget_current(VeltJoin *join)
{
	if (join->current == NULL)
		return;
	ExecClearTuple(join->key_slot);
	pfree(join->current->row);
	pfree(join->current);
	join->current = NULL;
}

/* The tokens of the next key that has been answered. */
static VeltCursorStatus
next_answer(VeltJoin *join)
{
	VeltCursor *cursor = join->token_source.fetch.cursor;
	VeltPage   *page;
	VeltError	error;
	VeltCursorStatus status;

	forget_current(join);
	status = velt_cursor_next_page(cursor, &page, &error);
	if (status == VELT_CURSOR_FAILED)
		velt_source_report(&join->token_source, &error);
	if (status == VELT_CURSOR_PAGE)
	{
		join->token_source.page = page;
		join->current = velt_cursor_tag(cursor);
		ExecStoreMinimalTuple(join->current->row, join->key_slot, false);
	}
	return status;
}

/* The next row that the current key and its tokens make; false if none. */
static bool
next_of_key(VeltJoin *join, TupleTableSlot *slot)
{
	int			rules = join->rules;
	AskedKey   *key = join->current;

	while (!((rules & ONCE) && key->matched) &&
		   velt_source_next_of_page(&join->token_source))
	{
		begin_row(join, &join->tokens, slot);
		if (!holds(join, VELT_TOKEN_EXISTS, slot))
			continue;
		if (holds(join, VELT_PAIR_MATCHES, slot))
		{
			key->matched = true;
			if (rules & PAIRS)
				return true;
		}
		else if (rules & LONE_TOKENS)
		{
			put_nulls(&join->keys, slot);
			return true;
		}
	}
	join->token_source.page = NULL;
	if (key->matched || !(rules & LONE_KEYS))
		return false;
	key->matched = true;		/* by this row, so that it is not repeated */
	begin_row(join, &join->tokens, slot);
	return true;
}

/* Whether a key can be taken now, and there is use for it. */
static bool
can_take_key(const VeltJoin *join)
{
	const VeltSource *keys = join->keys.source;

	return !join->keys_done &&
		velt_cursor_wants_key(join->token_source.fetch.cursor) &&
		(keys->page || velt_cursor_has_news(keys->fetch.cursor));
}

VeltCursorStatus
velt_join_next_row(VeltJoin *join, TupleTableSlot *slot)
{
	VeltCursorStatus status;

	do
	{
		if ((join->current && next_of_key(join, slot)) ||
			take_keys(join, slot))
		{
			join->returned = true;
			return VELT_CURSOR_PAGE;
		}
		ExecClearTuple(slot);
		status = next_answer(join);
	} while (status == VELT_CURSOR_PAGE || can_take_key(join));
	/* the tokens' end is that of the keys that were asked for so far */
	if (status == VELT_CURSOR_WAIT || !join->keys_done)
		return VELT_CURSOR_WAIT;
	if (join->keys_failed)
		velt_source_report(join->keys.source, &join->keys_error);
	return status;
}

bool
velt_join_has_news(const VeltJoin *join)
{
	const VeltCursor *tokens = join->token_source.fetch.cursor;

	if (join->current || can_take_key(join))
		return true;
	return velt_cursor_is_idle(tokens) ? join->keys_done :
		velt_cursor_has_news(tokens);
}

void
velt_join_describe(const VeltJoin *join)
{
	/* an error of conversion is of one table; any other may be of both */
	if (velt_source_is_reading(&join->token_source))
		velt_source_describe(&join->token_source);
	else if (velt_source_is_reading(join->keys.source))
		velt_source_describe(join->keys.source);
	else
	{
		velt_source_describe(join->keys.source);
		velt_source_describe(&join->token_source);
	}
}
