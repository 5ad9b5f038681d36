/*
 * executor/async.c
 *		Scans that an Append waits for together.
 *
 * The Append waits for one descriptor a scan, in a set that it makes for each
 * wait.  All sessions wait behind one descriptor, which can be in a set once:
 * the first scan that is pending adds it, and moves all others on as well.
 */
#include "postgres.h"

#include "executor/async.h"
#include "executor/execAsync.h"
#include "executor/instrument.h"
#include "foreign/wait.h"
#include "pg_compat.h"

static VeltScan *
scan_of(const AsyncRequest *areq)
{
	return ((ForeignScanState *) areq->requestee)->fdw_state;
}

/* Answer the request with a row, with the end, or with "later". */
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

/*
 * Return the Append's next pending request for a scan of this wrapper, from
 * *i on, and set *i behind it; NULL at the end.
 */
static AsyncRequest *
next_pending(const AppendState *append, int *i)
{
	while (*i < append->as_nplans)
	{
		AsyncRequest *areq = append->as_asyncrequests[(*i)++];

		if (areq && areq->callback_pending &&
			((ForeignScanState *) areq->requestee)->fdwroutine->ForeignAsyncNotify ==
			veltForeignAsyncNotify)
			return areq;
	}
	return NULL;
}

/* Return whether a pending scan has something that no descriptor tells of. */
static bool
any_has_news(const AppendState *append)
{
	AsyncRequest *areq;

	for (int i = 0; (areq = next_pending(append, &i)) != NULL;)
	{
		if (velt_scan_has_news(scan_of(areq)))
			return true;
	}
	return false;
}

void
veltForeignAsyncConfigureWait(AsyncRequest *areq)
{
	AppendState *append = (AppendState *) areq->requestor;
	VeltSession *session = scan_of(areq)->source.fetch.session;
	int			first = 0;
	int			fd;

	if (next_pending(append, &first) != areq)
		return;
	fd = velt_wait_begin(session);
	if (any_has_news(append))
		velt_wait_wake(session);
	AddWaitEventToSet(append->as_eventset, WL_SOCKET_READABLE, fd, NULL,
					  areq);
}

/* Answer another request than the one that the Append is told of. */
static void
answer_as_well(AsyncRequest *areq)
{
	areq->callback_pending = false;
	if (areq->requestee->instrument)
		InstrStartNode(areq->requestee->instrument);
	answer(areq);
	ExecAsyncResponse(areq);
	if (areq->requestee->instrument)
		InstrStopNode(areq->requestee->instrument,
					  TupIsNull(areq->result) ? 0.0 : 1.0);
}

void
veltForeignAsyncNotify(AsyncRequest *areq)
{
	const AppendState *append = (const AppendState *) areq->requestor;
	AsyncRequest *other;

	velt_wait_end(scan_of(areq)->source.fetch.session);
	for (int i = 0; (other = next_pending(append, &i)) != NULL;)
	{
		if (velt_scan_has_news(scan_of(other)))
			answer_as_well(other);
	}
	answer(areq);
}
