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

/* What a remote qual restricts. */
typedef enum VeltFilterTarget
{
	VELT_FILTER_KEY,			/* the resource's filter column */
	VELT_FILTER_WORKSPACE		/* the workspace the rows are of */
} VeltFilterTarget;

/* How its value does that. */
typedef enum VeltFilterKind
{
	VELT_FILTER_EQUAL,			/* column = value */
	VELT_FILTER_ANY				/* column = ANY (array) */
} VeltFilterKind;

/*
 * One value of a remote qual, in the order of fdw_exprs.  Values of the same
 * qual are alternatives; all quals must hold.
 */
typedef struct VeltFilterTerm
{
	int			qual;			/* counts from 0 */
	VeltFilterTarget target;
	VeltFilterKind kind;
} VeltFilterTerm;

/* What a scan of keys and their tokens returns, named after who drives it. */
typedef enum VeltJoinKind
{
	VELT_JOIN_NONE,				/* a scan of a single table */
	VELT_JOIN_INNER,			/* keys with their tokens */
	VELT_JOIN_KEYS_LEFT,		/* ... and keys without any */
	VELT_JOIN_KEYS_SEMI,		/* keys that have a token */
	VELT_JOIN_KEYS_ANTI,		/* keys that have none */
	VELT_JOIN_TOKENS_LEFT,		/* tokens, with their key if it matches */
	VELT_JOIN_TOKENS_SEMI,		/* tokens whose key matches */
	VELT_JOIN_TOKENS_ANTI		/* tokens whose key does not */
} VeltJoinKind;

/*
 * The conditions of a join, at the end of fdw_exprs in this order: what a key
 * needs to be there at all, and for its tokens to be asked for; what a token
 * needs to be there at all, and the two to match.
 */
typedef enum VeltJoinCondition
{
	VELT_KEY_EXISTS,
	VELT_KEY_ASKED,
	VELT_TOKEN_EXISTS,
	VELT_PAIR_MATCHES,
	VELT_JOIN_CONDITIONS
} VeltJoinCondition;

typedef struct VeltScanPlan
{
	const VeltResource *resource;	/* of the keys, if it is a join */
	List	   *attnums;		/* integers: the columns to be fetched */
	VeltJoinKind join;
	const VeltResource *tokens; /* what is joined to them */
	List	   *token_attnums;
	bool		keys_first;		/* as rangetable indexes go */
	int			nterms;
	VeltFilterTerm *terms;
	bool		has_limit;		/* expressions behind those of the terms: */
	bool		has_offset;		/* how many rows, and of how many behind */
} VeltScanPlan;

extern List *velt_scan_plan_encode(const VeltScanPlan *plan);
extern VeltScanPlan *velt_scan_plan_decode(List *fdw_private);

/* Whether only rows with certain keys are wanted. */
extern bool velt_scan_plan_has_keys(const VeltScanPlan *plan);

#endif							/* VELT_FOREIGN_SCAN_PLAN_H */
