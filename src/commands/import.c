/*
 * commands/import.c
 *		IMPORT FOREIGN SCHEMA workspace: a foreign table for each resource.
 *
 * Generic over the table of resources; makes no request.
 */
#include "postgres.h"

#include "client/resource.h"
#include "commands/defrem.h"
#include "commands/commands.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "foreign/option.h"
#include "lib/stringinfo.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

/* The remote schema's name: the API's path group. */
#define REMOTE_SCHEMA	"workspace"

static bool
import_secrets(List *options)
{
	bool		secrets = true;
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);

		if (strcmp(def->defname, "import_secrets") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("IMPORT FOREIGN SCHEMA has no option \"%s\"",
							def->defname),
					 errhint("The valid option is: import_secrets.")));
		if (!parse_bool(defGetString(def), &secrets))
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 errmsg("invalid value for option \"%s\": \"%s\"",
							def->defname, defGetString(def)),
					 errdetail("The value must be true or false.")));
	}
	return secrets;
}

static char *
create_table_command(const VeltResource *resource, const char *server,
					 bool secrets)
{
	StringInfoData command;
	const char *separator = "";

	initStringInfo(&command);
	appendStringInfo(&command, "CREATE FOREIGN TABLE %s (",
					 quote_identifier(resource->name));
	for (const VeltColumn *column = resource->columns; column->name; column++)
	{
		if (column->secret && !secrets)
			continue;
		appendStringInfo(&command, "%s\n  %s %s", separator,
						 quote_identifier(column->name), column->type);
		separator = ",";
	}
	appendStringInfo(&command, "\n) SERVER %s OPTIONS (resource %s)",
					 quote_identifier(server),
					 quote_literal_cstr(resource->name));
	return command.data;
}

/*
 * Warns of names in LIMIT TO or EXCEPT that match no table.  Nothing would be
 * imported for them, as for "API_KEYS" in quotes.
 */
static void
warn_of_unknown_tables(const ImportForeignSchemaStmt *stmt,
					   const ForeignServer *server)
{
	ListCell   *lc;

	foreach(lc, stmt->table_list)
	{
		const char *name = lfirst_node(RangeVar, lc)->relname;

		if (velt_resource_find(name) == NULL)
			ereport(WARNING,
					(errcode(ERRCODE_FDW_TABLE_NOT_FOUND),
					 errmsg("table \"%s\" is not present in schema \"%s\" of foreign server \"%s\"",
							name, REMOTE_SCHEMA, server->servername),
					 errhint("The tables are %s.", velt_resource_names())));
	}
}

List *
veltImportForeignSchema(ImportForeignSchemaStmt *stmt, Oid server_oid)
{
	ForeignServer *server = GetForeignServer(server_oid);
	bool		secrets = import_secrets(stmt->options);
	List	   *commands = NIL;

	if (strcmp(stmt->remote_schema, REMOTE_SCHEMA) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_SCHEMA_NOT_FOUND),
				 errmsg("schema \"%s\" is not present on foreign server \"%s\"",
						stmt->remote_schema, server->servername),
				 errhint("The remote schema is \"%s\".", REMOTE_SCHEMA)));

	warn_of_unknown_tables(stmt, server);
	for (int i = 0; velt_resources[i] != NULL; i++)
	{
		if (IsImportableForeignTable(velt_resources[i]->name, stmt))
			commands = lappend(commands,
							   create_table_command(velt_resources[i],
													server->servername,
													secrets));
	}
	return commands;
}
