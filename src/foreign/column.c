/*
 * foreign/column.c
 *		Which value of a resource each column of a foreign table shows.
 */
#include "postgres.h"

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "foreign/column.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/rel.h"

static void unmatched_column(Relation relation, int attnum,
							 const char *wanted, const VeltResource *resource)
			__attribute__((noreturn));

static void
unmatched_column(Relation relation, int attnum, const char *wanted,
				 const VeltResource *resource)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(relation),
										   attnum - 1);
	StringInfoData names;

	initStringInfo(&names);
	for (const VeltColumn *other = resource->columns; other->name; other++)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 other->name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_COLUMN_NAME_NOT_FOUND),
			 errmsg("column \"%s\" of foreign table \"%s\" matches no column of resource \"%s\"",
					NameStr(attr->attname), RelationGetRelationName(relation),
					resource->name),
			 errdetail("The resource has no column \"%s\"; it has %s.",
					   wanted, names.data),
			 errhint("Set the column's option \"column_name\" to one of them, or \"json_pointer\" to the place of its value in a row.")));
}

static void
describe_column(Relation relation, int attnum, const VeltResource *resource,
				VeltTableColumn *column)
{
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(relation),
										   attnum - 1);
	VeltSettings settings;
	const char *wanted;
	const VeltColumn *found;

	velt_settings_init(&settings);
	velt_settings_read(&settings,
					   GetForeignColumnOptions(RelationGetRelid(relation),
											   attnum),
					   AttributeRelationId);
	if (settings.json_pointer)
	{
		column->source = VELT_FROM_ROW;
		column->pointer = settings.json_pointer;
		column->secret = velt_resource_pointer_is_secret(resource,
														 column->pointer);
		return;
	}
	wanted = settings.column_name ? settings.column_name :
		NameStr(attr->attname);
	found = velt_resource_column(resource, wanted);
	if (found == NULL)
	{
		column->source = VELT_FROM_ROW;
		column->unmatched = pstrdup(wanted);
		return;
	}
	column->source = found->source;
	column->pointer = found->pointer ? pstrdup(found->pointer) : NULL;
	column->secret = found->secret;
	column->is_filter = resource->filter_column &&
		strcmp(found->name, resource->filter_column) == 0;
}

VeltTable *
velt_table_describe(Relation relation, const VeltResource *resource)
{
	TupleDesc	desc = RelationGetDescr(relation);
	VeltTable  *table = palloc0(offsetof(VeltTable, columns) +
								desc->natts * sizeof(VeltTableColumn));

	table->resource = resource;
	table->ncolumns = desc->natts;
	for (int i = 0; i < desc->natts; i++)
	{
		if (!TupleDescAttr(desc, i)->attisdropped)
			describe_column(relation, i + 1, resource, &table->columns[i]);
	}
	return table;
}

void
velt_table_require_columns(Relation relation, const VeltTable *table,
						   List *attnums)
{
	ListCell   *lc;

	foreach(lc, attnums)
	{
		int			attnum = lfirst_int(lc);
		const char *unmatched = table->columns[attnum - 1].unmatched;

		if (unmatched)
			unmatched_column(relation, attnum, unmatched, table->resource);
	}
}

static void
read_table_options(VeltSettings *settings, const ForeignTable *table)
{
	velt_settings_read(settings, table->options, ForeignTableRelationId);
	if (settings->resource == NULL)
		velt_option_missing("resource", NULL);
}

void
velt_table_settings(Oid relid, VeltSettings *settings)
{
	ForeignTable *table = GetForeignTable(relid);
	ForeignServer *server = GetForeignServer(table->serverid);

	velt_settings_init(settings);
	velt_settings_read_but_urls(settings, server->options,
								ForeignServerRelationId);
	read_table_options(settings, table);
}

const VeltResource *
velt_table_resource(Oid relid)
{
	VeltSettings settings;

	velt_settings_init(&settings);
	read_table_options(&settings, GetForeignTable(relid));
	return settings.resource;
}
