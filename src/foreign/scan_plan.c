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
	TERMS,						/* three integers each */
	LIMITS,						/* two */
	JOIN,						/* kind and order */
	TOKENS,						/* of a join only, as the next */
	TOKEN_ATTNUMS
};

List *
velt_scan_plan_encode(const VeltScanPlan *plan)
{
	List	   *terms = NIL;
	List	   *members;

	for (int i = 0; i < plan->nterms; i++)
	{
		terms = lappend_int(terms, plan->terms[i].qual);
		terms = lappend_int(terms, plan->terms[i].target);
		terms = lappend_int(terms, plan->terms[i].kind);
	}
	members = list_make5(makeString(pstrdup(plan->resource->name)),
						 plan->attnums, terms,
						 list_make2_int(plan->has_limit, plan->has_offset),
						 list_make2_int(plan->join, plan->keys_first));
	if (plan->join == VELT_JOIN_NONE)
		return members;
	members = lappend(members, makeString(pstrdup(plan->tokens->name)));
	return lappend(members, plan->token_attnums);
}

VeltScanPlan *
velt_scan_plan_decode(List *fdw_private)
{
	VeltScanPlan *plan = palloc0(sizeof(VeltScanPlan));
	List	   *terms = list_nth(fdw_private, TERMS);
	List	   *limits = list_nth(fdw_private, LIMITS);
	List	   *join = list_nth(fdw_private, JOIN);

	plan->resource = velt_resource_find(strVal(list_nth(fdw_private,
														RESOURCE)));
	plan->attnums = list_nth(fdw_private, ATTNUMS);
	plan->nterms = list_length(terms) / 3;
	plan->terms = palloc(sizeof(VeltFilterTerm) * Max(plan->nterms, 1));
	for (int i = 0; i < plan->nterms; i++)
	{
		plan->terms[i].qual = list_nth_int(terms, i * 3);
		plan->terms[i].target = list_nth_int(terms, i * 3 + 1);
		plan->terms[i].kind = list_nth_int(terms, i * 3 + 2);
	}
	plan->has_limit = linitial_int(limits);
	plan->has_offset = lsecond_int(limits);
	plan->join = linitial_int(join);
	plan->keys_first = lsecond_int(join);
	if (plan->join == VELT_JOIN_NONE)
		return plan;
	plan->tokens = velt_resource_find(strVal(list_nth(fdw_private, TOKENS)));
	plan->token_attnums = list_nth(fdw_private, TOKEN_ATTNUMS);
	return plan;
}

bool
velt_scan_plan_has_keys(const VeltScanPlan *plan)
{
	for (int i = 0; i < plan->nterms; i++)
	{
		if (plan->terms[i].target == VELT_FILTER_KEY)
			return true;
	}
	return false;
}
