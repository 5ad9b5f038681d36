/*
 * executor/async.h
 *		Scans that an Append waits for together.
 */
#ifndef VELT_EXECUTOR_ASYNC_H
#define VELT_EXECUTOR_ASYNC_H

#include "postgres.h"

#include "executor/scan.h"
#include "nodes/execnodes.h"

extern void veltForeignAsyncRequest(AsyncRequest *areq);
extern void veltForeignAsyncConfigureWait(AsyncRequest *areq);
extern void veltForeignAsyncNotify(AsyncRequest *areq);

/* Closes what a wait has needed; raises no error. */
extern void velt_async_forget(VeltScan *scan);

#endif							/* VELT_EXECUTOR_ASYNC_H */
