/*
 * optimizer/relation.c
 *		A foreign table in the planner: its size, its cost and its paths.
 *
 * What costs is requests: a row costs what any row costs, a request what the
 * server's request_cost says, divided by how many are under way together.
 */
#include "postgres.h"

#include <math.h>

#include "access/sysattr.h"
#include "access/table.h"
#include "foreign/column.h"
#include "foreign/option.h"
#include "foreign/scan_plan.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/qual.h"
#include "optimizer/relation.h"
#include "optimizer/restrictinfo.h"
#include "pg_compat.h"
#include "utils/rel.h"

/* What is assumed of a workspace that nobody has looked at. */
#define DEFAULT_KEYS			1000.0
#define DEFAULT_TOKENS_PER_KEY	2.0

typedef struct VeltRelation
{
	VeltSettings settings;
	VeltTable  *table;
	List	   *filters;		/* VeltFilters */
} VeltRelation;

/* All rows of the resource, as far as is known. */
static double
total_rows(RelOptInfo *rel, const VeltResource *resource)
{
	if (resource->rows == VELT_ONE_OBJECT)
		return 1;
	/* ANALYZE has counted them */
	if (rel->tuples > 0)
		return rel->tuples;
	return resource->parent ? DEFAULT_KEYS * DEFAULT_TOKENS_PER_KEY :
		DEFAULT_KEYS;
}

void
veltGetForeignRelSize(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	VeltRelation *info = palloc0(sizeof(VeltRelation));
	Relation	relation = table_open(relid, NoLock);

	velt_table_settings(relid, &info->settings);
	info->table = velt_table_describe(relation, info->settings.resource);
	table_close(relation, NoLock);
	info->filters = velt_qual_filters(rel, info->table,
									  rel->baserestrictinfo);
	rel->fdw_private = info;

	rel->tuples = total_rows(rel, info->settings.resource);
	set_baserel_size_estimates(root, rel);
}

/* How many requests answer the query, "keys" < 0 standing for all. */
static double
estimate_requests(const VeltRelation *info, double tuples, double keys)
{
	const VeltResource *resource = info->settings.resource;

	if (keys >= 0)
		return ceil(keys / resource->filter_max);
	if (resource->parent)
		return DEFAULT_KEYS / VELT_MAX_PAGE_SIZE +
			Max(1, tuples / DEFAULT_TOKENS_PER_KEY);
	if (resource->paged)
		return Max(1, ceil(tuples / info->settings.page_size));
	return 1;
}

void
veltGetForeignPaths(PlannerInfo *root, RelOptInfo *rel,
					Oid relid pg_attribute_unused())
{
	VeltRelation *info = rel->fdw_private;
	const VeltResource *resource = info->settings.resource;
	double		keys = velt_qual_estimate_keys(root, info->filters);
	double		requests = estimate_requests(info, rel->tuples, keys);
	double		rows = keys < 0 ? rel->tuples : Min(rel->tuples,
													keys * DEFAULT_TOKENS_PER_KEY);
	bool		concurrent = keys >= 0 || resource->parent;
	double		rounds = concurrent ?
		ceil(requests / info->settings.max_concurrency) : requests;
	Cost		startup = info->settings.request_cost +
		rel->baserestrictcost.startup;
	Cost		total = startup +
		Max(0, rounds - 1) * info->settings.request_cost +
		rows * (cpu_tuple_cost + rel->baserestrictcost.per_tuple);

	add_path(rel, (Path *)
			 velt_compat_foreign_path(root, rel, rel->rows, startup, total,
									  NULL, NIL));
}

/* The numbers of the columns that the query looks at. */
static List *
columns_needed(RelOptInfo *rel, const VeltTable *table)
{
	Bitmapset  *used = NULL;
	List	   *attnums = NIL;
	bool		all;
	ListCell   *lc;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &used);
	foreach(lc, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, lc)->clause,
					   rel->relid, &used);
	all = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
	for (int attnum = 1; attnum <= table->ncolumns; attnum++)
	{
		const VeltTableColumn *column = &table->columns[attnum - 1];
		bool		dropped = column->source == VELT_FROM_ROW &&
			column->pointer == NULL;

		if (!dropped &&
			(all || bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber,
								  used)))
			attnums = lappend_int(attnums, attnum);
	}
	return attnums;
}

ForeignScan *
veltGetForeignPlan(PlannerInfo *root pg_attribute_unused(), RelOptInfo *rel,
				   Oid relid pg_attribute_unused(),
				   ForeignPath *path pg_attribute_unused(), List *tlist,
				   List *scan_clauses, Plan *outer_plan)
{
	VeltRelation *info = rel->fdw_private;
	List	   *values = NIL;
	VeltScanPlan plan = {
		.resource = info->settings.resource,
		.attnums = columns_needed(rel, info->table)
	};
	ListCell   *lc;

	foreach(lc, info->filters)
	{
		VeltFilter *filter = lfirst(lc);

		plan.filters = lappend_int(plan.filters, filter->kind);
		values = lappend(values, filter->value);
	}
	return make_foreignscan(tlist, extract_actual_clauses(scan_clauses, false),
							rel->relid, values, velt_scan_plan_encode(&plan),
							NIL, NIL, outer_plan);
}

bool
veltIsForeignPathAsyncCapable(ForeignPath *path)
{
	return ((VeltRelation *) path->path.parent->fdw_private)->settings.async_capable;
}
