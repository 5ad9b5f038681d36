/*
 * optimizer/statistics.h
 *		What is known of columns that ANALYZE has not looked at, or cannot
 *		tell of.
 */
#ifndef VELT_OPTIMIZER_STATISTICS_H
#define VELT_OPTIMIZER_STATISTICS_H

/* To be called when the module is loaded. */
extern void velt_statistics_init(void);

#endif							/* VELT_OPTIMIZER_STATISTICS_H */
