/*
 * executor/scan.h
 *		A foreign scan at work: pages come in, rows go up.
 */
#ifndef VELT_EXECUTOR_SCAN_H
#define VELT_EXECUTOR_SCAN_H

#include "postgres.h"

#include "executor/fetch.h"
#include "executor/tuple.h"
#include "foreign/fdwapi.h"
#include "foreign/option.h"
#include "foreign/scan_plan.h"
#include "utils/tuplestore.h"

typedef struct VeltScan
{
	VeltScanPlan *plan;
	VeltSettings settings;		/* of the table over those of its server */
	Relation	relation;
	char	   *table_name;		/* with its schema, for messages */
	char	   *server_name;
	Oid			userid;			/* whose mapping is used */
	Oid			serverid;
	VeltTupleReader *reader;
	List	   *values;			/* ExprStates of the plan's fdw_exprs */
	VeltScanStats stats;		/* over all loops */

	/* holds nothing before the first row is asked for, or after the last */
	VeltFetch	fetch;
	VeltPage   *page;			/* the cursor's, with rows left */
	bool		done;

	/* within an Append that waits for several scans at once */
	bool		async;			/* never wait, but say so in "pending" */
	bool		pending;
	int			ready_fd;		/* always readable, or -1 */

	/* rows for a rescan without change; NULL if none is expected */
	Tuplestorestate *store;
	TupleTableSlot *store_slot;
	bool		replaying;		/* rows of the store come first */

	MemoryContext keys_context; /* of one evaluation of the filters */
	MemoryContextCallback cleanup;	/* of what async.c holds */
} VeltScan;

extern void veltBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *veltIterateForeignScan(ForeignScanState *node);
extern void veltReScanForeignScan(ForeignScanState *node);
extern void veltEndForeignScan(ForeignScanState *node);

#endif							/* VELT_EXECUTOR_SCAN_H */
