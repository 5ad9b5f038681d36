/*
 * executor/filter_keys.h
 *		The values of remote quals as the keys to ask for.
 */
#ifndef VELT_EXECUTOR_FILTER_KEYS_H
#define VELT_EXECUTOR_FILTER_KEYS_H

#include "postgres.h"

#include "client/buffer.h"
#include "foreign/scan_plan.h"
#include "nodes/execnodes.h"

typedef struct VeltKeys
{
	VeltString *items;
	size_t		nitems;
} VeltKeys;

/*
 * Evaluates the values (ExprStates) of those terms that restrict the target,
 * and returns what all quals on it allow: distinct, in UTF-8, sorted.  NULLs
 * are no key, and neither is the empty text.  Returns false if no qual
 * restricts it.  Allocates in the current context.
 */
extern bool velt_filter_keys_evaluate(const VeltScanPlan *plan, List *values,
									  VeltFilterTarget target,
									  ExprContext *econtext, VeltKeys *keys);

extern bool velt_filter_keys_contain(const VeltKeys *keys, VeltString key);

/*
 * A text as a key in UTF-8, maybe its own bytes; false if it can be none.
 */
extern bool velt_filter_key(Datum value, VeltString *key);

#endif							/* VELT_EXECUTOR_FILTER_KEYS_H */
