/*
 * executor/async.c
 *		Scans that an Append waits for together.
 *
 * The Append waits for one descriptor a scan, in a set that it makes anew for
 * each wait.  Scans of one session share a descriptor, which can be in the
 * set once: the first of them has it there, and driving the session for that
 * one moves all of them on.  What came of it for another is told by a
 * descriptor of that scan's own, which is always readable.
 */
#include "postgres.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "executor/async.h"
#include "executor/execAsync.h"
#include "foreign/session.h"
#include "pg_compat.h"
#include "storage/fd.h"

static VeltScan *
scan_of(const AsyncRequest *areq)
{
	return ((ForeignScanState *) areq->requestee)->fdw_state;
}

void
velt_async_forget(VeltScan *scan)
{
	if (scan->ready_fd < 0)
		return;
	close(scan->ready_fd);
	ReleaseExternalFD();
	scan->ready_fd = -1;
}

/* Answers the request with a row, with the end, or with "later". */
static void
answer(AsyncRequest *areq)
{
	TupleTableSlot *slot = areq->requestee->ExecProcNodeReal(areq->requestee);

	if (TupIsNull(slot) && scan_of(areq)->pending)
		ExecAsyncRequestPending(areq);
	else
		ExecAsyncRequestDone(areq, TupIsNull(slot) ? NULL : slot);
}

void
veltForeignAsyncRequest(AsyncRequest *areq)
{
	answer(areq);
}

/* Whether there is something to do for the scan before any wait. */
static bool
has_news(const VeltScan *scan)
{
	return velt_scan_has_news(scan) ||
		velt_session_has_work(scan->source.fetch.session);
}

/* Whether another scan, configured before, has the session's descriptor. */
static bool
session_is_watched(const AsyncRequest *areq)
{
	const AppendState *append = (const AppendState *) areq->requestor;
	const VeltScan *scan = scan_of(areq);

	for (int i = 0; i < areq->request_index; i++)
	{
		const AsyncRequest *other = append->as_asyncrequests[i];
		const ForeignScanState *node;

		if (other == NULL || !other->callback_pending)
			continue;
		node = (const ForeignScanState *) other->requestee;
		if (node->fdwroutine->ForeignAsyncConfigureWait ==
			veltForeignAsyncConfigureWait &&
			scan_of(other)->source.fetch.session ==
			scan->source.fetch.session &&
			!has_news(scan_of(other)))
			return true;
	}
	return false;
}

static int
always_readable(VeltScan *scan)
{
	if (scan->ready_fd >= 0)
		return scan->ready_fd;
	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("too many open files")));
	scan->ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (scan->ready_fd < 0)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create event descriptor: %m")));
	}
	return scan->ready_fd;
}

void
veltForeignAsyncConfigureWait(AsyncRequest *areq)
{
	AppendState *append = (AppendState *) areq->requestor;
	VeltScan   *scan = scan_of(areq);
	int			fd;

	if (has_news(scan))
		fd = always_readable(scan);
	else if (session_is_watched(areq))
		return;
	else
		fd = velt_session_begin_wait(scan->source.fetch.session);
	AddWaitEventToSet(append->as_eventset, WL_SOCKET_READABLE, fd, NULL,
					  areq);
}

void
veltForeignAsyncNotify(AsyncRequest *areq)
{
	VeltScan   *scan = scan_of(areq);

	if (!velt_scan_has_news(scan))
		velt_session_end_wait(scan->source.fetch.session);
	answer(areq);
}
