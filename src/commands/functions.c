/*
 * commands/functions.c
 *		The functions that users call about sessions and versions.
 */
#include "postgres.h"

#include "client/json.h"
#include "client/transport.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "foreign/session.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
#include "velt_fdw.h"

PG_FUNCTION_INFO_V1(velt_fdw_version);
PG_FUNCTION_INFO_V1(velt_fdw_get_connections);
PG_FUNCTION_INFO_V1(velt_fdw_disconnect);
PG_FUNCTION_INFO_V1(velt_fdw_disconnect_all);

Datum
velt_fdw_version(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("velt_fdw %s, %s, json-c %s, built against PostgreSQL %s",
											  VELT_FDW_VERSION,
											  velt_transport_library(),
											  velt_json_library(),
											  PG_VERSION)));
}

/* The result's columns. */
enum
{
	SERVER_NAME,
	USER_NAME,
	WORKSPACE_ID,
	VALID,
	OPEN_CONNECTIONS,
	REQUESTS,
	RETRIES,
	BYTES_RECEIVED,
	CONNECTION_COLUMNS
};

Datum
velt_fdw_get_connections(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, velt_session_list())
	{
		VeltSessionInfo *info = lfirst(lc);
		Datum		values[CONNECTION_COLUMNS];
		bool		nulls[CONNECTION_COLUMNS] = {false};

		values[SERVER_NAME] = CStringGetTextDatum(info->server_name);
		/* a role that was dropped since has no name */
		nulls[USER_NAME] = info->user_name == NULL;
		if (info->user_name)
			values[USER_NAME] = CStringGetTextDatum(info->user_name);
		nulls[WORKSPACE_ID] = info->workspace_id == NULL;
		if (info->workspace_id)
			values[WORKSPACE_ID] = CStringGetTextDatum(info->workspace_id);
		values[VALID] = BoolGetDatum(info->valid);
		values[OPEN_CONNECTIONS] = Int32GetDatum(info->stats.open_connections);
		values[REQUESTS] = Int64GetDatum(info->stats.requests);
		values[RETRIES] = Int64GetDatum(info->stats.retries);
		values[BYTES_RECEIVED] = Int64GetDatum(info->stats.bytes_received);
		tuplestore_putvalues(result->setResult, result->setDesc, values,
							 nulls);
	}
	return (Datum) 0;
}

Datum
velt_fdw_disconnect(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_BOOL(velt_session_disconnect(GetForeignServerByName(name, false)->serverid));
}

Datum
velt_fdw_disconnect_all(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_BOOL(velt_session_disconnect(InvalidOid));
}
