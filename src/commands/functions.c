/*
 * commands/functions.c
 *		The functions that users call.
 */
#include "postgres.h"

#include "client/json.h"
#include "client/transport.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "velt_fdw.h"

PG_FUNCTION_INFO_V1(velt_fdw_version);

Datum
velt_fdw_version(PG_FUNCTION_ARGS pg_attribute_unused())
{
	PG_RETURN_TEXT_P(cstring_to_text(psprintf("velt_fdw %s, %s, json-c %s, built against PostgreSQL %s",
											  VELT_FDW_VERSION,
											  velt_transport_library(),
											  velt_json_library(),
											  PG_VERSION)));
}
