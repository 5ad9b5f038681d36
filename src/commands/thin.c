/*
 * commands/thin.c
 *		All rows of some keys, thinned to the likeness of a sample of all rows.
 *
 * PostgreSQL takes what ANALYZE gives it for a random sample of the table's
 * rows, and infers from the values that repeat how many different ones the
 * table has.  In such a sample of a large table hardly two rows are of the
 * same key; where rows come key by key, most are, and the table would seem to
 * have no other keys than those that were looked at.  So one row is kept of a
 * key, and only so many further ones that the inference comes out right: for
 * the key, and for whatever else the rows of a key have in common.
 *
 * Knows nothing of what a row is.
 */
#include "postgres.h"

#include <math.h>

#include "commands/thin.h"
#include "common/pg_prng.h"

/* Fewer rows than this say little about the other columns. */
#define MIN_ROWS		100.0

/* The sample as far as it goes, and the table it stands for. */
typedef struct Thinning
{
	const int  *keys;
	int			nrows;
	int			nkeys;
	double		all_keys;
	double		all_rows;

	int		   *order;			/* the rows at random */
	int		   *sizes;			/* how many rows each key has */
	int		   *copies;			/* how many of them are kept */
	bool	   *kept;			/* by row */

	double		rows;			/* that are kept */
	double		distinct;		/* keys that they are of */
	double		single;			/* keys that one of them is of */
} Thinning;

/*
 * How many keys PostgreSQL will think there are, in a sample of so many rows:
 * the estimator Duj1 of Haas and Stokes, see compute_scalar_stats.
 */
static double
estimated_keys(const Thinning *thinning, double rows, double single)
{
	if (rows == single)
		return thinning->all_rows;
	return rows * thinning->distinct /
		(rows - single + single * rows / thinning->all_rows);
}

/* How wrong that is, whichever way. */
static double
estimate_error(const Thinning *thinning, double rows, double single)
{
	return fabs(log(estimated_keys(thinning, rows, single) /
					thinning->all_keys));
}

static void
shuffle_rows(Thinning *thinning)
{
	for (int i = 0; i < thinning->nrows; i++)
	{
		int			j = (int) pg_prng_uint64_range(&pg_global_prng_state, 0, i);

		thinning->order[i] = thinning->order[j];
		thinning->order[j] = i;
	}
}

/* How many keys a cut at "size" leaves, if it takes them as keep_one does. */
static double
keys_left(const Thinning *thinning, double size)
{
	double		left = 0;

	for (int i = 0; i < thinning->nkeys; i++)
		left += Min(1, thinning->sizes[i] / size);
	return left;
}

/*
 * A key that has twice as many rows as another should be twice as likely to
 * give one, up to the size where too few would be left: too few to look at,
 * or so few that a single repetition says too much.  (With d rows, two of
 * them of the same key, the estimate is about d * d / 2.)
 */
static double
size_of_certainty(const Thinning *thinning)
{
	double		parts = 1 / thinning->all_keys - 1 / thinning->all_rows;
	double		wanted = (parts > 0 ? Max(MIN_ROWS, sqrt(2 / parts)) :
						  thinning->nkeys);
	double		size = 1;

	for (int i = 0; i < thinning->nkeys; i++)
		size = Max(size, thinning->sizes[i]);
	while (size > 1 && keys_left(thinning, size) < wanted)
		size = Max(1, size * 0.9);
	return size;
}

static void
keep(Thinning *thinning, int row)
{
	int			copies = thinning->copies[thinning->keys[row]]++;

	thinning->kept[row] = true;
	thinning->rows++;
	if (copies == 0)
		thinning->distinct++;
	if (copies <= 1)
		thinning->single += copies == 0 ? 1 : -1;
}

/* At most one row of each key. */
static void
keep_one(Thinning *thinning)
{
	double		certain = size_of_certainty(thinning);
	bool	   *decided = palloc0(thinning->nkeys * sizeof(bool));

	for (int i = 0; i < thinning->nrows; i++)
	{
		int			row = thinning->order[i];
		int			key = thinning->keys[row];

		if (!decided[key] &&
			pg_prng_double(&pg_global_prng_state) <
			thinning->sizes[key] / certain)
			keep(thinning, row);
		decided[key] = true;
	}
	pfree(decided);
}

/* More rows of the same keys, as long as the estimate gets better. */
static void
keep_more(Thinning *thinning)
{
	for (int i = 0; i < thinning->nrows; i++)
	{
		int			row = thinning->order[i];
		int			copies = thinning->copies[thinning->keys[row]];
		double		single = thinning->single - (copies == 1 ? 1 : 0);

		if (copies > 0 && !thinning->kept[row] &&
			estimate_error(thinning, thinning->rows + 1, single) <
			estimate_error(thinning, thinning->rows, thinning->single))
			keep(thinning, row);
	}
}

bool *
velt_thin_rows(const int *keys, int nrows, int nkeys, double all_keys,
			   double all_rows)
{
	Thinning	thinning = {
		.keys = keys,
		.nrows = nrows,
		.nkeys = nkeys,
		.all_keys = all_keys,
		.all_rows = all_rows,
		.order = palloc(nrows * sizeof(int)),
		.sizes = palloc0(nkeys * sizeof(int)),
		.copies = palloc0(nkeys * sizeof(int)),
		.kept = palloc0(nrows * sizeof(bool))
	};

	for (int i = 0; i < nrows; i++)
		thinning.sizes[keys[i]]++;
	shuffle_rows(&thinning);
	keep_one(&thinning);
	keep_more(&thinning);
	pfree(thinning.order);
	pfree(thinning.sizes);
	pfree(thinning.copies);
	return thinning.kept;
}
