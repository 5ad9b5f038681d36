/*
 * executor/key_table.h
 *		What is known of keys: asked for, and answered with which rows.
 *
 * A key stays known while the caller uses it, and then as long as there is
 * room; the key used longest ago goes first.  Beyond that room, rows of keys
 * in use go to temporary files.
 */
#ifndef VELT_EXECUTOR_KEY_TABLE_H
#define VELT_EXECUTOR_KEY_TABLE_H

#include "postgres.h"

#include "client/buffer.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"
#include "utils/tuplestore.h"

typedef struct VeltKeyTable VeltKeyTable;

typedef struct VeltKeyEntry
{
	dlist_node	link;			/* among those without user, oldest first */
	int			nusers;
	void	   *asker;			/* who will have all rows added; NULL: done */
	int			nrows;
	int			max_rows;
	int			next_row;		/* to be read, of "rows" */
	MinimalTuple *rows;
	Tuplestorestate *spilled;	/* further rows, or NULL */
	dlist_node	spilled_link;	/* among the entries that have such */
	VeltString	key;			/* its bytes follow */
} VeltKeyEntry;

/*
 * An empty table in a memory context of its own below the given one, which
 * remembers as much as "bound" bytes hold.
 */
extern VeltKeyTable *velt_key_table_create(MemoryContext parent, Size bound);

/* Forget all keys, also those in use. */
extern void velt_key_table_reset(VeltKeyTable *table);

/* The key's entry, with one more user; a new one if !*found. */
extern VeltKeyEntry *velt_key_table_use(VeltKeyTable *table, VeltString key,
										bool *found);
extern void velt_key_table_release(VeltKeyTable *table, VeltKeyEntry *entry);

/* NULL if nothing is known of the key. */
extern VeltKeyEntry *velt_key_table_find(VeltKeyTable *table, VeltString key);

/* Add a copy of the slot's row. */
extern void velt_key_table_add_row(VeltKeyTable *table, VeltKeyEntry *entry,
								   TupleTableSlot *slot);

/*
 * Begin to read an entry's rows; store the next one in a slot for minimal
 * tuples, where it is good until the next call or velt_key_table_release.
 * False behind the last row.
 */
extern void velt_key_table_rewind(VeltKeyEntry *entry);
extern bool velt_key_table_next_row(VeltKeyEntry *entry,
									TupleTableSlot *slot);

#endif							/* VELT_EXECUTOR_KEY_TABLE_H */
