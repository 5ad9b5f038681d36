/*
 * test/unit/resource_test.c
 *		client/resource: the table keeps what its readers rely on.
 */
#include "client/resource.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/json.h"
#include "tap.h"
#include "unit.h"

/* ----------
 * The names users depend on
 * ----------
 */

typedef struct ResourceCase
{
	const char *name;
	const char *path;
	const char *columns;		/* name type, in their order; ! is secret */
	const char *filter_column;
	int			filter_max;
	bool		paged;
} ResourceCase;

static const ResourceCase resource_cases[] = {
	{
		"workspaces", "/v2/workspace/get",
		"id text, name text, owner_id text, owner_email text, owner_name text, "
		"owner_avatar text, auth_token text!, api_key_list jsonb, ",
		NULL, 0, false
	},
	{
		"api_keys", "/v2/workspace/apikeys/get",
		"id text, api_key_name text, type text, workspace_id text, ",
		"id", 100, true
	},
	{
		"auth_tokens", "/v2/workspace/authtokens/get",
		"api_key text, token text!, name text, domains text[], "
		"workspace_id text, ",
		"api_key", 1, false
	},
};

static void
test_contract(const ResourceCase *c)
{
	const VeltResource *resource = velt_resource_find(c->name);
	char		columns[500] = "";

	if (!ok(resource != NULL, "there is a resource %s", c->name))
		return;
	for (const VeltColumn *column = resource->columns; column->name; column++)
		sprintf(columns + strlen(columns), "%s %s%s, ", column->name,
				column->type, column->secret ? "!" : "");
	is_str(columns, c->columns, "the columns of %s", c->name);
	is_str(resource->path, c->path, "... where they are had");
	is_str(resource->filter_column, c->filter_column, "... and by what");
	is_int(resource->filter_max, c->filter_max, "... how many at a time");
	is_int(resource->paged, c->paged, "... and whether in pages");
}

/* ----------
 * What the other modules take for granted
 * ----------
 */

static bool
is_pointer(const char *text)
{
	VeltError	error;
	VeltJsonTree *tree = text ? velt_json_tree_create(&text, 1, &error) : NULL;
	bool		is = tree != NULL;

	free(tree);
	return is;
}

static bool
columns_are_sound(const VeltResource *resource)
{
	for (const VeltColumn *c = resource->columns; c->name != NULL; c++)
	{
		if (velt_resource_column(resource, c->name) != c ||
			c->type == NULL ||
			is_pointer(c->pointer) != (c->source == VELT_FROM_ROW) ||
			(c->secret && c->source != VELT_FROM_ROW))
			return false;
	}
	return true;
}

static bool
filter_is_sound(const VeltResource *resource)
{
	if (resource->filter_column == NULL)
		return resource->filter_max == 0 && !resource->filter_required;
	return velt_resource_column(resource, resource->filter_column) != NULL &&
		resource->filter_member != NULL && resource->filter_max >= 1;
}

static bool
parent_is_sound(const VeltResource *resource)
{
	const VeltColumn *column;

	if (!resource->filter_required)
		return resource->parent == NULL;
	column = velt_resource_column(resource->parent, resource->parent_column);
	return resource->filter_max == 1 && column != NULL &&
		column->source == VELT_FROM_ROW && !resource->parent->filter_required;
}

static void
test_soundness(const VeltResource *resource)
{
	const char *name = resource->name;

	ok(velt_resource_find(name) == resource, "%s is found by its name", name);
	ok(resource->path[0] == '/', "... has a path");
	ok(is_pointer(resource->rows_pointer), "... and a pointer to its rows");
	ok(resource->echo_pointer == NULL || is_pointer(resource->echo_pointer),
	   "... and to the key in its reply");
	ok(columns_are_sound(resource), "... columns that can be found");
	ok(velt_resource_column(resource, resource->key_column) != NULL,
	   "... and one that names a row");
	ok(filter_is_sound(resource), "... a filter that can be sent");
	ok(parent_is_sound(resource), "... whose values can be had");
	ok(velt_resource_column(resource, "no_such") == NULL,
	   "... and no column of another name");
}

/* ----------
 * Secrets
 * ----------
 */

typedef struct SecretCase
{
	const char *resource;
	const char *pointer;
	bool		secret;
} SecretCase;

static const SecretCase secret_cases[] = {
	{"workspaces", "/authToken", true},
	{"workspaces", "", true},
	{"workspaces", "/authToken/0", true},
	{"workspaces", "/authToken/", true},
	{"workspaces", "/authToken2", false},
	{"workspaces", "/authToke", false},
	{"workspaces", "/", false},
	{"workspaces", "/owner", false},
	{"workspaces", "/owner/authToken", false},
	{"workspaces", "/id", false},
	{"auth_tokens", "/token", true},
	{"auth_tokens", "", true},
	{"auth_tokens", "/name", false},
	{"auth_tokens", "/domains", false},
	{"api_keys", "", false},
	{"api_keys", "/token", false},
};

static void
test_secrets(void)
{
	for (size_t i = 0; i < LENGTH_OF(secret_cases); i++)
	{
		const SecretCase *c = &secret_cases[i];

		is_int(velt_resource_pointer_is_secret(velt_resource_find(c->resource),
											   c->pointer),
			   c->secret, "whether \"%s\" of %s is secret", c->pointer,
			   c->resource);
	}
}

void
test_resource(void)
{
	size_t		n = 0;

	for (size_t i = 0; i < LENGTH_OF(resource_cases); i++)
		test_contract(&resource_cases[i]);
	for (; velt_resources[n] != NULL; n++)
		test_soundness(velt_resources[n]);
	is_int(n, LENGTH_OF(resource_cases), "there are no further resources");
	ok(velt_resource_find("no_such") == NULL, "nor one of another name");
	ok(velt_resource_find("") == NULL, "nor one without a name");
	ok(velt_workspace_resource == velt_resource_find("workspaces"),
	   "a workspace is told by workspaces");
	ok(!velt_workspace_resource->filter_required,
	   "... which needs no key");
	test_secrets();
}
