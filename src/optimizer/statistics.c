/*
 * optimizer/statistics.c
 *		What is known of columns that ANALYZE has not looked at, or cannot
 *		tell of.
 *
 * PostgreSQL takes a column without statistics to have 200 values, and sizes
 * joins accordingly.  But keys are unique without anybody having counted
 * them, and all rows of a scan are of one workspace.  Of that one statistics
 * have but a digest, which would seem to match no other table's ids.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_statistic.h"
#include "foreign/column.h"
#include "foreign/fdwapi.h"
#include "optimizer/estimate.h"
#include "optimizer/relation.h"
#include "optimizer/statistics.h"
#include "utils/rel.h"
#include "utils/selfuncs.h"
#include "utils/syscache.h"

static get_relation_stats_hook_type previous_hook = NULL;

static bool
is_velt_table(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION &&
		rte->relkind == RELKIND_FOREIGN_TABLE &&
		GetFdwRoutineByRelId(rte->relid)->GetForeignRelSize ==
		veltGetForeignRelSize;
}

static bool
was_analyzed(const RangeTblEntry *rte, AttrNumber attnum)
{
	return SearchSysCacheExists3(STATRELATTINH, ObjectIdGetDatum(rte->relid),
								 Int16GetDatum(attnum),
								 BoolGetDatum(rte->inh));
}

/*
 * How many values the column has, as stadistinct has it: negative for a share
 * of the rows; 0 if that is for ANALYZE to say.
 */
static float4
known_distinct(const RangeTblEntry *rte, AttrNumber attnum)
{
	Relation	relation = table_open(rte->relid, NoLock);
	float4		distinct = 0;
	VeltTable  *table = velt_table_describe(relation,
											velt_table_resource(rte->relid));

	if (table->columns[attnum - 1].source == VELT_FROM_WORKSPACE)
		distinct = 1;
	else if (table->columns[attnum - 1].is_filter &&
			 !was_analyzed(rte, attnum))
		distinct = -1 / velt_estimate_default_rows_per_key(table->resource);
	table_close(relation, NoLock);
	return distinct;
}

/* A row of pg_statistic that has nothing but stadistinct. */
static HeapTuple
make_statistics(Oid relid, AttrNumber attnum, bool inherited, float4 distinct)
{
	Relation	catalog = table_open(StatisticRelationId, AccessShareLock);
	Datum		values[Natts_pg_statistic] = {0};
	bool		isnull[Natts_pg_statistic] = {false};
	HeapTuple	row;

	values[Anum_pg_statistic_starelid - 1] = ObjectIdGetDatum(relid);
	values[Anum_pg_statistic_staattnum - 1] = Int16GetDatum(attnum);
	values[Anum_pg_statistic_stainherit - 1] = BoolGetDatum(inherited);
	values[Anum_pg_statistic_stadistinct - 1] = Float4GetDatum(distinct);
	for (int i = 0; i < STATISTIC_NUM_SLOTS; i++)
	{
		isnull[Anum_pg_statistic_stanumbers1 - 1 + i] = true;
		isnull[Anum_pg_statistic_stavalues1 - 1 + i] = true;
	}
	row = heap_form_tuple(RelationGetDescr(catalog), values, isnull);
	table_close(catalog, AccessShareLock);
	return row;
}

/* get_relation_stats_hook: true if it has the statistics of the column. */
static bool
get_statistics(PlannerInfo *root, RangeTblEntry *rte, AttrNumber attnum,
			   VariableStatData *vardata)
{
	float4		distinct;

	if (previous_hook && previous_hook(root, rte, attnum, vardata))
		return true;
	if (attnum <= 0 || !is_velt_table(rte))
		return false;
	distinct = known_distinct(rte, attnum);
	if (distinct == 0)
		return false;
	vardata->statsTuple = make_statistics(rte->relid, attnum, rte->inh,
										  distinct);
	vardata->freefunc = heap_freetuple;
	/* they are of no value that may not be seen */
	vardata->acl_ok = true;
	return true;
}

void
velt_statistics_init(void)
{
	previous_hook = get_relation_stats_hook;
	get_relation_stats_hook = get_statistics;
}
