/*
 * commands/commands.h
 *		Callbacks that stand behind a user's command.
 *
 * One header for all: PostgreSQL's own commands/explain.h has the name that
 * another would have.
 */
#ifndef VELT_COMMANDS_COMMANDS_H
#define VELT_COMMANDS_COMMANDS_H

#include "postgres.h"

#include "commands/explain.h"
#include "foreign/fdwapi.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"

/* analyze.c */
extern bool veltAnalyzeForeignTable(Relation relation,
									AcquireSampleRowsFunc *func,
									BlockNumber *total_pages);

/* explain.c */
extern void veltExplainForeignScan(ForeignScanState *node,
								   struct ExplainState *es);
extern void velt_explain_batch_join(CustomScanState *node, List *ancestors,
									struct ExplainState *es);

/* import.c */
extern List *veltImportForeignSchema(ImportForeignSchemaStmt *stmt,
									 Oid server_oid);

#endif							/* VELT_COMMANDS_COMMANDS_H */
