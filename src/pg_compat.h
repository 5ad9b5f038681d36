/*
 * pg_compat.h
 *		What differs between versions of PostgreSQL: here, and nowhere else.
 */
#ifndef VELT_PG_COMPAT_H
#define VELT_PG_COMPAT_H

#include "postgres.h"

#include "catalog/pg_foreign_server.h"
#include "client/transport.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/selfuncs.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM < 150000
#error "velt_fdw needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "storage/waiteventset.h"
#endif

/* The user a scan runs for: a view's owner, or the one who asks. */
static inline Oid
velt_compat_scan_user(ForeignScanState *node)
{
	ForeignScan *plan = (ForeignScan *) node->ss.ps.plan;
	Oid			user;

#if PG_VERSION_NUM >= 160000
	user = plan->checkAsUser;
#else
	int			rtindex = plan->scan.scanrelid;

	if (rtindex == 0)
		rtindex = bms_next_member(plan->fs_relids, -1);
	user = exec_rt_fetch(rtindex, node->ss.ps.state)->checkAsUser;
#endif
	return OidIsValid(user) ? user : GetUserId();
}

/* The tables that a joined scan reads. */
static inline Relids
velt_compat_scan_relids(const ForeignScan *plan)
{
#if PG_VERSION_NUM >= 160000
	return plan->fs_base_relids;
#else
	return plan->fs_relids;
#endif
}

/* A table of the query, open and locked until its end. */
static inline Relation
velt_compat_open_relation(EState *estate, Index index)
{
#if PG_VERSION_NUM >= 180000
	return ExecGetRangeTableRelation(estate, index, false);
#else
	return ExecGetRangeTableRelation(estate, index);
#endif
}

/* A path of a table that needs neither outer path nor extra columns. */
static inline ForeignPath *
velt_compat_foreign_path(PlannerInfo *root, RelOptInfo *rel, double rows,
						 Cost startup_cost, Cost total_cost,
						 Relids required_outer, List *fdw_private)
{
	return create_foreignscan_path(root, rel, NULL, rows,
#if PG_VERSION_NUM >= 180000
								   0,
#endif
								   startup_cost, total_cost, NIL,
								   required_outer, NULL,
#if PG_VERSION_NUM >= 170000
								   NIL,
#endif
								   fdw_private);
}

/*
 * Whether the core checks the gates of a foreign join, which are conditions of
 * no table at all.  Before, it does not ask for such a join; but early minor
 * releases do.
 */
static inline bool
velt_compat_gates_joins(void)
{
#if PG_VERSION_NUM >= 170000
	return true;
#else
	return false;
#endif
}

/* The same of a join, with the clauses among which the core finds its gates. */
static inline ForeignPath *
velt_compat_foreign_join_path(PlannerInfo *root, RelOptInfo *rel, double rows,
							  Cost startup_cost, Cost total_cost,
							  List *restrictinfo)
{
#if PG_VERSION_NUM < 170000
	(void) restrictinfo;
#endif
	return create_foreign_join_path(root, rel, NULL, rows,
#if PG_VERSION_NUM >= 180000
									0,
#endif
									startup_cost, total_cost, NIL,
									rel->lateral_relids, NULL,
#if PG_VERSION_NUM >= 170000
									restrictinfo,
#endif
									NIL);
}

/* What gates a join, for the core to check; before 17 there is no such join. */
static inline void
velt_compat_set_custom_restrictinfo(CustomPath *path, List *restrictinfo)
{
#if PG_VERSION_NUM >= 170000
	path->custom_restrictinfo = restrictinfo;
#else
	(void) path;
	(void) restrictinfo;
#endif
}

/* The path with its rows made unique; from 19 on its relation already is. */
static inline Path *
velt_compat_unique_path(PlannerInfo *root, RelOptInfo *rel, Path *path,
						SpecialJoinInfo *sjinfo)
{
#if PG_VERSION_NUM >= 190000
	(void) root;
	(void) rel;
	(void) sjinfo;
	return path;
#else
	return (Path *) create_unique_path(root, rel, path, sjinfo);
#endif
}

/* A set of wait events that lives as long as the context, or the session. */
static inline WaitEventSet *
velt_compat_wait_event_set(int nevents)
{
#if PG_VERSION_NUM >= 170000
	return CreateWaitEventSet(NULL, nevents);
#else
	return CreateWaitEventSet(TopMemoryContext, nevents);
#endif
}

/*
 * What a session shows in pg_stat_activity while it waits: by phase where
 * extensions may name wait events.
 */
static inline uint32
velt_compat_wait_event(VeltPhase phase)
{
#if PG_VERSION_NUM >= 170000
	static const char *const names[] = {
		[VELT_PHASE_IDLE] = "VeltIdle",
		[VELT_PHASE_BACKOFF] = "VeltBackoff",
		[VELT_PHASE_CONNECT] = "VeltConnect",
		[VELT_PHASE_REQUEST] = "VeltRequest",
		[VELT_PHASE_RESPONSE] = "VeltResponse"
	};
	static uint32 events[lengthof(names)];

	if (events[phase] == 0)
		events[phase] = WaitEventExtensionNew(names[phase]);
	return events[phase];
#else
	(void) phase;
	return PG_WAIT_EXTENSION;
#endif
}

/* Returns ACLCHECK_OK if the current user has USAGE on the server. */
static inline AclResult
velt_compat_server_usage(const ForeignServer *server)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, server->serverid,
						   GetUserId(), ACL_USAGE);
#else
	return pg_foreign_server_aclcheck(server->serverid, GetUserId(),
									  ACL_USAGE);
#endif
}

/* How many elements an array expression has, as far as can be told. */
static inline double
velt_compat_array_length(PlannerInfo *root, Node *array)
{
#if PG_VERSION_NUM >= 170000
	return estimate_array_length(root, array);
#else
	(void) root;
	return estimate_array_length(array);
#endif
}

#endif							/* VELT_PG_COMPAT_H */
