/*
 * executor/filter_keys.c
 *		The values of remote quals as the keys to ask for.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/filter_keys.h"
#include "foreign/scan_plan.h"
#include "lib/qunique.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

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

/* Adds a text; no API key has an empty id, and the API refuses to be asked. */
static void
add_key(VeltKeys *keys, Datum value)
{
	text	   *key = DatumGetTextPP(value);
	char	   *bytes = VARDATA_ANY(key);
	size_t		length = VARSIZE_ANY_EXHDR(key);
	char	   *converted;

	if (length == 0)
		return;
	converted = pg_server_to_any(bytes, (int) length, PG_UTF8);
	keys->items[keys->nitems].bytes = converted;
	keys->items[keys->nitems].length = converted == bytes ?
		length : strlen(converted);
	keys->nitems++;
}

static void
add_array(VeltKeys *keys, Datum value)
{
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &nelements);
	keys->items = palloc(sizeof(VeltString) * Max(nelements, 1));
	for (int i = 0; i < nelements; i++)
	{
		if (!nulls[i])
			add_key(keys, elements[i]);
	}
}

/* The keys that one filter allows. */
static VeltKeys
evaluate(ExprState *value, VeltFilterKind kind, ExprContext *econtext)
{
	VeltKeys	keys = {NULL, 0};
	bool		isnull;
	Datum		datum = ExecEvalExpr(value, econtext, &isnull);

	if (isnull)
		return keys;
	if (kind == VELT_FILTER_ANY)
		add_array(&keys, datum);
	else
	{
		keys.items = palloc(sizeof(VeltString));
		add_key(&keys, datum);
	}
	if (keys.nitems > 1)
	{
		qsort(keys.items, keys.nitems, sizeof(VeltString), compare_keys);
		keys.nitems = qunique(keys.items, keys.nitems, sizeof(VeltString),
							  compare_keys);
	}
	return keys;
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

VeltKeys
velt_filter_keys_evaluate(List *values, List *kinds, ExprContext *econtext)
{
	VeltKeys	keys = {NULL, 0};
	ListCell   *value;
	ListCell   *kind;

	forboth(value, values, kind, kinds)
	{
		VeltKeys	allowed = evaluate(lfirst(value), lfirst_int(kind),
									   econtext);

		if (value == list_head(values))
			keys = allowed;
		else
			intersect(&keys, &allowed);
	}
	return keys;
}
