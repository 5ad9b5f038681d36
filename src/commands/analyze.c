/*
 * commands/analyze.c
 *		ANALYZE of a foreign table: a sample of its rows, within bounds.
 *
 * Runs as the table's owner, and so with the owner's user mapping.  Values of
 * secret columns, and the credentials, are replaced by digests before anything
 * is made of them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "commands/commands.h"
#include "executor/fetch.h"
#include "executor/tuple.h"
#include "foreign/column.h"
#include "foreign/foreign.h"
#include "foreign/report.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/sampling.h"

/* What statistics may cost: so many pages, and so many keys' rows. */
#define MAX_PAGES		300
#define MAX_KEYS		300

/* A sample of what comes by, each with the same chance. */
typedef struct Reservoir
{
	ReservoirStateData state;
	int			size;
	int			used;
	double		seen;
	double		to_skip;		/* less than 0: not decided */
} Reservoir;

typedef struct Sampler
{
	Relation	relation;
	VeltSettings settings;
	VeltTable  *table;
	VeltTupleReader *reader;
	VeltFetch	fetch;
	const VeltCredentials *credentials;
	VeltScanStats stats;
	MemoryContext row_context;
	HeapTuple  *rows;
	Reservoir	reservoir;
} Sampler;

/* ----------
 * Sampling
 * ----------
 */

static void
init_reservoir(Reservoir *reservoir, int size)
{
	memset(reservoir, 0, sizeof(*reservoir));
	reservoir->size = size;
	reservoir->to_skip = -1;
	reservoir_init_selection_state(&reservoir->state, size);
}

/* Where in the sample the next one goes, or -1 if it is passed over. */
static int
next_place(Reservoir *reservoir)
{
	double		seen = reservoir->seen++;
	int			place = -1;

	if (reservoir->used < reservoir->size)
		return reservoir->used++;
	if (reservoir->to_skip < 0)
		reservoir->to_skip = reservoir_get_next_S(&reservoir->state, seen,
												  reservoir->size);
	if (reservoir->to_skip <= 0)
		place = (int) (reservoir->size *
					   sampler_random_fract(&reservoir->state.randstate));
	reservoir->to_skip--;
	return place;
}

/* ----------
 * Rows
 * ----------
 */

/* Text of the same length that tells equal values from others, and no more. */
static Datum
digest_text(Datum value)
{
	text	   *secret = DatumGetTextPP(value);
	int			length = VARSIZE_ANY_EXHDR(secret);
	bytea	   *hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
														   PointerGetDatum(secret)));
	int			hash_length = VARSIZE_ANY_EXHDR(hash);
	char	   *hex = palloc(hash_length * 2);
	text	   *digest = palloc(VARHDRSZ + length);

	hex_encode(VARDATA_ANY(hash), hash_length, hex);
	for (int i = 0; i < length; i++)
		VARDATA(digest)[i] = hex[i % (hash_length * 2)];
	SET_VARSIZE(digest, VARHDRSZ + length);
	return PointerGetDatum(digest);
}

/* The credentials are: wherever they come from. */
static bool
is_secret(const Sampler *sampler, int column, Oid type, Datum value)
{
	const VeltTableColumn *described = &sampler->table->columns[column];
	text	   *shown;

	if (described->secret || described->source == VELT_FROM_WORKSPACE)
		return true;
	if (type != TEXTOID && type != VARCHAROID)
		return false;
	shown = DatumGetTextPP(value);
	return velt_error_has_credentials(VARDATA_ANY(shown),
									  VARSIZE_ANY_EXHDR(shown),
									  sampler->credentials);
}

/* Secrets of types that cannot hold a digest leave no trace at all. */
static void
hide_secrets(const Sampler *sampler, Datum *values, bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(sampler->relation);

	for (int i = 0; i < desc->natts; i++)
	{
		Oid			type = TupleDescAttr(desc, i)->atttypid;

		if (isnull[i] || !is_secret(sampler, i, type, values[i]))
			continue;
		if (type == TEXTOID || type == VARCHAROID)
			values[i] = digest_text(values[i]);
		else
			isnull[i] = true;
	}
}

static HeapTuple
make_row(Sampler *sampler, VeltPage *page)
{
	TupleDesc	desc = RelationGetDescr(sampler->relation);
	MemoryContext context = MemoryContextSwitchTo(sampler->row_context);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *isnull = palloc(desc->natts * sizeof(bool));
	HeapTuple	row;

	velt_tuple_read(sampler->reader, page, values, isnull);
	hide_secrets(sampler, values, isnull);
	MemoryContextSwitchTo(context);
	row = heap_form_tuple(desc, values, isnull);
	MemoryContextReset(sampler->row_context);
	return row;
}

static void
fetch_error(const Sampler *sampler, const VeltError *error)
{
	Oid			server =
		GetForeignServerIdByRelId(RelationGetRelid(sampler->relation));

	velt_report_fetch(error, sampler->table->resource->name,
					  GetForeignServer(server)->servername);
}

/* Takes a sample of the rows on a page. */
static void
sample_page(Sampler *sampler, VeltPage *page)
{
	VeltError	error;
	bool		found;

	for (;;)
	{
		int			place;

		CHECK_FOR_INTERRUPTS();
		if (!velt_page_next_row(page, &found, &error))
			fetch_error(sampler, &error);
		if (!found)
			return;
		place = next_place(&sampler->reservoir);
		if (place >= 0)
			sampler->rows[place] = make_row(sampler, page);
	}
}

/* The rows of all pages, up to so many; false if there were more. */
static bool
sample_pages(Sampler *sampler, const VeltCursorSpec *spec, int max_pages)
{
	VeltCursorStatus status = VELT_CURSOR_PAGE;
	VeltError	error;
	VeltPage   *page;

	if (!velt_fetch_open(&sampler->fetch, spec, &error))
		fetch_error(sampler, &error);
	for (int i = 0; status == VELT_CURSOR_PAGE && i < max_pages; i++)
	{
		status = velt_fetch_next_page(&sampler->fetch, &page, &error);
		if (status == VELT_CURSOR_FAILED)
			fetch_error(sampler, &error);
		if (status == VELT_CURSOR_PAGE)
			sample_page(sampler, page);
	}
	return status == VELT_CURSOR_END;
}

/* ----------
 * A resource that is asked key by key
 * ----------
 */

/* A page of keys that is not one is an error, as where all rows are read. */
static void
keys_error(const Sampler *sampler, const VeltPage *page, VeltError *error)
{
	velt_page_name_request(page, error);
	fetch_error(sampler, error);
}

static VeltString
read_key(const Sampler *sampler, VeltPage *page)
{
	VeltJsonSpan span = velt_page_value(page, 0);
	VeltString	key;
	VeltError	error;

	if (span.kind != VELT_JSON_STRING)
	{
		velt_error_set(&error, VELT_ERROR_PROTOCOL,
					   "The response is not of the documented shape: a row has no key.");
		keys_error(sampler, page, &error);
	}
	if (!velt_page_string(page, span, &key, &error))
		keys_error(sampler, page, &error);
	return key;
}

/* Takes a sample of the keys on a page. */
static void
sample_page_keys(const Sampler *sampler, VeltPage *page, VeltString *keys,
				 Reservoir *reservoir)
{
	VeltError	error;
	bool		found;

	for (;;)
	{
		VeltString	key;
		int			place;
		char	   *bytes;

		CHECK_FOR_INTERRUPTS();
		if (!velt_page_next_row(page, &found, &error))
			fetch_error(sampler, &error);
		if (!found)
			return;
		key = read_key(sampler, page);
		/* nothing to ask for */
		if (key.length == 0)
			continue;
		place = next_place(reservoir);
		if (place < 0)
			continue;
		bytes = palloc(key.length);
		memcpy(bytes, key.bytes, key.length);
		keys[place] = (VeltString) {bytes, key.length};
	}
}

/* A sample of all keys; returns how many there are, as far as was looked. */
static double
sample_keys(Sampler *sampler, VeltString *keys, int *nkeys)
{
	const VeltResource *resource = sampler->table->resource;
	const char *pointer = velt_resource_column(resource->parent,
											   resource->parent_column)->pointer;
	Reservoir	reservoir;
	VeltCursorSpec spec;
	VeltCursorStatus status = VELT_CURSOR_PAGE;
	VeltError	error;
	VeltPage   *page;

	init_reservoir(&reservoir, MAX_KEYS);
	velt_fetch_spec(&sampler->fetch, resource->parent, &sampler->settings,
					&sampler->stats, &spec);
	spec.pointers = &pointer;
	spec.npointers = 1;
	if (!velt_fetch_open(&sampler->fetch, &spec, &error))
		fetch_error(sampler, &error);
	for (int i = 0; status == VELT_CURSOR_PAGE && i < MAX_PAGES; i++)
	{
		status = velt_fetch_next_page(&sampler->fetch, &page, &error);
		if (status == VELT_CURSOR_FAILED)
			fetch_error(sampler, &error);
		if (status == VELT_CURSOR_PAGE)
			sample_page_keys(sampler, page, keys, &reservoir);
	}
	*nkeys = reservoir.used;
	return reservoir.seen;
}

/* Samples the rows of a sample of keys; returns how many there are in all. */
static double
sample_by_key(Sampler *sampler, VeltCursorSpec *spec)
{
	VeltString	keys[MAX_KEYS];
	int			nkeys;
	double		total_keys = sample_keys(sampler, keys, &nkeys);

	velt_cursor_close(sampler->fetch.cursor);
	sampler->fetch.cursor = NULL;
	if (nkeys == 0)
		return 0;
	spec->filtered = true;
	spec->keys = keys;
	spec->nkeys = nkeys;
	(void) sample_pages(sampler, spec, MAX_KEYS + 1);
	return sampler->reservoir.seen * total_keys / nkeys;
}

/* ----------
 * The callback
 * ----------
 */

static void
prepare(Sampler *sampler, Relation relation, HeapTuple *rows, int size)
{
	Oid			relid = RelationGetRelid(relation);
	List	   *attnums = NIL;

	sampler->relation = relation;
	sampler->rows = rows;
	velt_table_settings(relid, &sampler->settings);
	sampler->table = velt_table_describe(relation,
										 sampler->settings.resource);
	for (int i = 0; i < RelationGetDescr(relation)->natts; i++)
	{
		if (!TupleDescAttr(RelationGetDescr(relation), i)->attisdropped)
			attnums = lappend_int(attnums, i + 1);
	}
	sampler->reader = velt_tuple_reader_create(relation, sampler->table,
											   attnums);
	sampler->row_context = AllocSetContextCreate(CurrentMemoryContext,
												 "velt_fdw sampled row",
												 ALLOCSET_DEFAULT_SIZES);
	init_reservoir(&sampler->reservoir, size);
	velt_fetch_init(&sampler->fetch, CurrentMemoryContext);
	sampler->fetch.session =
		velt_session_acquire(GetUserId(), GetForeignServerIdByRelId(relid));
	sampler->credentials =
		velt_transport_credentials(velt_session_transport(sampler->fetch.session));
	velt_tuple_reader_set_workspace(sampler->reader, sampler->credentials);
}

static int
acquire_sample_rows(Relation relation, int elevel, HeapTuple *rows, int size,
					double *total_rows, double *total_dead_rows)
{
	Sampler    *sampler = palloc0(sizeof(Sampler));
	VeltCursorSpec spec;

	prepare(sampler, relation, rows, size);
	velt_fetch_spec(&sampler->fetch, sampler->table->resource,
					&sampler->settings, &sampler->stats, &spec);
	spec.pointers = velt_tuple_reader_pointers(sampler->reader,
											   &spec.npointers);
	if (sampler->table->resource->filter_required)
		*total_rows = sample_by_key(sampler, &spec);
	else
	{
		bool		all = sample_pages(sampler, &spec, MAX_PAGES);

		/* of what there is beyond, only an earlier count might tell */
		*total_rows = all ? sampler->reservoir.seen :
			Max(sampler->reservoir.seen, relation->rd_rel->reltuples);
	}
	*total_dead_rows = 0;
	velt_fetch_stop(&sampler->fetch);
	ereport(elevel,
			(errmsg("\"%s\": table contains about %.0f rows; %d rows in sample, %lld requests",
					RelationGetRelationName(relation), *total_rows,
					sampler->reservoir.used,
					(long long) sampler->stats.requests)));
	return sampler->reservoir.used;
}

bool
veltAnalyzeForeignTable(Relation relation, AcquireSampleRowsFunc *func,
						BlockNumber *total_pages)
{
	*func = acquire_sample_rows;
	/* no more than a sign that there is something: nothing was asked yet */
	*total_pages = Max(1, relation->rd_rel->relpages);
	return true;
}
