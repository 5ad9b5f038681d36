/*
 * velt_fdw.c
 *		The handler: which routine answers which callback.
 */
#include "postgres.h"

#include "commands/commands.h"
#include "executor/async.h"
#include "executor/scan.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "optimizer/join.h"
#include "optimizer/limit.h"
#include "optimizer/relation.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(velt_fdw_handler);

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
