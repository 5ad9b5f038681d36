/*
 * commands/validator.c
 *		What CREATE and ALTER of servers, user mappings and tables allow.
 *
 * foreign/option knows single options; here are the rules between them, and
 * who may set which.  Looks at values only.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "fmgr.h"
#include "foreign/option.h"
#include "miscadmin.h"
#include "utils/acl.h"

PG_FUNCTION_INFO_V1(velt_fdw_validator);

static void
check_privilege(const char *name, Oid catalog)
{
	VeltPrivilege needed = velt_option_privilege(name, catalog);

	if (needed == VELT_ANYONE || superuser() ||
		(needed == VELT_SERVER_FILES &&
		 has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set option \"%s\" or to alter what has it",
					name),
			 needed == VELT_SUPERUSER ?
			 errdetail("Only a superuser may do that.") :
			 errdetail("Only a superuser or a role with privileges of the role pg_read_server_files may do that.")));
}

static void
conflict(const char *one, const char *other)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("options %s and %s cannot be used together", one, other)));
}

static void
check_server(const VeltSettings *settings)
{
	if (settings->plain && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"api_url\" to a URL without TLS, or to alter what has it"),
				 errdetail("Only a superuser may do that."),
				 errhint("Use a URL that begins with \"https://\".")));
	if (settings->plain && settings->proxy)
		conflict("\"proxy\"", "\"api_url\" without TLS");
	if (settings->sslkey && !settings->sslcert)
		velt_option_missing("sslcert", "Option \"sslkey\" needs it.");
}

static void
check_user_mapping(const VeltSettings *settings)
{
	if (!settings->workspace_id)
		velt_option_missing("workspace_id",
							"A user mapping needs the id of a Velt workspace and the workspace's auth token.");
	if (!settings->auth_token && !settings->auth_token_file)
		velt_option_missing("auth_token",
							"A user mapping needs the workspace's auth token, or \"auth_token_file\" with the path of a file that has it.");
	if (settings->auth_token && settings->auth_token_file)
		conflict("\"auth_token\"", "\"auth_token_file\"");
}

static void
check_table(const VeltSettings *settings)
{
	if (!settings->resource)
		velt_option_missing("resource",
							"IMPORT FOREIGN SCHEMA workspace makes the foreign tables with all they need.");
}

static void
check_column(const VeltSettings *settings)
{
	if (settings->column_name && settings->json_pointer)
		conflict("\"column_name\"", "\"json_pointer\"");
}

Datum
velt_fdw_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	VeltSettings settings;
	ListCell   *lc;

	velt_settings_init(&settings);
	velt_settings_read(&settings, options, catalog);
	foreach(lc, options)
		check_privilege(lfirst_node(DefElem, lc)->defname, catalog);

	switch (catalog)
	{
		case ForeignServerRelationId:
			check_server(&settings);
			break;
		case UserMappingRelationId:
			check_user_mapping(&settings);
			break;
		case ForeignTableRelationId:
			check_table(&settings);
			break;
		case AttributeRelationId:
			check_column(&settings);
			break;
		default:
			break;
	}
	PG_RETURN_VOID();
}
