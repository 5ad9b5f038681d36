/*
 * optimizer/batch_join.h
 *		Plans for a join that asks for the keys of many outer rows together.
 */
#ifndef VELT_OPTIMIZER_BATCH_JOIN_H
#define VELT_OPTIMIZER_BATCH_JOIN_H

#include "postgres.h"

/* velt_fdw.enable_batch_join */
extern bool velt_enable_batch_join;

/* Has the planner consider them from now on. */
extern void velt_batch_join_install(void);

#endif							/* VELT_OPTIMIZER_BATCH_JOIN_H */
