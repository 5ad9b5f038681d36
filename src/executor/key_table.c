/*
 * executor/key_table.c
 *		What is known of keys: asked for, and answered with which rows.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/key_table.h"
#include "executor/tuptable.h"
#include "utils/memutils.h"

typedef struct Slot
{
	VeltString	key;			/* the entry's */
	VeltKeyEntry *entry;
	char		status;
} Slot;

#define SH_PREFIX keyhash
#define SH_ELEMENT_TYPE Slot
#define SH_KEY_TYPE VeltString
#define SH_KEY key
#define SH_HASH_KEY(tb, k) \
	hash_bytes((const unsigned char *) (k).bytes, (int) (k).length)
#define SH_EQUAL(tb, a, b) \
	((a).length == (b).length && memcmp((a).bytes, (b).bytes, (a).length) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define INITIAL_KEYS	128
#define INITIAL_ROWS	2

/* Memory of a key's spilled rows, before they go to a file. */
#define SPILL_KB		64

struct VeltKeyTable
{
	MemoryContext context;
	keyhash_hash *hash;
	dlist_head	unused;			/* entries without user, oldest first */
	dlist_head	spilled;		/* entries with spilled rows */
	Size		bound;
	Size		bytes;			/* of entries and their rows */
};

VeltKeyTable *
velt_key_table_create(MemoryContext parent, Size bound)
{
	VeltKeyTable *table = MemoryContextAlloc(parent, sizeof(VeltKeyTable));

	table->context = AllocSetContextCreate(parent, "velt_fdw known keys",
										   ALLOCSET_DEFAULT_SIZES);
	table->bound = bound;
	dlist_init(&table->spilled);
	velt_key_table_reset(table);
	return table;
}

static void
end_spill(VeltKeyEntry *entry)
{
	if (entry->spilled == NULL)
		return;
	tuplestore_end(entry->spilled);
	entry->spilled = NULL;
	dlist_delete(&entry->spilled_link);
}

void
velt_key_table_reset(VeltKeyTable *table)
{
	while (!dlist_is_empty(&table->spilled))
		end_spill(dlist_head_element(VeltKeyEntry, spilled_link,
									 &table->spilled));
	MemoryContextReset(table->context);
	table->hash = keyhash_create(table->context, INITIAL_KEYS, NULL);
	dlist_init(&table->unused);
	table->bytes = 0;
}

/* What the entry and its rows take. */
static Size
entry_bytes(const VeltKeyEntry *entry)
{
	Size		bytes = GetMemoryChunkSpace((void *) entry);

	if (entry->rows)
		bytes += GetMemoryChunkSpace(entry->rows);
	for (int i = 0; i < entry->nrows; i++)
		bytes += GetMemoryChunkSpace(entry->rows[i]);
	return bytes;
}

static void
forget(VeltKeyTable *table, VeltKeyEntry *entry)
{
	table->bytes -= entry_bytes(entry);
	dlist_delete(&entry->link);
	keyhash_delete(table->hash, entry->key);
	for (int i = 0; i < entry->nrows; i++)
		pfree(entry->rows[i]);
	if (entry->rows)
		pfree(entry->rows);
	end_spill(entry);
	pfree(entry);
}

static VeltKeyEntry *
make_entry(VeltKeyTable *table, VeltString key)
{
	VeltKeyEntry *entry = MemoryContextAllocZero(table->context,
												 sizeof(VeltKeyEntry) +
												 key.length);
	char	   *bytes = (char *) (entry + 1);

	memcpy(bytes, key.bytes, key.length);
	entry->key.bytes = bytes;
	entry->key.length = key.length;
	table->bytes += entry_bytes(entry);
	return entry;
}

VeltKeyEntry *
velt_key_table_use(VeltKeyTable *table, VeltString key, bool *found)
{
	VeltKeyEntry *entry = velt_key_table_find(table, key);

	*found = entry != NULL;
	if (entry == NULL)
	{
		bool		ignored;

		entry = make_entry(table, key);
		keyhash_insert(table->hash, entry->key, &ignored)->entry = entry;
	}
	else if (entry->nusers == 0)
		dlist_delete(&entry->link);
	entry->nusers++;
	return entry;
}

void
velt_key_table_release(VeltKeyTable *table, VeltKeyEntry *entry)
{
	if (--entry->nusers > 0)
		return;
	dlist_push_tail(&table->unused, &entry->link);
	while (table->bytes > table->bound && !dlist_is_empty(&table->unused))
		forget(table, dlist_head_element(VeltKeyEntry, link, &table->unused));
}

VeltKeyEntry *
velt_key_table_find(VeltKeyTable *table, VeltString key)
{
	Slot	   *slot = keyhash_lookup(table->hash, key);

	return slot ? slot->entry : NULL;
}

static void
reserve_row(VeltKeyTable *table, VeltKeyEntry *entry)
{
	if (entry->nrows < entry->max_rows)
		return;
	if (entry->rows == NULL)
	{
		entry->max_rows = INITIAL_ROWS;
		entry->rows = MemoryContextAlloc(table->context,
										 INITIAL_ROWS * sizeof(MinimalTuple));
	}
	else
	{
		table->bytes -= GetMemoryChunkSpace(entry->rows);
		entry->max_rows *= 2;
		entry->rows = repalloc_huge(entry->rows,
									entry->max_rows * sizeof(MinimalTuple));
	}
	table->bytes += GetMemoryChunkSpace(entry->rows);
}

/* Add a row to those that are not kept in memory. */
static void
spill(VeltKeyTable *table, VeltKeyEntry *entry, TupleTableSlot *slot)
{
	if (entry->spilled == NULL)
	{
		entry->spilled = tuplestore_begin_heap(false, false, SPILL_KB);
		dlist_push_tail(&table->spilled, &entry->spilled_link);
	}
	tuplestore_puttupleslot(entry->spilled, slot);
}

void
velt_key_table_add_row(VeltKeyTable *table, VeltKeyEntry *entry,
					   TupleTableSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(table->context);

	if (entry->spilled || (entry->nrows > 0 && table->bytes > table->bound))
		spill(table, entry, slot);
	else
	{
		MinimalTuple row;

		reserve_row(table, entry);
		row = ExecCopySlotMinimalTuple(slot);
		entry->rows[entry->nrows++] = row;
		table->bytes += GetMemoryChunkSpace(row);
	}
	MemoryContextSwitchTo(old);
}

void
velt_key_table_rewind(VeltKeyEntry *entry)
{
	entry->next_row = 0;
	if (entry->spilled)
		tuplestore_rescan(entry->spilled);
}

bool
velt_key_table_next_row(VeltKeyEntry *entry, TupleTableSlot *slot)
{
	if (entry->next_row < entry->nrows)
	{
		ExecStoreMinimalTuple(entry->rows[entry->next_row++], slot, false);
		return true;
	}
	return entry->spilled &&
		tuplestore_gettupleslot(entry->spilled, true, false, slot);
}
