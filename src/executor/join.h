/*
 * executor/join.h
 *		API keys and their tokens in one scan.
 *
 * Tokens are asked for while keys still arrive, and only for keys that have
 * passed the conditions on them.
 */
#ifndef VELT_EXECUTOR_JOIN_H
#define VELT_EXECUTOR_JOIN_H

#include "postgres.h"

#include "executor/source.h"
#include "foreign/scan_plan.h"
#include "nodes/execnodes.h"

typedef struct VeltJoin VeltJoin;

/* A join's first or second table: its rangetable index, and its open relation. */
extern Index velt_join_relation_index(ForeignScanState *node, bool first);
extern Relation velt_join_relation(ForeignScanState *node, bool first);

/*
 * "values" are the ExprStates of fdw_exprs, the conditions at their end.  The
 * source of the keys is the caller's, and prepared.
 */
extern VeltJoin *velt_join_create(ForeignScanState *node, VeltSource *keys,
								  const VeltScanPlan *plan, List *values);

/* The keys' session is held; the spec says which of them are wanted. */
extern void velt_join_start(VeltJoin *join, const VeltCursorSpec *spec);

/* Fills the slot (VELT_CURSOR_PAGE) if that can be done without waiting. */
extern VeltCursorStatus velt_join_next_row(VeltJoin *join,
										   TupleTableSlot *slot);

/* As velt_cursor_has_news, of both sides. */
extern bool velt_join_has_news(const VeltJoin *join);

/* Adds context to the error at hand. */
extern void velt_join_describe(const VeltJoin *join);

/* Ends what is in flight, of the tokens; raises no error. */
extern void velt_join_stop(VeltJoin *join);

#endif							/* VELT_EXECUTOR_JOIN_H */
