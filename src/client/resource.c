/*
 * client/resource.c
 *		What the Velt API offers: one table, no code.
 */
#include "client/resource.h"

#include <string.h>

static const VeltColumn workspaces_columns[] = {
	{"id", "text", VELT_FROM_ROW, "/id", false},
	{"name", "text", VELT_FROM_ROW, "/name", false},
	{"owner_id", "text", VELT_FROM_ROW, "/owner/id", false},
	{"owner_email", "text", VELT_FROM_ROW, "/owner/email", false},
	{"owner_name", "text", VELT_FROM_ROW, "/owner/name", false},
	{"owner_avatar", "text", VELT_FROM_ROW, "/owner/avatar", false},
	{"auth_token", "text", VELT_FROM_ROW, "/authToken", true},
	{"api_key_list", "jsonb", VELT_FROM_ROW, "/apiKeyList", false},
	{NULL, NULL, VELT_FROM_ROW, NULL, false}
};

static const VeltColumn api_keys_columns[] = {
	{"id", "text", VELT_FROM_ROW, "/id", false},
	{"api_key_name", "text", VELT_FROM_ROW, "/apiKeyName", false},
	{"type", "text", VELT_FROM_ROW, "/type", false},
	{"workspace_id", "text", VELT_FROM_WORKSPACE, NULL, false},
	{NULL, NULL, VELT_FROM_ROW, NULL, false}
};

static const VeltColumn auth_tokens_columns[] = {
	{"api_key", "text", VELT_FROM_REQUEST, NULL, false},
	{"token", "text", VELT_FROM_ROW, "/token", true},
	{"name", "text", VELT_FROM_ROW, "/name", false},
	{"domains", "text[]", VELT_FROM_ROW, "/domains", false},
	{"workspace_id", "text", VELT_FROM_WORKSPACE, NULL, false},
	{NULL, NULL, VELT_FROM_ROW, NULL, false}
};

static const VeltResource workspaces = {
	.name = "workspaces",
	.path = "/v2/workspace/get",
	.rows = VELT_ONE_OBJECT,
	.rows_pointer = "/result/data",
	.columns = workspaces_columns,
	.key_column = "id",
};

static const VeltResource api_keys = {
	.name = "api_keys",
	.path = "/v2/workspace/apikeys/get",
	.rows = VELT_ARRAY_OF_OBJECTS,
	.rows_pointer = "/result/data",
	.columns = api_keys_columns,
	.key_column = "id",
	.filter_column = "id",
	.filter_member = "apiKeys",
	.filter_max = 100,
	.paged = true,
};

static const VeltResource auth_tokens = {
	.name = "auth_tokens",
	.path = "/v2/workspace/authtokens/get",
	.rows = VELT_ARRAY_OF_OBJECTS,
	.rows_pointer = "/result/data/authTokens",
	.columns = auth_tokens_columns,
	.key_column = "api_key",
	.filter_column = "api_key",
	.filter_member = "apiKey",
	.filter_max = 1,
	.filter_required = true,
	.echo_pointer = "/result/data/apiKey",
	.parent = &api_keys,
	.parent_column = "id",
};

const VeltResource *const velt_resources[] = {
	&workspaces,
	&api_keys,
	&auth_tokens,
	NULL
};

const VeltResource *const velt_workspace_resource = &workspaces;

const VeltResource *
velt_resource_find(const char *name)
{
	const VeltResource *const *resource = velt_resources;

	while (*resource != NULL && strcmp((*resource)->name, name) != 0)
		resource++;
	return *resource;
}

const VeltColumn *
velt_resource_column(const VeltResource *resource, const char *name)
{
	const VeltColumn *column = resource->columns;

	while (column->name != NULL && strcmp(column->name, name) != 0)
		column++;
	return column->name != NULL ? column : NULL;
}

/* Whether one pointer's path begins with all of the other's. */
static bool
leads_to(const char *prefix, const char *pointer)
{
	size_t		length = strlen(prefix);

	return strncmp(prefix, pointer, length) == 0 &&
		(pointer[length] == '/' || pointer[length] == '\0');
}

bool
velt_resource_pointer_is_secret(const VeltResource *resource,
								const char *pointer)
{
	for (const VeltColumn *column = resource->columns; column->name; column++)
	{
		if (column->secret && (leads_to(pointer, column->pointer) ||
							   leads_to(column->pointer, pointer)))
			return true;
	}
	return false;
}
