/*
 * executor/batch_join.h
 *		A join that asks for the keys of many outer rows together.
 */
#ifndef VELT_EXECUTOR_BATCH_JOIN_H
#define VELT_EXECUTOR_BATCH_JOIN_H

#include "postgres.h"

#include "executor/key_lookup.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "pg_compat.h"

/*
 * How many keys may be unanswered, where not all rows may be wanted: at first,
 * so that a LIMIT above stays cheap; and what that grows by whenever rows are
 * read ahead.
 */
#define VELT_BATCH_FIRST_WINDOW		10
#define VELT_BATCH_WINDOW_GROWTH	8

/* The children of the node. */
enum
{
	VELT_BATCH_OUTER,			/* whose rows bring the keys */
	VELT_BATCH_INNER			/* the foreign scan; run for EvalPlanQual only */
};

/* The members of custom_private: integers. */
enum
{
	VELT_BATCH_JOIN_TYPE,		/* a JoinType */
	VELT_BATCH_KEY_COLUMN,		/* of the inner's columns the key, from 0 */
	VELT_BATCH_ALL_ROWS			/* whether the query wants all rows */
};

/* The members of custom_exprs. */
enum
{
	VELT_BATCH_KEY,				/* an outer row's key, a text */
	VELT_BATCH_CONDITION		/* what a pair must meet, the key included */
};

/* What EXPLAIN ANALYZE shows: totals over all loops. */
typedef struct VeltBatchStats
{
	VeltKeyLookupStats keys;
	int64		batches;		/* times that outer rows were read ahead */
} VeltBatchStats;

extern const CustomScanMethods velt_batch_join_scan_methods;

/* Makes plans with the node executable, and EXPLAIN of it call the function. */
typedef void (*VeltExplainBatchJoin) (CustomScanState *node, List *ancestors,
									  ExplainState *es);
extern void velt_batch_join_register(VeltExplainBatchJoin explain);

extern const VeltBatchStats *velt_batch_join_stats(const CustomScanState *node);

#endif							/* VELT_EXECUTOR_BATCH_JOIN_H */
