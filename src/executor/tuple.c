/*
 * executor/tuple.c
 *		Rows of a page as values of PostgreSQL.
 *
 * A JSON string gives its characters, any other value its JSON text, to the
 * type's input function; json and jsonb get the JSON text of anything.  Text
 * is taken as it is.
 */
#include "postgres.h"

#include "access/tupmacs.h"
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

/*
 * The part of a value that is copied, decoded or converted between two checks
 * for interrupts: few milliseconds of work.
 */
#define SLICE_BYTES			((Size) 256 * 1024)

/*
 * The longest text for an input function, which cannot be interrupted, may
 * need many times the memory, and quotes the whole text in its error.  That
 * of jsonb needs up to 100 ms for 1 MB.
 */
#define MAX_INPUT_BYTES		((Size) 512 * 1024)

/* The most that one character takes in JSON: a pair of \uXXXX. */
#define MAX_ESCAPED_BYTES	12

/* Bytes in which the end of a slice avoids a combining character. */
#define MAX_COMBINED		64

#define IS_CONTINUATION(c)	(((c) & 0xC0) == 0x80)

typedef struct ColumnReader
{
	int			index;			/* of the attribute, from 0 */
	const char *name;
	VeltColumnSource source;
	int			value;			/* of the row's values, from 0 */
	bool		secret;
	bool		is_domain;		/* NULL must be checked too */
	bool		is_array;		/* of a JSON array's elements */
	Oid			type;
	int32		typmod;
	void	   *domain_cache;	/* for NULL, or of a domain over an array */

	/* of the type, or of an array's elements */
	bool		takes_json;		/* JSON text, not the characters of a string */
	bool		is_text;		/* the value is its text: no input function */
	PGFunction	fit;			/* to the type's length, or NULL */
	Size		most;			/* bytes of text */
	FmgrInfo	input;
	Oid			ioparam;
	Oid			element_type;
	int16		element_length;
	bool		element_by_value;
	char		element_align;
} ColumnReader;

struct VeltTupleReader
{
	MemoryContext context;
	MemoryContext element_context;	/* of an array's current element */
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

/* Copy a value, which may be as long as a response. */
static void
copy_bytes(char *to, const char *from, Size length)
{
	while (length > SLICE_BYTES)
	{
		memcpy(to, from, SLICE_BYTES);
		to += SLICE_BYTES;
		from += SLICE_BYTES;
		length -= SLICE_BYTES;
		CHECK_FOR_INTERRUPTS();
	}
	memcpy(to, from, length);
}

/*
 * Decode the characters of a JSON string without its quotes, in UTF-8, to
 * memory for as many bytes; return how many there are.
 */
static Size
decode_string(char *to, const char *from, Size length)
{
	const char *end = from + length;
	char	   *at = to;
	VeltError	error;

	while (from < end)
	{
		if (!velt_json_decode_some(&from, end, SLICE_BYTES, &at, &error))
			ereport(ERROR,
					(errcode(velt_report_sqlstate(&error)),
					 errmsg("value cannot be converted to text"),
					 errdetail_internal("%s", velt_report_detail(&error))));
		CHECK_FOR_INTERRUPTS();
	}
	if (memchr(to, '\0', at - to) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
				 errmsg("text with a NUL character (\\u0000) cannot be stored")));
	return at - to;
}

/*
 * Return whether a character may form one with the character before it:
 * U+02E5, U+02E9, U+0300, U+0301 and U+309A do in EUC_JIS_2004.
 */
static bool
may_combine(const char *utf8)
{
	const unsigned char *c = (const unsigned char *) utf8;

	return (c[0] == 0xCB && (c[1] == 0xA5 || c[1] == 0xA9)) ||
		(c[0] == 0xCC && (c[1] == 0x80 || c[1] == 0x81)) ||
		(c[0] == 0xE3 && c[1] == 0x82 && c[2] == 0x9A);
}

/* Return how much of UTF-8 text to convert at a time: whole characters. */
static Size
slice_of_text(const char *utf8, Size length)
{
	Size		slice = SLICE_BYTES;

	if (length <= SLICE_BYTES)
		return length;
	while (slice > SLICE_BYTES - MAX_COMBINED &&
		   (IS_CONTINUATION(utf8[slice]) || may_combine(utf8 + slice)))
		slice--;
	/* no language has so many in a row */
	while (IS_CONTINUATION(utf8[slice]))
		slice--;
	return slice;
}

/* Return UTF-8 text in the database's encoding, behind so much room. */
static char *
encode_text(const char *utf8, Size room, Size *length)
{
	StringInfoData text;
	Size		left = *length;

	initStringInfo(&text);
	enlargeStringInfo(&text, (int) (room + left));
	text.len = (int) room;
	while (left > 0)
	{
		Size		slice = slice_of_text(utf8, left);
		char	   *converted = pg_any_to_server(utf8, (int) slice, PG_UTF8);

		appendBinaryStringInfo(&text, converted, converted == utf8 ?
							   (int) slice : (int) strlen(converted));
		if (converted != utf8)
			pfree(converted);
		utf8 += slice;
		left -= slice;
		CHECK_FOR_INTERRUPTS();
	}
	*length = text.len - room;
	return text.data;
}

/*
 * Return a value's text in the database's encoding, NUL-terminated, behind so
 * much room.  "escaped" is whether it is that of a JSON string, with escapes.
 */
static char *
make_chars(const VeltTupleReader *reader, VeltString json, bool escaped,
		   Size room, Size *length)
{
	char	   *result;

	*length = json.length;
	if (!escaped && !reader->is_utf8)
		result = encode_text(json.bytes, room, length);
	else
	{
		result = palloc(room + json.length + 1);
		if (escaped)
			*length = decode_string(result + room, json.bytes, json.length);
		else
			copy_bytes(result + room, json.bytes, json.length);
		if (!reader->is_utf8)
			result = encode_text(result + room, room, length);
	}
	result[room + *length] = '\0';
	return result;
}

static void
refuse_long(const ColumnReader *column, Size length)
{
	Oid			type = column->is_array ? column->element_type : column->type;

	ereport(ERROR,
			(errcode(column->is_text ? ERRCODE_STRING_DATA_RIGHT_TRUNCATION :
					 ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("value of %zu bytes is too long for type %s", length,
					format_type_with_typemod(type, column->typmod)),
			 errhint("Columns of type text or json take longer values.")));
}

/* Make a value of a scalar type from its text. */
static Datum
make_value(const VeltTupleReader *reader, ColumnReader *column,
		   VeltString json, bool escaped)
{
	Size		length;
	char	   *chars;

	if (json.length > column->most)
		refuse_long(column, json.length);
	chars = make_chars(reader, json, escaped, column->is_text ? VARHDRSZ : 0,
					   &length);
	if (!column->is_text)
		return InputFunctionCall(&column->input, chars, column->ioparam,
								 column->typmod);
	SET_VARSIZE(chars, length + VARHDRSZ);
	if (column->fit == NULL)
		return PointerGetDatum(chars);
	return DirectFunctionCall3(column->fit, PointerGetDatum(chars),
							   Int32GetDatum(column->typmod),
							   BoolGetDatum(false));
}

/* Convert a value to the column's type, or to that of its elements. */
static Datum
convert_scalar(const VeltTupleReader *reader, ColumnReader *column,
			   VeltPage *page, VeltJsonSpan span)
{
	VeltString	json = velt_page_text(page, span);
	bool		is_string = (span.kind == VELT_JSON_STRING &&
							 !column->takes_json);

	if (is_string)
	{
		json.bytes++;
		json.length -= 2;
	}
	return make_value(reader, column, json, is_string && span.escaped);
}

/* ----------
 * Arrays
 *
 * Each element is added to the array's final form as soon as it is converted,
 * so that no step takes longer with the number of elements, and no element is
 * kept twice.
 * ----------
 */

typedef struct ArrayBuilder
{
	StringInfoData data;		/* room for a header, and the elements */
	StringInfoData bitmap;		/* a bit an element: 0 for NULL */
	int			nelements;
	bool		has_nulls;
} ArrayBuilder;

static void
begin_array(ArrayBuilder *builder)
{
	initStringInfo(&builder->data);
	builder->data.len = ARR_OVERHEAD_NONULLS(1);
	initStringInfo(&builder->bitmap);
	builder->nelements = 0;
	builder->has_nulls = false;
}

static void
add_to_bitmap(ArrayBuilder *builder, bool isnull)
{
	int			bit = builder->nelements++ % BITS_PER_BYTE;

	if (bit == 0)
		appendStringInfoChar(&builder->bitmap, '\0');
	if (isnull)
		builder->has_nulls = true;
	else
		builder->bitmap.data[builder->bitmap.len - 1] |= 1 << bit;
}

/* Add an element, aligned as arrays have it. */
static void
add_value(ArrayBuilder *builder, const ColumnReader *column, Datum value)
{
	StringInfo	data = &builder->data;
	Size		size;
	Size		aligned;
	char	   *to;

	if (column->element_length == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM(value));
	size = att_addlength_datum((Size) 0, column->element_length, value);
	aligned = att_align_nominal(size, column->element_align);
	if (!AllocSizeIsValid(data->len + aligned))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("array size exceeds the maximum allowed (%d)",
						(int) MaxAllocSize)));
	enlargeStringInfo(data, (int) aligned);
	to = data->data + data->len;
	if (column->element_by_value)
		store_att_byval(to, value, column->element_length);
	else
		copy_bytes(to, DatumGetPointer(value), size);
	memset(to + size, 0, aligned - size);
	data->len += (int) aligned;
}

/* Return the array's memory: with NULLs, their bitmap goes before the data. */
static ArrayType *
place_bitmap(const ArrayBuilder *builder, int32 *data_offset)
{
	Size		header = ARR_OVERHEAD_NONULLS(1);
	Size		offset = ARR_OVERHEAD_WITHNULLS(1, builder->nelements);
	Size		length = builder->data.len - header;
	char	   *array;

	*data_offset = 0;
	if (!builder->has_nulls)
		return (ArrayType *) builder->data.data;
	*data_offset = (int32) offset;
	array = palloc(offset + length);
	memset(array, 0, offset);
	copy_bytes(array + header, builder->bitmap.data, builder->bitmap.len);
	copy_bytes(array + offset, builder->data.data + header, length);
	return (ArrayType *) array;
}

static Datum
finish_array(const ArrayBuilder *builder, Oid element_type)
{
	Size		length = builder->data.len;
	int32		data_offset;
	ArrayType  *array;

	if (builder->nelements == 0)
		return PointerGetDatum(construct_empty_array(element_type));
	/* raises an error for more than an array can have */
	(void) ArrayGetNItems(1, &builder->nelements);
	array = place_bitmap(builder, &data_offset);
	if (data_offset > 0)
		length += data_offset - ARR_OVERHEAD_NONULLS(1);
	SET_VARSIZE(array, length);
	array->ndim = 1;
	array->dataoffset = data_offset;
	array->elemtype = element_type;
	ARR_DIMS(array)[0] = builder->nelements;
	ARR_LBOUND(array)[0] = 1;
	return PointerGetDatum(array);
}

/* Convert an element, and add it. */
static void
add_element(ArrayBuilder *builder, const VeltTupleReader *reader,
			ColumnReader *column, VeltPage *page, VeltJsonSpan element)
{
	MemoryContext old;
	Datum		value;

	add_to_bitmap(builder, element.kind == VELT_JSON_NULL);
	if (element.kind == VELT_JSON_NULL)
		return;
	MemoryContextReset(reader->element_context);
	old = MemoryContextSwitchTo(reader->element_context);
	value = convert_scalar(reader, column, page, element);
	add_value(builder, column, value);
	MemoryContextSwitchTo(old);
}

static Datum
convert_array(const VeltTupleReader *reader, ColumnReader *column,
			  VeltPage *page, VeltJsonSpan span)
{
	VeltJsonSpan element;
	VeltPageStatus status;
	ArrayBuilder builder;
	VeltError	error;
	Datum		array;

	if (span.kind != VELT_JSON_ARRAY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("value for a column of an array type is no JSON array")));
	begin_array(&builder);
	velt_page_begin_array(page, span);
	while ((status = velt_page_next_element(page, &element,
											&error)) != VELT_PAGE_END)
	{
		CHECK_FOR_INTERRUPTS();
		if (status == VELT_PAGE_FAILED)
			elog(ERROR, "array changed while it was read: %s", error.detail);
		if (status == VELT_PAGE_FOUND)
			add_element(&builder, reader, column, page, element);
	}
	MemoryContextReset(reader->element_context);
	array = finish_array(&builder, column->element_type);
	if (column->is_domain)
		domain_check(array, false, column->type, &column->domain_cache,
					 reader->context);
	return array;
}

/* ----------
 * Preparation
 * ----------
 */

/*
 * Prepare for values of a scalar type.  The client has checked the response by
 * the rules that type json has, so json needs no input function.
 */
static void
prepare_scalar(ColumnReader *column, Oid type, Oid base_type)
{
	Oid			function;

	column->takes_json = base_type == JSONOID || base_type == JSONBOID;
	column->is_text = type == TEXTOID || type == JSONOID ||
		type == VARCHAROID || type == BPCHAROID;
	column->most = column->is_text ? MaxAllocSize : MAX_INPUT_BYTES;
	if ((type == VARCHAROID || type == BPCHAROID) && column->typmod >= 0)
	{
		column->fit = type == VARCHAROID ? varchar : bpchar;
		column->most = Max(MAX_INPUT_BYTES,
						   MAX_ESCAPED_BYTES * (Size) column->typmod);
	}
	if (column->is_text)
		return;
	getTypeInputInfo(type, &function, &column->ioparam);
	fmgr_info(function, &column->input);
}

static void
prepare_type(ColumnReader *column)
{
	int32		typmod = column->typmod;
	Oid			base_type = getBaseTypeAndTypmod(column->type, &typmod);
	Oid			element = get_element_type(base_type);

	column->is_domain = base_type != column->type;
	column->is_array = OidIsValid(element) && column->source == VELT_FROM_ROW;
	if (!column->is_array)
	{
		prepare_scalar(column, column->type, base_type);
		return;
	}
	column->typmod = typmod;
	column->element_type = element;
	get_typlenbyvalalign(element, &column->element_length,
						 &column->element_by_value, &column->element_align);
	prepare_scalar(column, element, getBaseType(element));
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
	reader->element_context =
		AllocSetContextCreate(CurrentMemoryContext, "velt_fdw array element",
							  ALLOCSET_SMALL_SIZES);
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

/* Convert a value from outside the row, as if it were a string of the row. */
static Datum
convert_known(const VeltTupleReader *reader, ColumnReader *column,
			  VeltString string)
{
	StringInfoData json;

	if (column->takes_json)
	{
		initStringInfo(&json);
		escape_json(&json, pnstrdup(string.bytes, string.length));
		string.bytes = json.data;
		string.length = json.len;
	}
	return make_value(reader, column, string, false);
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
			return convert_known(reader, column, workspace);
		case VELT_FROM_REQUEST:
			return convert_known(reader, column, velt_page_key(page));
		case VELT_FROM_ROW:
			break;
	}

	span = velt_page_value(page, column->value);
	if (span.kind > VELT_JSON_NULL)
		return column->is_array ?
			convert_array(reader, column, page, span) :
			convert_scalar(reader, column, page, span);
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
