/*
 * commands/check.c
 *		velt_fdw_check: whether a server can be used, step by step.
 *
 * A failing step is a row, not an error, and ends the list.
 */
#include "postgres.h"

#include "access/xact.h"
#include "client/cursor.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "foreign/option.h"
#include "foreign/report.h"
#include "foreign/session.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

PG_FUNCTION_INFO_V1(velt_fdw_check);

/* What has to be let go of when the check ends, however it ends. */
typedef struct Check
{
	VeltSession *session;
	VeltCursor *cursor;
	VeltScanStats stats;
	MemoryContextCallback cleanup;
} Check;

static void
add_step(FunctionCallInfo fcinfo, const char *step, bool ok,
		 const char *detail)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = CStringGetTextDatum(step);
	values[1] = BoolGetDatum(ok);
	values[2] = CStringGetTextDatum(detail);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
cleanup_check(void *arg)
{
	Check	   *check = arg;
	VeltSession *session = check->session;

	velt_cursor_close(check->cursor);
	check->cursor = NULL;
	check->session = NULL;
	if (session)
		velt_session_release(session);
}

/* The text of an error, as one row has room for it. */
static char *
error_text(const ErrorData *edata)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s: %s", unpack_sql_state(edata->sqlerrcode),
					 edata->message);
	if (edata->detail)
		appendStringInfo(&text, ". %s", edata->detail);
	if (edata->hint)
		appendStringInfo(&text, " %s", edata->hint);
	return text.data;
}

/*
 * Makes the session, which looks at all options, files and mapping.  NULL if
 * that can be done; else why not.  Errors are caught in a subtransaction, as
 * what they leave behind must be cleaned up.
 */
static char *
check_options(Check *check, Oid serverid)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile problem = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		check->session = velt_session_acquire(GetUserId(), serverid);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN)
			ReThrowError(edata);
		problem = error_text(edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return problem;
}

/* Asks for the workspace; false with *error if it is not answered. */
static bool
ask_workspace(Check *check, const VeltSettings *settings, VeltError *error)
{
	VeltCursorSpec spec = {
		.resource = velt_workspace_resource,
		.page_size = VELT_MAX_PAGE_SIZE,
		.max_concurrency = 1,
		.max_response_bytes = settings->max_response_bytes,
		.workspace_known = velt_session_workspace_known(check->session),
		.stats = &check->stats
	};
	VeltPage   *page;

	check->cursor = velt_cursor_open(velt_session_transport(check->session),
									 &spec, error);
	if (check->cursor == NULL)
		return false;
	for (;;)
	{
		VeltCursorStatus status = velt_cursor_next_page(check->cursor, &page,
														error);

		if (status == VELT_CURSOR_WAIT)
			velt_session_wait(check->session);
		else
			return status != VELT_CURSOR_FAILED;
	}
}

/* Whether the error came before a request could be sent. */
static bool
is_connect_error(const VeltError *error)
{
	return error->http_status == 0 &&
		(error->kind == VELT_ERROR_CONNECT ||
		 error->kind == VELT_ERROR_CERTIFICATE);
}

static char *
fetch_error_text(const VeltError *error)
{
	const char *hint = velt_report_hint(error->kind);

	return psprintf("%s: %s%s%s",
					unpack_sql_state(velt_report_sqlstate(error->kind)),
					velt_report_detail(error), hint ? " " : "",
					hint ? hint : "");
}

Datum
velt_fdw_check(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ForeignServer *server = GetForeignServerByName(name, false);
	Check	   *check = palloc0(sizeof(Check));
	VeltSettings settings;
	VeltError	error;
	char	   *problem;

	velt_compat_require_server_usage(server);
	InitMaterializedSRF(fcinfo, 0);
	check->cleanup.func = cleanup_check;
	check->cleanup.arg = check;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &check->cleanup);

	problem = check_options(check, server->serverid);
	if (problem)
	{
		add_step(fcinfo, "options", false, problem);
		return (Datum) 0;
	}
	velt_settings_init(&settings);
	velt_settings_read(&settings, server->options, ForeignServerRelationId);
	add_step(fcinfo, "options", true,
			 psprintf("workspace %s at %s",
					  velt_transport_credentials(velt_session_transport(check->session))->workspace_id,
					  settings.api_url));

	if (ask_workspace(check, &settings, &error))
	{
		add_step(fcinfo, "connect", true, "connected");
		add_step(fcinfo, "auth", true, "the workspace's token is accepted");
	}
	else if (is_connect_error(&error))
		add_step(fcinfo, "connect", false, fetch_error_text(&error));
	else
	{
		add_step(fcinfo, "connect", true, "connected");
		add_step(fcinfo, "auth", false, fetch_error_text(&error));
	}
	cleanup_check(check);
	return (Datum) 0;
}
