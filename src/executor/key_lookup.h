/*
 * executor/key_lookup.h
 *		Looks keys up in a foreign table, many at a time.
 *
 * A key that has been looked up is remembered as long as there is room.  Knows
 * nothing of where keys come from, or what is done with the rows.
 */
#ifndef VELT_EXECUTOR_KEY_LOOKUP_H
#define VELT_EXECUTOR_KEY_LOOKUP_H

#include "postgres.h"

#include "client/cursor.h"
#include "executor/key_table.h"
#include "nodes/execnodes.h"

typedef struct VeltKeyLookup VeltKeyLookup;

typedef struct VeltKeyLookupStats
{
	VeltScanStats scan;
	int64		asked;			/* keys */
	int64		remembered;		/* times that a key was known already */
} VeltKeyLookupStats;

/*
 * The scan says which columns, conditions and remote quals.  The lookup has a
 * cursor of its own, so the scan may run, start again or end meanwhile.
 * key_column is that of the key in its rows, from 0; "bound" in bytes is for
 * what is remembered.  Allocates in the current context; requests in flight
 * end with it.
 */
extern VeltKeyLookup *velt_key_lookup_create(ForeignScanState *scan,
											 int key_column, Size bound,
											 VeltKeyLookupStats *stats);

/*
 * The key (a text) with the rows of the table that have it, once they are
 * answered; NULL if there can be none.  Use it until velt_key_lookup_release.
 * Further keys may be needed to fill a request: velt_key_lookup_flush sends
 * what there is.
 */
extern VeltKeyEntry *velt_key_lookup_use(VeltKeyLookup *lookup, Datum key);
extern void velt_key_lookup_flush(VeltKeyLookup *lookup);
extern void velt_key_lookup_release(VeltKeyLookup *lookup,
									VeltKeyEntry *entry);

/* How many keys are still to be answered, and how many are good to be. */
extern int	velt_key_lookup_unanswered(const VeltKeyLookup *lookup);
extern int	velt_key_lookup_capacity(const VeltKeyLookup *lookup);

/*
 * Has what is in flight move on, without waiting: connections are made, and
 * requests sent, while the caller is busy with other rows.
 */
extern void velt_key_lookup_advance(VeltKeyLookup *lookup);

/* Takes what has been answered; waits if nothing has. */
extern void velt_key_lookup_receive(VeltKeyLookup *lookup);

/*
 * All keys have been answered, and no more are wanted: raises an error if it
 * was not for them that nothing was found.  Lets go of the session; a next key
 * takes hold of it again.
 */
extern void velt_key_lookup_finish(VeltKeyLookup *lookup);

/*
 * Forget all keys, also those in use, end what is in flight, and release the
 * session.  Raises no error.
 */
extern void velt_key_lookup_reset(VeltKeyLookup *lookup);

#endif							/* VELT_EXECUTOR_KEY_LOOKUP_H */
