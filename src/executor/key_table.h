/*
 * executor/key_table.h
 *		What is known of keys: asked for, and answered with which rows.
 *
 * A key stays known while somebody uses it, and then as long as there is room;
 * what was used longest ago goes first.
 */
#ifndef VELT_EXECUTOR_KEY_TABLE_H
#define VELT_EXECUTOR_KEY_TABLE_H

#include "postgres.h"

#include "client/request.h"
#include "executor/tuptable.h"
#include "lib/ilist.h"

typedef struct VeltKeyTable VeltKeyTable;

typedef struct VeltKeyEntry
{
	dlist_node	link;			/* among those without user, oldest first */
	int			nusers;
	void	   *asker;			/* who will have all rows added; NULL: done */
	int			nrows;
	int			max_rows;
	MinimalTuple *rows;
	VeltString	key;			/* its bytes follow */
} VeltKeyEntry;

/*
 * An empty table in a memory context of its own below the given one, which
 * remembers as much as "bound" bytes hold.
 */
extern VeltKeyTable *velt_key_table_create(MemoryContext parent, Size bound);

/* Forgets all, whoever uses it. */
extern void velt_key_table_reset(VeltKeyTable *table);

/* The key's entry, with one more user; a new one if !*found. */
extern VeltKeyEntry *velt_key_table_use(VeltKeyTable *table, VeltString key,
										bool *found);
extern void velt_key_table_release(VeltKeyTable *table, VeltKeyEntry *entry);

/* NULL if nothing is known of the key. */
extern VeltKeyEntry *velt_key_table_find(VeltKeyTable *table, VeltString key);

/* Adds a copy of the slot's row. */
extern void velt_key_table_add_row(VeltKeyTable *table, VeltKeyEntry *entry,
								   TupleTableSlot *slot);

#endif							/* VELT_EXECUTOR_KEY_TABLE_H */
