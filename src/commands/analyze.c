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
#include "commands/thin.h"
#include "executor/source.h"
#include "foreign/column.h"
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
	VeltSource	source;
	VeltScanStats stats;
	MemoryContext row_context;
	HeapTuple  *rows;
	Reservoir	reservoir;

	/* of a resource that is asked key by key */
	VeltString *keys;
	int			nkeys;
	bool	   *has_rows;		/* by key */
	int		   *row_keys;		/* of each row in the sample */
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

/*
 * Where in the sample the next one goes, or -1 if it is passed over; "taken"
 * where another one has to go.
 */
static int
next_place(Reservoir *reservoir, bool *taken)
{
	double		seen = reservoir->seen++;
	int			place = -1;

	*taken = reservoir->used == reservoir->size;
	if (!*taken)
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

/*
 * Text of the same length that tells equal values from others, and no more.
 * Of values longer than this PostgreSQL takes nothing but their width.
 */
#define DIGESTED_BYTES	((int) 64 * 1024)

static Datum
digest_text(Datum value)
{
	text	   *secret = DatumGetTextPP(value);
	int			length = VARSIZE_ANY_EXHDR(secret);
	text	   *start = cstring_to_text_with_len(VARDATA_ANY(secret),
												 Min(length, DIGESTED_BYTES));
	bytea	   *hash = DatumGetByteaPP(DirectFunctionCall1(sha256_bytea,
														   PointerGetDatum(start)));
	int			hash_length = VARSIZE_ANY_EXHDR(hash);
	int			hex_length = hash_length * 2;
	char	   *hex = palloc(hex_length);
	text	   *digest = palloc(VARHDRSZ + length);

	hex_encode(VARDATA_ANY(hash), hash_length, hex);
	for (int i = 0; i < length; i += hex_length)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy(VARDATA(digest) + i, hex, Min(hex_length, length - i));
	}
	SET_VARSIZE(digest, VARHDRSZ + length);
	return PointerGetDatum(digest);
}

/* The credentials are: wherever they come from. */
static bool
is_secret(const Sampler *sampler, int column, Oid type, Datum value)
{
	const VeltTableColumn *described = &sampler->source.table->columns[column];
	text	   *shown;

	if (described->secret || described->source == VELT_FROM_WORKSPACE)
		return true;
	if (type != TEXTOID && type != VARCHAROID)
		return false;
	shown = DatumGetTextPP(value);
	return velt_report_has_credentials(VARDATA_ANY(shown),
									   VARSIZE_ANY_EXHDR(shown),
									   velt_source_credentials(&sampler->source));
}

/* Secrets of types that cannot hold a digest leave no trace at all. */
static void
hide_secrets(const Sampler *sampler, Datum *values, bool *isnull)
{
	TupleDesc	desc = RelationGetDescr(sampler->source.relation);

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
make_row(Sampler *sampler)
{
	TupleDesc	desc = RelationGetDescr(sampler->source.relation);
	MemoryContext context = MemoryContextSwitchTo(sampler->row_context);
	Datum	   *values = palloc0(desc->natts * sizeof(Datum));
	bool	   *isnull = palloc(desc->natts * sizeof(bool));
	HeapTuple	row;

	velt_source_read(&sampler->source, values, isnull);
	hide_secrets(sampler, values, isnull);
	MemoryContextSwitchTo(context);
	row = heap_form_tuple(desc, values, isnull);
	MemoryContextReset(sampler->row_context);
	return row;
}

/* Which of the keys asked for this page is about; 0 where none were. */
static int
key_number(const Sampler *sampler, const VeltPage *page)
{
	VeltString	key = velt_page_key(page);

	for (int i = 0; i < sampler->nkeys; i++)
	{
		if (sampler->keys[i].length == key.length &&
			memcmp(sampler->keys[i].bytes, key.bytes, key.length) == 0)
			return i;
	}
	return 0;
}

static void
describe_context(void *arg)
{
	velt_source_describe(arg);
}

/* Takes a sample of the rows on the page at hand. */
static void
sample_page(Sampler *sampler)
{
	int			key = key_number(sampler, sampler->source.page);

	while (velt_source_next_of_page(&sampler->source))
	{
		int			place;
		bool		taken;

		CHECK_FOR_INTERRUPTS();
		place = next_place(&sampler->reservoir, &taken);
		if (sampler->has_rows)
			sampler->has_rows[key] = true;
		if (place < 0)
			continue;
		if (taken)
			heap_freetuple(sampler->rows[place]);
		sampler->rows[place] = make_row(sampler);
		if (sampler->row_keys)
			sampler->row_keys[place] = key;
	}
}

/* The next page, or VELT_CURSOR_FAILED if it is to be the first one again. */
static VeltCursorStatus
next_page(Sampler *sampler, VeltPage **page)
{
	VeltError	error;
	VeltFetch  *fetch = &sampler->source.fetch;
	VeltCursorStatus status = velt_fetch_next_page(fetch, page, &error);

	if (status == VELT_CURSOR_FAILED &&
		!velt_cursor_restart(fetch->cursor, &error))
		velt_source_report(&sampler->source, &error);
	return status;
}

static void
forget_rows(Sampler *sampler)
{
	for (int i = 0; i < sampler->reservoir.used; i++)
		heap_freetuple(sampler->rows[i]);
	init_reservoir(&sampler->reservoir, sampler->reservoir.size);
}

/* The rows of all pages, up to so many; false if there may be more. */
static bool
sample_pages(Sampler *sampler, const VeltCursorSpec *spec, int max_pages)
{
	VeltSource *source = &sampler->source;
	VeltCursorStatus status = VELT_CURSOR_PAGE;

	velt_source_open(source, spec);
	for (int i = 0; status != VELT_CURSOR_END && i < max_pages; i++)
	{
		status = next_page(sampler, &source->page);
		if (status == VELT_CURSOR_PAGE)
			sample_page(sampler);
		else if (status == VELT_CURSOR_FAILED)
			forget_rows(sampler);
	}
	return status == VELT_CURSOR_END;
}

/* No page is asked for ahead that will not be looked at. */
static void
limit_pages(VeltCursorSpec *spec)
{
	spec->limit = (int64_t) MAX_PAGES * spec->page_size;
}

/* Samples the rows of all pages; returns how many there are in all. */
static double
sample_all(Sampler *sampler, VeltCursorSpec *spec)
{
	bool		complete;
	double		seen;

	limit_pages(spec);
	complete = sample_pages(sampler, spec, MAX_PAGES);
	seen = sampler->reservoir.seen;

	/* of what there is beyond, only an earlier count might tell */
	return complete ? seen :
		Max(seen, sampler->source.relation->rd_rel->reltuples);
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
	velt_source_report(&sampler->source, error);
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
sample_page_keys(Sampler *sampler, VeltPage *page, Reservoir *reservoir)
{
	sampler->source.page = page;
	while (velt_source_next_of_page(&sampler->source))
	{
		VeltString	key;
		int			place;
		bool		taken;
		char	   *bytes;

		CHECK_FOR_INTERRUPTS();
		key = read_key(sampler, page);
		/* nothing to ask for */
		if (key.length == 0)
			continue;
		place = next_place(reservoir, &taken);
		if (place < 0)
			continue;
		if (taken)
			pfree((char *) sampler->keys[place].bytes);
		bytes = palloc(key.length);
		memcpy(bytes, key.bytes, key.length);
		sampler->keys[place] = velt_string(bytes, key.length);
	}
}

/* A sample of all keys; returns how many there are, as far as was looked. */
static double
sample_keys(Sampler *sampler)
{
	VeltSource *source = &sampler->source;
	const VeltResource *resource = source->resource;
	const char *pointer = velt_resource_column(resource->parent,
											   resource->parent_column)->pointer;
	Reservoir	reservoir;
	VeltCursorSpec spec;
	VeltCursorStatus status = VELT_CURSOR_PAGE;
	VeltPage   *page;

	init_reservoir(&reservoir, MAX_KEYS);
	velt_fetch_spec(&source->fetch, resource->parent, &source->settings,
					&sampler->stats, &spec);
	spec.pointers = &pointer;
	spec.npointers = 1;
	limit_pages(&spec);
	velt_source_open(source, &spec);
	for (int i = 0; status != VELT_CURSOR_END && i < MAX_PAGES; i++)
	{
		status = next_page(sampler, &page);
		if (status == VELT_CURSOR_PAGE)
			sample_page_keys(sampler, page, &reservoir);
		else if (status == VELT_CURSOR_FAILED)
			init_reservoir(&reservoir, MAX_KEYS);
	}
	velt_cursor_close(source->fetch.cursor);
	source->fetch.cursor = NULL;
	sampler->nkeys = reservoir.used;
	return reservoir.seen;
}

/* Keeps of the sampled rows those that look like a sample of all rows. */
static void
thin_sample(Sampler *sampler, double all_keys, double all_rows)
{
	Reservoir  *reservoir = &sampler->reservoir;
	bool	   *kept = velt_thin_rows(sampler->row_keys, reservoir->used,
									  sampler->nkeys, all_keys, all_rows);
	int			used = 0;

	for (int i = 0; i < reservoir->used; i++)
	{
		if (kept[i])
			sampler->rows[used++] = sampler->rows[i];
		else
			heap_freetuple(sampler->rows[i]);
	}
	reservoir->used = used;
	pfree(kept);
}

/* Samples the rows of a sample of keys; returns how many there are in all. */
static double
sample_by_key(Sampler *sampler, VeltCursorSpec *spec)
{
	double		total_keys;
	double		total_rows;
	int			keys_with_rows = 0;

	sampler->keys = palloc(MAX_KEYS * sizeof(VeltString));
	total_keys = sample_keys(sampler);
	if (sampler->nkeys == 0)
		return 0;
	sampler->has_rows = palloc0(sampler->nkeys * sizeof(bool));
	sampler->row_keys = palloc(sampler->reservoir.size * sizeof(int));
	spec->filtered = true;
	spec->keys = sampler->keys;
	spec->nkeys = sampler->nkeys;
	/* no key has more than one page, so this reaches the end */
	(void) sample_pages(sampler, spec, sampler->nkeys + 1);
	total_rows = sampler->reservoir.seen * total_keys / sampler->nkeys;
	for (int i = 0; i < sampler->nkeys; i++)
		keys_with_rows += sampler->has_rows[i];
	/* all rows of all keys are what they are */
	if (total_keys > sampler->nkeys && keys_with_rows > 0)
		thin_sample(sampler, total_keys * keys_with_rows / sampler->nkeys,
					total_rows);
	return total_rows;
}

/* ----------
 * The callback
 * ----------
 */

/* Returns the columns that have a value; to ANALYZE, the others are NULL. */
static List *
readable_columns(Relation relation, const VeltResource *resource)
{
	VeltTable  *table = velt_table_describe(relation, resource);
	List	   *attnums = NIL;

	for (int i = 0; i < table->ncolumns; i++)
	{
		if (velt_column_has_value(&table->columns[i]))
			attnums = lappend_int(attnums, i + 1);
	}
	return attnums;
}

static void
init_sampler(Sampler *sampler, Relation relation, HeapTuple *rows, int size)
{
	const VeltResource *resource = velt_table_resource(RelationGetRelid(relation));

	velt_source_init(&sampler->source, relation, resource,
					 readable_columns(relation, resource),
					 CurrentMemoryContext);
	sampler->row_context = AllocSetContextCreate(CurrentMemoryContext,
												 "velt_fdw sampled row",
												 ALLOCSET_DEFAULT_SIZES);
	sampler->rows = rows;
	init_reservoir(&sampler->reservoir, size);
}

static int
acquire_sample_rows(Relation relation, int elevel, HeapTuple *rows, int size,
					double *total_rows, double *total_dead_rows)
{
	Sampler    *sampler = palloc0(sizeof(Sampler));
	VeltSource *source = &sampler->source;
	VeltCursorSpec spec;
	ErrorContextCallback context;

	init_sampler(sampler, relation, rows, size);
	context.callback = describe_context;
	context.arg = source;
	context.previous = error_context_stack;
	error_context_stack = &context;
	velt_source_acquire(source, GetUserId(), &sampler->stats, &spec);
	*total_rows = source->resource->filter_required ?
		sample_by_key(sampler, &spec) : sample_all(sampler, &spec);
	error_context_stack = context.previous;
	*total_dead_rows = 0;
	velt_source_stop(source);
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
