/*
 * commands/check.c
 *		velt_fdw_check: whether a server can be used, step by step.
 *
 * A failing step is a row, not an error, and ends the list.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/fetch.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "foreign/option.h"
#include "foreign/report.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(velt_fdw_check);

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

/* The text of an error, as one row has room for it. */
static char *
error_text(const ErrorData *edata, const char *server)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s: %s", unpack_sql_state(edata->sqlerrcode),
					 edata->message);
	if (edata->detail)
		appendStringInfo(&text, ". %s", edata->detail);
	if (edata->hint)
		appendStringInfo(&text, " %s", edata->hint);
	/* PostgreSQL's own words, where it finds no mapping, end there */
	else if (edata->sqlerrcode == ERRCODE_UNDEFINED_OBJECT)
		appendStringInfo(&text,
						 ". Make one: CREATE USER MAPPING FOR %s SERVER %s OPTIONS (workspace_id '...', auth_token '...').",
						 quote_identifier(GetUserNameFromId(GetUserId(), false)),
						 quote_identifier(server));
	return text.data;
}

/*
 * Makes the session, which looks at all options, files and mapping.  NULL if
 * that can be done; else why not.  Errors are caught in a subtransaction, as
 * what they leave behind must be cleaned up.
 */
static char *
check_options(VeltFetch *fetch, const ForeignServer *server)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile problem = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		fetch->session = velt_session_acquire(GetUserId(), server->serverid);
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
		problem = error_text(edata, server->servername);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return problem;
}

/* A user who may use the server may see the options of their own mapping. */
static char *
options_text(const VeltSession *session, const char *api_url)
{
	const char *workspace = velt_session_visible_workspace(session);

	return workspace ? psprintf("workspace %s at %s", workspace, api_url) :
		psprintf("workspace of the PUBLIC user mapping at %s", api_url);
}

/* Asks for the workspace; false with *error if it is not answered. */
static bool
ask_workspace(VeltFetch *fetch, const VeltSettings *settings,
			  VeltScanStats *stats, VeltError *error)
{
	VeltCursorSpec spec;
	VeltPage   *page;

	velt_fetch_spec(fetch, velt_workspace_resource, settings, stats, &spec);
	return velt_fetch_open(fetch, &spec, error) &&
		velt_fetch_next_page(fetch, &page, error) != VELT_CURSOR_FAILED;
}

/* Whether the error came before a request could be sent. */
static bool
is_connect_error(const VeltError *error)
{
	return error->http_status == 0 &&
		(velt_error_in_connecting(error->kind) ||
		 error->kind == VELT_ERROR_DESCRIPTORS ||
		 error->kind == VELT_ERROR_CERTIFICATE);
}

/* An error that gave up tells of its attempts itself. */
static char *
fetch_error_text(const VeltError *error, const VeltScanStats *stats)
{
	const char *hint = velt_report_hint(error);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "%s: %s",
					 unpack_sql_state(velt_report_sqlstate(error)),
					 velt_report_detail(error));
	if (stats->requests > 1 && !error->gave_up)
		appendStringInfo(&text, " There were " INT64_FORMAT " attempts.",
						 stats->requests);
	if (hint)
		appendStringInfo(&text, " %s", hint);
	return text.data;
}

Datum
velt_fdw_check(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ForeignServer *server = GetForeignServerByName(name, false);
	VeltFetch  *fetch = palloc(sizeof(VeltFetch));
	VeltSettings settings;
	VeltScanStats stats = {0};
	VeltError	error;
	char	   *problem;

	if (velt_compat_server_usage(server) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER, name);
	InitMaterializedSRF(fcinfo, 0);
	velt_fetch_init(fetch, CurrentMemoryContext);

	problem = check_options(fetch, server);
	if (problem)
	{
		add_step(fcinfo, "options", false, problem);
		return (Datum) 0;
	}
	velt_settings_init(&settings);
	velt_settings_read(&settings, server->options, ForeignServerRelationId);
	add_step(fcinfo, "options", true,
			 options_text(fetch->session, settings.api_url));

	if (ask_workspace(fetch, &settings, &stats, &error))
	{
		add_step(fcinfo, "connect", true, "connected");
		add_step(fcinfo, "auth", true, "the workspace's token is accepted");
	}
	else if (is_connect_error(&error))
		add_step(fcinfo, "connect", false, fetch_error_text(&error, &stats));
	else
	{
		add_step(fcinfo, "connect", true, "connected");
		add_step(fcinfo, "auth", false, fetch_error_text(&error, &stats));
	}
	velt_fetch_stop(fetch);
	return (Datum) 0;
}
