/*
 * executor/tuple.c
 *		Rows of a page as values of PostgreSQL.
 *
 * A JSON string gives its characters, any other value its JSON text, to the
 * type's input function; json and jsonb get the JSON text of anything.  Text
 * is taken as it is.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuple.h"
#include "fmgr.h"
#include "foreign/report.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* A row's key in a message is cut to this. */
#define KEY_SHOWN_BYTES		128

/* A longer value takes too long to search for credentials. */
#define MAX_SEARCHED_BYTES	(64 * 1024)

typedef struct ColumnReader ColumnReader;

/* Makes a Datum of a value that is neither missing nor null. */
typedef Datum (*ConvertValue) (VeltTupleReader *reader, ColumnReader *column,
							   VeltPage *page, VeltJsonSpan span);

struct ColumnReader
{
	int			index;			/* of the attribute, from 0 */
	const char *name;
	VeltColumnSource source;
	int			value;			/* of the row's values, from 0 */
	bool		secret;
	bool		is_domain;		/* NULL must be checked too */
	Oid			type;
	int32		typmod;
	ConvertValue convert;

	/* of the type, or of an array's elements */
	FmgrInfo	input;
	Oid			ioparam;
	ConvertValue convert_element;
	Oid			element_type;
	int16		element_length;
	bool		element_by_value;
	char		element_align;
	void	   *domain_cache;	/* of a domain over an array */
};

struct VeltTupleReader
{
	MemoryContext context;
	const VeltCredentials *credentials;
	bool		is_utf8;		/* the database's encoding */
	ColumnReader *current;
	const char **pointers;
	int			npointers;
	int			natts;
	int			ncolumns;
	ColumnReader columns[FLEXIBLE_ARRAY_MEMBER];
};

/* ----------
 * Conversion
 * ----------
 */

/* The text a value stands for, NUL-terminated in the database's encoding. */
static char *
to_server(const char *bytes, size_t length, bool may_have_nul,
		  size_t *converted_length)
{
	char	   *converted;

	if (may_have_nul && memchr(bytes, '\0', length) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("text with a NUL character (\\u0000) cannot be stored")));
	/* the client has found it to be valid UTF-8 */
	converted = GetDatabaseEncoding() == PG_UTF8 ? (char *) bytes :
		pg_any_to_server(bytes, (int) length, PG_UTF8);
	*converted_length = converted == bytes ? length : strlen(converted);
	return converted;
}

/* A string's characters, or the JSON text of anything else. */
static VeltString
value_text(VeltPage *page, VeltJsonSpan span)
{
	VeltString	string;
	VeltError	error;

	if (span.kind != VELT_JSON_STRING)
		return velt_page_text(page, span);
	if (!velt_page_string(page, span, &string, &error))
		ereport(ERROR,
				(errcode(velt_report_sqlstate(&error)),
				 errmsg("value cannot be converted to text"),
				 errdetail_internal("%s", velt_report_detail(&error))));
	return string;
}

static inline Datum
make_text(const char *bytes, size_t length)
{
	text	   *result = palloc(length + VARHDRSZ);

	SET_VARSIZE(result, length + VARHDRSZ);
	memcpy(VARDATA(result), bytes, length);
	return PointerGetDatum(result);
}

static Datum
convert_text(VeltTupleReader *reader, ColumnReader *column pg_attribute_unused(),
			 VeltPage *page, VeltJsonSpan span)
{
	VeltString	string;
	size_t		length;
	char	   *bytes;

	/* nearly all text: it is there as it will be stored */
	if (span.kind == VELT_JSON_STRING && !span.escaped && reader->is_utf8)
	{
		string = velt_page_text(page, span);
		return make_text(string.bytes + 1, string.length - 2);
	}
	string = value_text(page, span);
	bytes = to_server(string.bytes, string.length, span.escaped, &length);
	return make_text(bytes, length);
}

static Datum
call_input(ColumnReader *column, VeltString string, bool may_have_nul)
{
	size_t		length;
	char	   *bytes = to_server(string.bytes, string.length, may_have_nul,
								  &length);

	return InputFunctionCall(&column->input, pnstrdup(bytes, length),
							 column->ioparam, column->typmod);
}

static Datum
convert_input(VeltTupleReader *reader pg_attribute_unused(),
			  ColumnReader *column, VeltPage *page, VeltJsonSpan span)
{
	return call_input(column, value_text(page, span), span.escaped);
}

static Datum
convert_json(VeltTupleReader *reader pg_attribute_unused(),
			 ColumnReader *column, VeltPage *page, VeltJsonSpan span)
{
	return call_input(column, velt_page_text(page, span), false);
}

static Datum
convert_array(VeltTupleReader *reader, ColumnReader *column, VeltPage *page,
			  VeltJsonSpan span)
{
	ArrayBuildState *state = initArrayResult(column->element_type,
											 CurrentMemoryContext, false);
	VeltJsonSpan element;
	VeltPageStatus status;
	VeltError	error;
	Datum		array;

	if (span.kind != VELT_JSON_ARRAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("value for a column of an array type is no JSON array")));
	velt_page_begin_array(page, span);
	while ((status = velt_page_next_element(page, &element,
											&error)) != VELT_PAGE_END)
	{
		bool		isnull = element.kind == VELT_JSON_NULL;

		CHECK_FOR_INTERRUPTS();
		if (status == VELT_PAGE_FAILED)
			elog(ERROR, "array changed while it was read: %s", error.detail);
		if (status == VELT_PAGE_FOUND)
			accumArrayResult(state,
							 isnull ? (Datum) 0 :
							 column->convert_element(reader, column, page,
													 element),
							 isnull, column->element_type,
							 CurrentMemoryContext);
	}
	array = makeArrayResult(state, CurrentMemoryContext);
	if (column->is_domain)
		domain_check(array, false, column->type, &column->domain_cache,
					 reader->context);
	return array;
}

/* ----------
 * Preparation
 * ----------
 */

static void
prepare_input(ColumnReader *column, Oid type)
{
	Oid			function;

	getTypeInputInfo(type, &function, &column->ioparam);
	fmgr_info(function, &column->input);
}

/* How values of a type that is no array are made. */
static ConvertValue
scalar_converter(ColumnReader *column, Oid type, Oid base_type)
{
	if (type == TEXTOID || (type == VARCHAROID && column->typmod < 0))
		return convert_text;
	prepare_input(column, type);
	return base_type == JSONOID || base_type == JSONBOID ?
		convert_json : convert_input;
}

static void
prepare_type(ColumnReader *column)
{
	int32		typmod = column->typmod;
	Oid			base_type = getBaseTypeAndTypmod(column->type, &typmod);
	Oid			element = get_element_type(base_type);

	column->is_domain = base_type != column->type;
	if (!OidIsValid(element) || column->source != VELT_FROM_ROW)
	{
		column->convert = scalar_converter(column, column->type, base_type);
		return;
	}
	column->typmod = typmod;
	column->element_type = element;
	get_typlenbyvalalign(element, &column->element_length,
						 &column->element_by_value, &column->element_align);
	column->convert = convert_array;
	column->convert_element = scalar_converter(column, element,
											   getBaseType(element));
}

VeltTupleReader *
velt_tuple_reader_create(Relation relation, const VeltTable *table,
						 List *attnums)
{
	TupleDesc	desc = RelationGetDescr(relation);
	Size		size = list_length(attnums) * sizeof(ColumnReader);
	VeltTupleReader *reader;
	ListCell   *lc;

	reader = palloc0(offsetof(VeltTupleReader, columns) + size);
	reader->context = CurrentMemoryContext;
	reader->natts = desc->natts;
	reader->is_utf8 = GetDatabaseEncoding() == PG_UTF8;
	reader->pointers = palloc(sizeof(char *) * Max(list_length(attnums), 1));
	foreach(lc, attnums)
	{
		int			index = lfirst_int(lc) - 1;
		Form_pg_attribute attr = TupleDescAttr(desc, index);
		const VeltTableColumn *from = &table->columns[index];
		ColumnReader *column = &reader->columns[reader->ncolumns++];

		column->index = index;
		column->name = NameStr(attr->attname);
		column->source = from->source;
		column->secret = from->secret;
		column->type = attr->atttypid;
		column->typmod = attr->atttypmod;
		column->value = reader->npointers;
		if (column->source == VELT_FROM_ROW)
			reader->pointers[reader->npointers++] = from->pointer;
		prepare_type(column);
	}
	return reader;
}

const char *const *
velt_tuple_reader_pointers(const VeltTupleReader *reader, int *npointers)
{
	*npointers = reader->npointers;
	return reader->pointers;
}

void
velt_tuple_reader_set_workspace(VeltTupleReader *reader,
								const VeltCredentials *credentials)
{
	reader->credentials = credentials;
}

/* ----------
 * Rows
 * ----------
 */

/* A value that is no part of the row: as if it were a string of it. */
static Datum
convert_known(ColumnReader *column, VeltString string)
{
	StringInfoData json;
	size_t		length;
	char	   *bytes;

	if (column->convert == convert_json)
	{
		initStringInfo(&json);
		escape_json(&json, pnstrdup(string.bytes, string.length));
		string.bytes = json.data;
		string.length = json.len;
	}
	if (column->convert != convert_text)
		return call_input(column, string, false);
	bytes = to_server(string.bytes, string.length, false, &length);
	return make_text(bytes, length);
}

static Datum
read_column(VeltTupleReader *reader, ColumnReader *column, VeltPage *page,
			bool *isnull)
{
	VeltString	workspace;
	VeltJsonSpan span;

	*isnull = false;
	switch (column->source)
	{
		case VELT_FROM_WORKSPACE:
			workspace.bytes = reader->credentials->workspace_id;
			workspace.length = strlen(workspace.bytes);
			return convert_known(column, workspace);
		case VELT_FROM_REQUEST:
			return convert_known(column, velt_page_key(page));
		case VELT_FROM_ROW:
			break;
	}

	span = velt_page_value(page, column->value);
	if (span.kind > VELT_JSON_NULL)
		return column->convert(reader, column, page, span);
	*isnull = true;
	if (!column->is_domain)
		return (Datum) 0;
	/* a domain may have something against NULL */
	domain_check((Datum) 0, true, column->type, &column->domain_cache,
				 reader->context);
	return (Datum) 0;
}

static void
read_columns(VeltTupleReader *reader, VeltPage *page, Datum *values,
			 bool *isnull)
{
	for (int i = 0; i < reader->ncolumns; i++)
	{
		ColumnReader *column = &reader->columns[i];

		reader->current = column;
		values[column->index] = read_column(reader, column, page,
											&isnull[column->index]);
	}
	reader->current = NULL;
}

/* Return whether an error about the current column may show a secret. */
static bool
must_hide(const VeltTupleReader *reader, VeltPage *page)
{
	const ColumnReader *column = reader->current;
	VeltString	text = velt_page_key(page);
	VeltJsonSpan span;

	if (column->secret || column->source == VELT_FROM_WORKSPACE)
		return true;
	if (column->source == VELT_FROM_ROW)
	{
		span = velt_page_value(page, column->value);
		if (span.kind == VELT_JSON_MISSING)
			return false;
		text = velt_page_text(page, span);
	}
	return velt_report_has_credentials(text.bytes, text.length,
									   reader->credentials);
}

/* Replace an error that may quote a secret by one with the same SQLSTATE. */
static void
hide_error(int sqlstate)
{
	int			category = ERRCODE_TO_CATEGORY(sqlstate);

	FlushErrorState();
	ereport(ERROR,
			(errcode(sqlstate),
			 category == ERRCODE_DATA_EXCEPTION ||
			 category == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ?
			 errmsg("value does not fit its column") :
			 errmsg("could not convert value"),
			 errdetail("The value is not shown, as it may be secret.")));
}

/* Remote text in a message, as all of it: cut, and without what steers. */
static char *
clean_message(const char *message, const VeltCredentials *credentials)
{
	char	   *clean = palloc(VELT_REMOTE_TEXT_BYTES + 1);

	if (message == NULL)
		return NULL;
	velt_error_clean_text(clean, VELT_REMOTE_TEXT_BYTES + 1, message,
						  strlen(message), credentials);
	return clean;
}

/* Rethrows the error at hand, which quotes a value of any length. */
static void
clean_error(const VeltCredentials *credentials)
{
	ErrorData  *edata = CopyErrorData();

	FlushErrorState();
	edata->message = clean_message(edata->message, credentials);
	edata->detail = clean_message(edata->detail, credentials);
	edata->hint = clean_message(edata->hint, credentials);
	ReThrowError(edata);
}

void
velt_tuple_read(VeltTupleReader *reader, VeltPage *page, Datum *values,
				bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;

	memset(isnull, true, reader->natts * sizeof(bool));
	PG_TRY();
	{
		read_columns(reader, page, values, isnull);
	}
	PG_CATCH();
	{
		/* a cancel quotes no value, and has no time to lose */
		if (reader->current == NULL || velt_report_is_cancel())
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		if (must_hide(reader, page))
			hide_error(geterrcode());
		clean_error(reader->credentials);
	}
	PG_END_TRY();
}

bool
velt_tuple_reader_is_reading(const VeltTupleReader *reader)
{
	return reader->current != NULL;
}

void
velt_tuple_reader_describe(const VeltTupleReader *reader, VeltPage *page,
						   const char *table_name)
{
	char		key[KEY_SHOWN_BYTES];
	VeltString	row_key;

	/* looking for the key takes time that a cancel does not give */
	if (reader->current == NULL || page == NULL || velt_report_is_cancel())
	{
		errcontext("foreign table \"%s\"", table_name);
		return;
	}
	row_key = velt_page_row_key(page);
	velt_error_clean_text(key, sizeof(key), row_key.bytes, row_key.length,
						  reader->credentials);
	for (char *at = key; GetDatabaseEncoding() != PG_UTF8 && *at; at++)
	{
		if (IS_HIGHBIT_SET(*at))
			*at = '?';
	}
	errcontext("column \"%s\" of foreign table \"%s\", row of \"%s\"",
			   reader->current->name, table_name, key);
}
