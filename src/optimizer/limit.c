/*
 * optimizer/limit.c
 *		LIMIT and OFFSET as a hint to a scan: how many rows will be asked for.
 *
 * The Limit node stays.  The scan below it gets the two expressions, and asks
 * for no more than that in a page and ahead of time; whoever goes on asking
 * gets further rows all the same, so the result cannot depend on the hint.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "optimizer/estimate.h"
#include "optimizer/limit.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/qual.h"
#include "optimizer/relation.h"
#include "pg_compat.h"

/*
 * Whether each row of the scan is one that the Limit counts: nothing between
 * them drops, adds or reorders rows.
 */
static bool
limit_counts_rows(PlannerInfo *root, RelOptInfo *input_rel)
{
	Query	   *parse = root->parse;
	VeltRelation *info;
	ListCell   *lc;

	/* grouped, distinct or sorted rows are of an upper relation */
	if (input_rel->reloptkind != RELOPT_BASEREL || input_rel->joininfo)
		return false;
	if (parse->commandType != CMD_SELECT || parse->rowMarks ||
		parse->hasTargetSRFs || parse->limitOption == LIMIT_OPTION_WITH_TIES)
		return false;
	/* whoever counts its calls would see the hint */
	if (contain_volatile_functions(parse->limitCount) ||
		contain_volatile_functions(parse->limitOffset))
		return false;
	/* of a relation that is proved to be empty nobody has asked the size */
	info = input_rel->fdw_private;
	if (info == NULL)
		return false;
	foreach(lc, input_rel->baserestrictinfo)
	{
		RestrictInfo *clause = lfirst_node(RestrictInfo, lc);

		if (velt_qual_match(input_rel, info->table, clause->clause) == NULL)
			return false;
	}
	return true;
}

/* The scan's own path, perhaps below a projection. */
static ForeignPath *
scan_path(Path *path)
{
	if (IsA(path, ProjectionPath))
		path = ((ProjectionPath *) path)->subpath;
	return IsA(path, ForeignPath) && path->param_info == NULL ?
		(ForeignPath *) path : NULL;
}

/*
 * A limit that only the execution knows stands for a tenth of the rows, as
 * elsewhere in the planner.
 */
#define UNKNOWN_LIMIT_PART	0.1

/* Of two paths that cost the same the one with the hint is to be taken. */
#define HINT_DISCOUNT		0.999999

static void
cost_hinted_scan(PlannerInfo *root, Path *path, double limit)
{
	VeltRelation *info = path->parent->fdw_private;

	if (limit < 0)
		limit = path->rows * UNKNOWN_LIMIT_PART;
	velt_estimate_cost(root, path->parent, info->quals, path->rows, limit,
					   &path->startup_cost, &path->total_cost);
	path->startup_cost *= HINT_DISCOUNT;
	path->total_cost *= HINT_DISCOUNT;
}

/* A copy of the path, with the hint and what it saves. */
static Path *
hinted_path(PlannerInfo *root, Path *path, FinalPathExtraData *extra)
{
	ForeignPath *scan = makeNode(ForeignPath);
	ProjectionPath *projection;
	Path	   *inner;

	memcpy(scan, scan_path(path), sizeof(ForeignPath));
	scan->fdw_private = list_make2(root->parse->limitCount,
								   root->parse->limitOffset);
	inner = &scan->path;
	cost_hinted_scan(root, inner, extra->limit_tuples);
	if (!IsA(path, ProjectionPath))
		return inner;
	projection = makeNode(ProjectionPath);
	memcpy(projection, path, sizeof(ProjectionPath));
	projection->path.startup_cost += inner->startup_cost -
		projection->subpath->startup_cost;
	projection->path.total_cost += inner->total_cost -
		projection->subpath->total_cost;
	projection->subpath = inner;
	return &projection->path;
}

void
veltGetForeignUpperPaths(PlannerInfo *root, UpperRelationKind stage,
						 RelOptInfo *input_rel, RelOptInfo *output_rel,
						 void *extra)
{
	FinalPathExtraData *final = extra;
	ListCell   *lc;

	if (stage != UPPERREL_FINAL || !final->limit_needed ||
		!limit_counts_rows(root, input_rel))
		return;
	foreach(lc, input_rel->pathlist)
	{
		Path	   *path = lfirst(lc);

		if (scan_path(path) == NULL)
			continue;
		path = hinted_path(root, path, final);
		add_path(output_rel, (Path *)
				 create_limit_path(root, output_rel, path,
								   root->parse->limitOffset,
								   root->parse->limitCount,
								   root->parse->limitOption,
								   final->offset_est, final->count_est));
	}
}

List *
velt_limit_plan(ForeignPath *path, VeltScanPlan *plan)
{
	List	   *values = NIL;

	if (path->fdw_private == NIL)
		return NIL;
	plan->has_limit = linitial(path->fdw_private) != NULL;
	plan->has_offset = lsecond(path->fdw_private) != NULL;
	if (plan->has_limit)
		values = lappend(values, linitial(path->fdw_private));
	if (plan->has_offset)
		values = lappend(values, lsecond(path->fdw_private));
	return values;
}
