/*
 * foreign/scan_plan.h
 *		What a foreign plan tells the executor, as nodes that can be copied.
 *
 * The one encoder and decoder of fdw_private.  Nothing of a user mapping is
 * in it: a change of that invalidates no plan.
 */
#ifndef VELT_FOREIGN_SCAN_PLAN_H
#define VELT_FOREIGN_SCAN_PLAN_H

#include "postgres.h"

#include "client/resource.h"
#include "nodes/pg_list.h"

/* How the value of a remote qual restricts the filter column. */
typedef enum VeltFilterKind
{
	VELT_FILTER_EQUAL,			/* column = value */
	VELT_FILTER_ANY				/* column = ANY (array) */
} VeltFilterKind;

typedef struct VeltScanPlan
{
	const VeltResource *resource;
	List	   *attnums;		/* integers: the columns to be fetched */
	List	   *filters;		/* integers: kinds, in the order of fdw_exprs */
} VeltScanPlan;

extern List *velt_scan_plan_encode(const VeltScanPlan *plan);
extern VeltScanPlan *velt_scan_plan_decode(List *fdw_private);

#endif							/* VELT_FOREIGN_SCAN_PLAN_H */
