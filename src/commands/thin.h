/*
 * commands/thin.h
 *		All rows of some keys, thinned to the likeness of a sample of all rows.
 */
#ifndef VELT_COMMANDS_THIN_H
#define VELT_COMMANDS_THIN_H

#include "postgres.h"

/*
 * Which of the rows to keep, as a palloc'd array; keys[i], from 0 to nkeys - 1,
 * is the one that row i is of.  The table has all_rows in all, of all_keys
 * different keys.
 */
extern bool *velt_thin_rows(const int *keys, int nrows, int nkeys,
							double all_keys, double all_rows);

#endif							/* VELT_COMMANDS_THIN_H */
