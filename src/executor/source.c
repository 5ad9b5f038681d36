/*
 * executor/source.c
 *		A foreign table being read: its cursor, and the rows of its pages.
 */
#include "postgres.h"

#include "executor/source.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "foreign/report.h"
#include "foreign/wait.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

void
velt_source_init(VeltSource *source, Relation relation,
				 const VeltResource *resource, List *attnums,
				 MemoryContext context)
{
	Oid			relid = RelationGetRelid(relation);
	MemoryContext old = MemoryContextSwitchTo(context);

	velt_fetch_init(&source->fetch, context);
	source->page = NULL;
	source->resource = resource;
	source->relation = relation;
	source->table_name =
		psprintf("%s.%s",
				 get_namespace_name(RelationGetNamespace(relation)),
				 RelationGetRelationName(relation));
	source->server_name =
		GetForeignServer(GetForeignServerIdByRelId(relid))->servername;
	velt_table_settings(relid, &source->settings);
	source->table = velt_table_describe(relation, resource);
	velt_table_require_columns(relation, source->table, attnums);
	source->reader = velt_tuple_reader_create(relation, source->table,
											  attnums);
	MemoryContextSwitchTo(old);
}

/* A partition's bound holds only if this is the workspace it speaks of. */
static void
check_workspace(const VeltSource *source)
{
	const char *expected = source->settings.expected_workspace_id;

	if (expected &&
		strcmp(expected, velt_source_credentials(source)->workspace_id) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("foreign table \"%s\" is for another workspace than the user mapping",
						RelationGetRelationName(source->relation)),
				 errdetail("The table's option workspace_id is \"%s\", the user mapping's is another.",
						   expected)));
}

/* What is to be read in a session that is held. */
static void
make_spec(VeltSource *source, VeltScanStats *stats, VeltCursorSpec *spec)
{
	check_workspace(source);
	velt_tuple_reader_set_workspace(source->reader,
									velt_source_credentials(source));
	velt_fetch_spec(&source->fetch, source->resource, &source->settings,
					stats, spec);
	spec->pointers = velt_tuple_reader_pointers(source->reader,
												&spec->npointers);
}

void
velt_source_acquire(VeltSource *source, Oid userid, VeltScanStats *stats,
					VeltCursorSpec *spec)
{
	Oid			relid = RelationGetRelid(source->relation);

	Assert(source->fetch.session == NULL);
	source->fetch.session =
		velt_session_acquire(userid, GetForeignServerIdByRelId(relid));
	make_spec(source, stats, spec);
}

void
velt_source_acquire_beside(VeltSource *source, const VeltSource *other,
						   VeltScanStats *stats, VeltCursorSpec *spec)
{
	Assert(source->fetch.session == NULL);
	source->fetch.session = velt_session_share(other->fetch.session);
	make_spec(source, stats, spec);
}

void
velt_source_open(VeltSource *source, const VeltCursorSpec *spec)
{
	VeltError	error;

	if (!velt_fetch_open(&source->fetch, spec, &error))
		velt_source_report(source, &error);
}

const VeltCredentials *
velt_source_credentials(const VeltSource *source)
{
	return velt_transport_credentials(velt_session_transport(source->fetch.session));
}

bool
velt_source_next_of_page(VeltSource *source)
{
	VeltPageStatus status = VELT_PAGE_END;
	VeltError	error;

	while (source->page &&
		   (status = velt_page_next_row(source->page,
										&error)) == VELT_PAGE_MORE)
		CHECK_FOR_INTERRUPTS();
	if (status == VELT_PAGE_FAILED)
		velt_source_report(source, &error);
	if (status == VELT_PAGE_END)
		source->page = NULL;
	return status == VELT_PAGE_FOUND;
}

VeltCursorStatus
velt_source_next_row(VeltSource *source, VeltError *error)
{
	while (!velt_source_next_of_page(source))
	{
		VeltPage   *page;
		VeltCursorStatus status = velt_cursor_next_page(source->fetch.cursor,
														&page, error);

		if (status != VELT_CURSOR_PAGE)
			return status;
		/* what this page has led to is requested while its rows are read */
		velt_wait_start_requests(source->fetch.session);
		source->page = page;
	}
	return VELT_CURSOR_PAGE;
}

void
velt_source_read(VeltSource *source, Datum *values, bool *isnull)
{
	velt_tuple_read(source->reader, source->page, values, isnull);
}

void
velt_source_report(const VeltSource *source, const VeltError *error)
{
	velt_report_fetch(error, source->resource->name, source->server_name);
}

bool
velt_source_is_reading(const VeltSource *source)
{
	return source->page && velt_tuple_reader_is_reading(source->reader);
}

void
velt_source_describe(const VeltSource *source)
{
	velt_tuple_reader_describe(source->reader, source->page,
							   source->table_name);
}

void
velt_source_stop(VeltSource *source)
{
	source->page = NULL;
	velt_fetch_stop(&source->fetch);
}
