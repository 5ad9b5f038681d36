/*
 * executor/filter_keys.c
 *		The values of remote quals as the keys to ask for.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/filter_keys.h"
#include "lib/qunique.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

static int
compare_keys(const void *a, const void *b)
{
	const VeltString *left = a;
	const VeltString *right = b;
	int			order = memcmp(left->bytes, right->bytes,
							   Min(left->length, right->length));

	if (order != 0)
		return order;
	return left->length < right->length ? -1 : left->length > right->length;
}

/*
 * The text as UTF-8, with its length; NULL where it has no such form.  That is
 * no error, as it is none elsewhere: no API key is equal to it.
 */
static char *
to_utf8(char *bytes, int length, size_t *converted_length)
{
	int			encoding = GetDatabaseEncoding();
	int			size = length * MAX_CONVERSION_GROWTH + 1;
	char	   *converted;
	Oid			conversion;

	*converted_length = length;
	if (encoding == PG_UTF8)
		return bytes;
	if (encoding == PG_SQL_ASCII)
		return pg_verify_mbstr(PG_UTF8, bytes, length, true) ? bytes : NULL;
	conversion = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(conversion))
		return NULL;
	converted = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, encoding, PG_UTF8,
									  (unsigned char *) bytes, length,
									  (unsigned char *) converted, size,
									  true) < length)
		return NULL;
	*converted_length = strlen(converted);
	return converted;
}

/*
 * No API key has an empty id or one longer than a header can be, and the API
 * refuses to be asked for them.
 */
#define MAX_KEY_BYTES		8192

bool
velt_filter_key(Datum value, VeltString *key)
{
	text	   *key_text = DatumGetTextPP(value);
	char	   *bytes = VARDATA_ANY(key_text);
	size_t		length = VARSIZE_ANY_EXHDR(key_text);

	if (length == 0 || length > MAX_KEY_BYTES)
		return false;
	key->bytes = to_utf8(bytes, (int) length, &key->length);
	return key->bytes != NULL;
}

static void
add_key(VeltKeys *keys, Datum value)
{
	if (velt_filter_key(value, &keys->items[keys->nitems]))
		keys->nitems++;
}

static void
reserve(VeltKeys *keys, size_t more)
{
	Size		size = (keys->nitems + Max(more, 1)) * sizeof(VeltString);

	keys->items = keys->items ? repalloc_huge(keys->items, size) :
		MemoryContextAllocHuge(CurrentMemoryContext, size);
}

static void
add_array(VeltKeys *keys, Datum value)
{
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &nelements);
	reserve(keys, nelements);
	for (int i = 0; i < nelements; i++)
	{
		if (!nulls[i])
			add_key(keys, elements[i]);
	}
}

/* Adds the keys that one value stands for. */
static void
add_value(VeltKeys *keys, ExprState *value, VeltFilterKind kind,
		  ExprContext *econtext)
{
	bool		isnull;
	Datum		datum = ExecEvalExpr(value, econtext, &isnull);

	if (isnull)
		return;
	if (kind == VELT_FILTER_ANY)
		add_array(keys, datum);
	else
	{
		reserve(keys, 1);
		add_key(keys, datum);
	}
}

static void
make_distinct(VeltKeys *keys)
{
	if (keys->nitems <= 1)
		return;
	qsort(keys->items, keys->nitems, sizeof(VeltString), compare_keys);
	keys->nitems = qunique(keys->items, keys->nitems, sizeof(VeltString),
						   compare_keys);
}

/* Keeps of "keys" what is in "others" too; both are sorted. */
static void
intersect(VeltKeys *keys, const VeltKeys *others)
{
	size_t		kept = 0;
	size_t		other = 0;

	for (size_t i = 0; i < keys->nitems; i++)
	{
		while (other < others->nitems &&
			   compare_keys(&others->items[other], &keys->items[i]) < 0)
			other++;
		if (other < others->nitems &&
			compare_keys(&others->items[other], &keys->items[i]) == 0)
			keys->items[kept++] = keys->items[i];
	}
	keys->nitems = kept;
}

bool
velt_filter_keys_evaluate(const VeltScanPlan *plan, List *values,
						  VeltFilterTarget target, ExprContext *econtext,
						  VeltKeys *keys)
{
	bool		restricted = false;

	for (int i = 0; i < plan->nterms;)
	{
		const VeltFilterTerm *first = &plan->terms[i];
		VeltKeys	allowed = {NULL, 0};

		/* values of one qual are alternatives */
		for (; i < plan->nterms && plan->terms[i].qual == first->qual; i++)
		{
			if (first->target == target)
				add_value(&allowed, list_nth(values, i), plan->terms[i].kind,
						  econtext);
		}
		if (first->target != target)
			continue;
		make_distinct(&allowed);
		if (restricted)
			intersect(keys, &allowed);
		else
			*keys = allowed;
		restricted = true;
	}
	return restricted;
}

bool
velt_filter_keys_contain(const VeltKeys *keys, VeltString key)
{
	return keys->nitems > 0 &&
		bsearch(&key, keys->items, keys->nitems, sizeof(VeltString),
				compare_keys) != NULL;
}
