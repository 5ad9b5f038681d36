/*
 * foreign/scan_plan.c
 *		What a foreign plan tells the executor, as nodes that can be copied.
 */
#include "postgres.h"

#include "foreign/scan_plan.h"
#include "nodes/value.h"

/* The members of fdw_private. */
enum
{
	RESOURCE,
	ATTNUMS,
	FILTERS
};

List *
velt_scan_plan_encode(const VeltScanPlan *plan)
{
	return list_make3(makeString(pstrdup(plan->resource->name)),
					  plan->attnums, plan->filters);
}

VeltScanPlan *
velt_scan_plan_decode(List *fdw_private)
{
	VeltScanPlan *plan = palloc(sizeof(VeltScanPlan));

	plan->resource = velt_resource_find(strVal(list_nth(fdw_private,
														RESOURCE)));
	plan->attnums = list_nth(fdw_private, ATTNUMS);
	plan->filters = list_nth(fdw_private, FILTERS);
	return plan;
}
