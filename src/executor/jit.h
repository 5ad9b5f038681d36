/*
 * executor/jit.h
 *		Whether compiling a query's expressions is worth it.
 */
#ifndef VELT_EXECUTOR_JIT_H
#define VELT_EXECUTOR_JIT_H

/* To be called once, when the library is loaded. */
extern void velt_jit_install(void);

#endif							/* VELT_EXECUTOR_JIT_H */
