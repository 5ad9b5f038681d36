/*
 * executor/scan.h
 *		A foreign scan at work: pages come in, rows go up.
 */
#ifndef VELT_EXECUTOR_SCAN_H
#define VELT_EXECUTOR_SCAN_H

#include "postgres.h"

#include "executor/filter_keys.h"
#include "executor/join.h"
#include "executor/source.h"
#include "foreign/fdwapi.h"
#include "foreign/scan_plan.h"
#include "utils/tuplestore.h"

typedef struct VeltScan
{
	VeltScanPlan *plan;
	Oid			userid;			/* whose mapping is used */
	VeltSource	source;			/* the table, or the keys of a join */
	VeltJoin   *join;			/* NULL: of a single table */
	List	   *values;			/* ExprStates of the plan's fdw_exprs */
	VeltScanStats stats;		/* over all loops */
	bool		done;

	/* within an Append that waits for several scans at once */
	bool		async;			/* never wait, but say so in "pending" */
	bool		pending;

	/* rows for a rescan without change; NULL if none is expected */
	Tuplestorestate *store;
	TupleTableSlot *store_slot;
	bool		replaying;		/* rows of the store come first */

	MemoryContext keys_context; /* of one evaluation of the filters */
} VeltScan;

/*
 * Opens a source of the caller's, to which keys will be added one by one, as
 * the user and with the remote quals of the scan.  The scan's own source stays
 * as it is.  Sets "allowed" to the keys that the remote quals allow, if they
 * restrict the keys.  Allocates these in the current context.
 */
extern void velt_scan_open_for_keys(ForeignScanState *node,
									VeltSource *source, VeltScanStats *stats,
									VeltKeys *allowed, bool *restricted);

/*
 * Returns whether the node is one that EvalPlanQual has rows to be checked
 * again for, and not part of a subplan, which reads its tables as usual.
 * Releases before those of November 2025 call the recheck function of joins in
 * subplans too.
 */
extern bool velt_scan_is_rechecked(const PlanState *node);

/* Whether its next row, its end or an error can be had without waiting. */
extern bool velt_scan_has_news(const VeltScan *scan);

extern void veltBeginForeignScan(ForeignScanState *node, int eflags);
extern TupleTableSlot *veltIterateForeignScan(ForeignScanState *node);
extern bool veltRecheckForeignScan(ForeignScanState *node,
								   TupleTableSlot *slot);
extern void veltReScanForeignScan(ForeignScanState *node);
extern void veltEndForeignScan(ForeignScanState *node);

#endif							/* VELT_EXECUTOR_SCAN_H */
