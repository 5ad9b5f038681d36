/*
 * executor/filter_keys.h
 *		The values of remote quals as the keys to ask for.
 */
#ifndef VELT_EXECUTOR_FILTER_KEYS_H
#define VELT_EXECUTOR_FILTER_KEYS_H

#include "postgres.h"

#include "client/request.h"
#include "nodes/execnodes.h"

typedef struct VeltKeys
{
	VeltString *items;
	size_t		nitems;
} VeltKeys;

/*
 * Evaluates the quals' values (ExprStates, kinds as in VeltScanPlan) and
 * returns what all of them allow: distinct, in UTF-8, sorted.  NULLs are no
 * key, and neither is the empty text.  Allocates in the current context.
 */
extern VeltKeys velt_filter_keys_evaluate(List *values, List *kinds,
										  ExprContext *econtext);

#endif							/* VELT_EXECUTOR_FILTER_KEYS_H */
