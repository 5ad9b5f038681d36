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

#endif							/* VELT_EXECUTOR_ASYNC_H */
