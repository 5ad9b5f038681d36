/*
 * velt_fdw.h
 *		What all of the extension knows of itself.
 */
#ifndef VELT_FDW_H
#define VELT_FDW_H

#define VELT_FDW_VERSION	"1.0"

#endif							/* VELT_FDW_H */
