/*
 * velt_fdw.c
 *		What PostgreSQL calls: the routines of the handler, and what is set up
 *		when the library is loaded.
 */
#include "postgres.h"

#include "commands/commands.h"
#include "executor/async.h"
#include "executor/batch_join.h"
#include "executor/jit.h"
#include "executor/scan.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "optimizer/batch_join.h"
#include "optimizer/join.h"
#include "optimizer/limit.h"
#include "optimizer/relation.h"
#include "optimizer/statistics.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(velt_fdw_handler);

/* PostgreSQL 15 has no declaration of it */
extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	DefineCustomBoolVariable("velt_fdw.enable_batch_join",
							 "Enables the planner's use of batched joins with Velt tables.",
							 NULL, &velt_enable_batch_join, true, PGC_USERSET,
							 GUC_EXPLAIN, NULL, NULL, NULL);
	MarkGUCPrefixReserved("velt_fdw");
	velt_batch_join_register(velt_explain_batch_join);
	velt_batch_join_install();
	velt_jit_install();
	velt_statistics_init();
}

Datum
velt_fdw_handler(PG_FUNCTION_ARGS pg_attribute_unused())
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = veltGetForeignRelSize;
	routine->GetForeignPaths = veltGetForeignPaths;
	routine->GetForeignPlan = veltGetForeignPlan;
	routine->GetForeignJoinPaths = veltGetForeignJoinPaths;
	routine->GetForeignUpperPaths = veltGetForeignUpperPaths;

	routine->BeginForeignScan = veltBeginForeignScan;
	routine->IterateForeignScan = veltIterateForeignScan;
	routine->RecheckForeignScan = veltRecheckForeignScan;
	routine->ReScanForeignScan = veltReScanForeignScan;
	routine->EndForeignScan = veltEndForeignScan;

	routine->IsForeignPathAsyncCapable = veltIsForeignPathAsyncCapable;
	routine->ForeignAsyncRequest = veltForeignAsyncRequest;
	routine->ForeignAsyncConfigureWait = veltForeignAsyncConfigureWait;
	routine->ForeignAsyncNotify = veltForeignAsyncNotify;

	routine->ExplainForeignScan = veltExplainForeignScan;
	routine->AnalyzeForeignTable = veltAnalyzeForeignTable;
	routine->ImportForeignSchema = veltImportForeignSchema;

	PG_RETURN_POINTER(routine);
}
