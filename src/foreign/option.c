/*
 * foreign/option.c
 *		The options of servers, user mappings, tables and columns.
 *
 * A new option is a row of the table, and a member of VeltSettings.  Values
 * are looked at as text: nothing is opened, connected or looked up.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>

#include "catalog/pg_attribute.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "client/json.h"
#include "client/url.h"
#include "commands/defrem.h"
#include "foreign/option.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "pg_compat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

/* Longest workspace id and token: what servers take as one header line. */
#define MAX_CREDENTIAL_BYTES	8192

/* One slip of the keyboard, and another for so many letters. */
#define LETTERS_PER_SLIP		4

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

typedef struct Option Option;

/* Parses a value into a field of the settings, or raises an error. */
typedef void (*ParseValue) (const Option *option, const char *value, void *field);

struct Option
{
	const char *name;
	Oid			catalog;
	ParseValue	parse;
	size_t		field;			/* offset in VeltSettings */
	double		min;			/* for numbers, in the field's unit */
	double		max;
	VeltPrivilege privilege;
};

/* ----------
 * Values
 * ----------
 */

static void
refuse(const Option *option, const char *value, const char *detail,
	   const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 value ?
			 errmsg("invalid value for option \"%s\": \"%s\"", option->name,
					value) :
			 errmsg("invalid value for option \"%s\"", option->name),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

static void
check_range(const Option *option, const char *value, double number,
			const char *unit)
{
	if (number < option->min || number > option->max)
		refuse(option, value,
			   psprintf("The value must be between %.0f%s and %.0f%s.",
						option->min, unit, option->max, unit), NULL);
}

/* A number with a unit; the unit may only be left off from a zero. */
static void
parse_with_unit(const Option *option, const char *value, int flags,
				const char *unit, const char *example, int *field)
{
	const char *hint = NULL;
	const char *letters = value + strspn(value, " +-.0123456789");
	bool		has_unit = (*letters != '\0' &&
							strspn(letters, LETTERS) == strlen(letters) &&
							pg_strncasecmp(value, "0x", 2) != 0);

	if (!has_unit && !(option->min == 0 && strcmp(value, "0") == 0))
		refuse(option, value, "The value needs a number and a unit.",
			   psprintf("Write for example \"%s\".", example));
	if (!parse_int(value, field, flags, &hint))
		refuse(option, value, "The value is no number with a known unit.",
			   hint ? _(hint) : NULL);
	check_range(option, value, *field, unit);
}

static void
parse_duration(const Option *option, const char *value, void *field)
{
	parse_with_unit(option, value, GUC_UNIT_MS, " ms", "30s", field);
}

static void
parse_size(const Option *option, const char *value, void *field)
{
	parse_with_unit(option, value, GUC_UNIT_BYTE, " B", "64MB", field);
}

static void
parse_integer(const Option *option, const char *value, void *field)
{
	if (!parse_int(value, field, 0, NULL))
		refuse(option, value, "The value must be a whole number.", NULL);
	check_range(option, value, *(int *) field, "");
}

static void
parse_number(const Option *option, const char *value, void *field)
{
	double		number;

	if (!parse_real(value, &number, 0, NULL) || !isfinite(number) ||
		number < option->min)
		refuse(option, value, "The value must be a number that is not negative.",
			   NULL);
	*(double *) field = number;
}

static void
parse_boolean(const Option *option, const char *value, void *field)
{
	if (!parse_bool(value, field))
		refuse(option, value, "The value must be true or false.", NULL);
}

/* A URL in a message, unless there may be a password in it. */
static const char *
shown_url(const char *url)
{
	return strpbrk(url, "@?") ? NULL : url;
}

static void
parse_api_url(const Option *option, const char *value, void *field)
{
	VeltError	error;
	bool		plain;

	if (!velt_url_check(value, VELT_URL_API, &plain, &error))
		refuse(option, shown_url(value), error.detail,
			   "Write for example \"https://api.velt.dev\".");
	*(char **) field = pstrdup(value);
}

static void
parse_proxy_url(const Option *option, const char *value, void *field)
{
	VeltError	error;
	bool		plain;

	if (!velt_url_check(value, VELT_URL_PROXY, &plain, &error))
		refuse(option, NULL, error.detail,
			   "Write for example \"http://proxy.example:3128\".");
	*(char **) field = pstrdup(value);
}

/* Names that mean something to HTTP, or that velt_fdw sends already. */
static bool
is_standard_header(const char *name)
{
	static const char *const names[] = {
		"Accept", "Authorization", "Connection", "Cookie", "Date", "Expect",
		"Forwarded", "From", "Host", "HTTP2-Settings", "Keep-Alive",
		"Max-Forwards", "Origin", "Pragma", "Prefer", "Priority", "Range",
		"Referer", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
		"User-Agent", "Via", "Warning", "x-velt-workspace-id", NULL
	};
	static const char *const prefixes[] = {
		"Accept-", "Access-Control-", "Cache-", "Content-", "If-", "Proxy-",
		"Sec-", "X-Forwarded-", NULL
	};

	for (const char *const *other = names; *other != NULL; other++)
	{
		if (pg_strcasecmp(name, *other) == 0)
			return true;
	}
	for (const char *const *prefix = prefixes; *prefix != NULL; prefix++)
	{
		if (pg_strncasecmp(name, *prefix, strlen(*prefix)) == 0)
			return true;
	}
	return false;
}

static void
parse_header_name(const Option *option, const char *value, void *field)
{
	/* the characters of a token, RFC 9110 */
	static const char token[] = "!#$%&'*+-.^_`|~0123456789" LETTERS;
	size_t		length = strlen(value);

	if (length == 0 || length >= NAMEDATALEN || strspn(value, token) != length)
		refuse(option, NULL, "The value must be the name of an HTTP header.",
			   NULL);
	if (is_standard_header(value))
		refuse(option, value, "This header has a meaning of its own.", NULL);
	*(char **) field = pstrdup(value);
}

/* Part of a header: any other byte could begin a header of its own. */
static void
parse_credential(const Option *option, const char *value, void *field)
{
	size_t		length = strlen(value);
	bool		visible = true;

	for (const char *at = value; *at != '\0'; at++)
		visible = visible && *at > ' ' && *at < 0x7f;
	if (!visible || length == 0 || length > MAX_CREDENTIAL_BYTES)
		refuse(option, NULL,
			   psprintf("The value must have between 1 and %d visible ASCII characters.",
						MAX_CREDENTIAL_BYTES), NULL);
	*(char **) field = pstrdup(value);
}

static void
parse_path(const Option *option, const char *value, void *field)
{
	if (!is_absolute_path(value))
		refuse(option, value, "The value must be an absolute path.", NULL);
	*(char **) field = pstrdup(value);
}

char *
velt_resource_names(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; velt_resources[i] != NULL; i++)
		appendStringInfo(&names, "%s\"%s\"", i > 0 ? ", " : "",
						 velt_resources[i]->name);
	return names.data;
}

static void
parse_resource(const Option *option, const char *value, void *field)
{
	const VeltResource *resource = velt_resource_find(value);

	if (resource == NULL)
		refuse(option, value, NULL,
			   psprintf("The resources are %s.", velt_resource_names()));
	*(const VeltResource **) field = resource;
}

static void
parse_name(const Option *option, const char *value, void *field)
{
	if (*value == '\0')
		refuse(option, value, "The value must not be empty.", NULL);
	*(char **) field = pstrdup(value);
}

static void
parse_json_pointer(const Option *option, const char *value, void *field)
{
	VeltError	error;
	VeltJsonTree *tree = velt_json_tree_create(&value, 1, &error);

	if (tree == NULL)
		refuse(option, value, error.detail,
			   "See RFC 6901; for example \"/owner/email\".");
	free(tree);
	*(char **) field = pstrdup(value);
}

/* ----------
 * The table
 * ----------
 */

#define SERVER			ForeignServerRelationId
#define USER_MAPPING	UserMappingRelationId
#define TABLE			ForeignTableRelationId
#define COLUMN			AttributeRelationId
#define FIELD(name)		offsetof(VeltSettings, name)
#define SECOND			1000.0
#define MINUTE			(60 * SECOND)
#define HOUR			(60 * MINUTE)

#define ANY_NUMBER		0, 0

static const Option options_table[] = {
	{"api_url", SERVER, parse_api_url, FIELD(api_url),
	ANY_NUMBER, VELT_ANYONE},
	{"auth_header", SERVER, parse_header_name, FIELD(auth_header),
	ANY_NUMBER, VELT_ANYONE},
	{"connect_timeout", SERVER, parse_duration, FIELD(connect_timeout_ms),
	100, 10 * MINUTE, VELT_ANYONE},
	{"request_timeout", SERVER, parse_duration, FIELD(request_timeout_ms),
	100, HOUR, VELT_ANYONE},
	{"retry_timeout", SERVER, parse_duration, FIELD(retry_timeout_ms),
	0, 24 * HOUR, VELT_ANYONE},
	{"max_concurrency", SERVER, parse_integer, FIELD(max_concurrency),
	1, 64, VELT_ANYONE},
	{"max_requests_per_minute", SERVER, parse_integer,
	FIELD(max_requests_per_minute), 1, INT_MAX, VELT_ANYONE},
	{"max_requests", SERVER, parse_integer, FIELD(max_requests),
	1, INT_MAX, VELT_ANYONE},
	{"max_requests", TABLE, parse_integer, FIELD(max_requests),
	1, INT_MAX, VELT_ANYONE},
	{"max_response_size", SERVER, parse_size, FIELD(max_response_bytes),
	64.0 * 1024, 512.0 * 1024 * 1024, VELT_ANYONE},
	{"page_size", SERVER, parse_integer, FIELD(page_size),
	1, VELT_MAX_PAGE_SIZE, VELT_ANYONE},
	{"page_size", TABLE, parse_integer, FIELD(page_size),
	1, VELT_MAX_PAGE_SIZE, VELT_ANYONE},
	{"keys_per_request", SERVER, parse_integer, FIELD(keys_per_request),
	1, VELT_MAX_PAGE_SIZE, VELT_ANYONE},
	{"request_cost", SERVER, parse_number, FIELD(request_cost),
	ANY_NUMBER, VELT_ANYONE},
	{"async_capable", SERVER, parse_boolean, FIELD(async_capable),
	ANY_NUMBER, VELT_ANYONE},
	{"async_capable", TABLE, parse_boolean, FIELD(async_capable),
	ANY_NUMBER, VELT_ANYONE},
	{"keep_connections", SERVER, parse_boolean, FIELD(keep_connections),
	ANY_NUMBER, VELT_ANYONE},
	{"proxy", SERVER, parse_proxy_url, FIELD(proxy),
	ANY_NUMBER, VELT_SUPERUSER},
	{"sslrootcert", SERVER, parse_path, FIELD(sslrootcert),
	ANY_NUMBER, VELT_SERVER_FILES},
	{"sslcert", SERVER, parse_path, FIELD(sslcert),
	ANY_NUMBER, VELT_SERVER_FILES},
	{"sslkey", SERVER, parse_path, FIELD(sslkey),
	ANY_NUMBER, VELT_SERVER_FILES},
	{"workspace_id", USER_MAPPING, parse_credential, FIELD(workspace_id),
	ANY_NUMBER, VELT_ANYONE},
	{"auth_token", USER_MAPPING, parse_credential, FIELD(auth_token),
	ANY_NUMBER, VELT_ANYONE},
	{"auth_token_file", USER_MAPPING, parse_path, FIELD(auth_token_file),
	ANY_NUMBER, VELT_SERVER_FILES},
	{"resource", TABLE, parse_resource, FIELD(resource),
	ANY_NUMBER, VELT_ANYONE},
	{"workspace_id", TABLE, parse_credential, FIELD(expected_workspace_id),
	ANY_NUMBER, VELT_ANYONE},
	{"column_name", COLUMN, parse_name, FIELD(column_name),
	ANY_NUMBER, VELT_ANYONE},
	{"json_pointer", COLUMN, parse_json_pointer, FIELD(json_pointer),
	ANY_NUMBER, VELT_ANYONE},
	{NULL, InvalidOid, NULL, 0, ANY_NUMBER, VELT_ANYONE}
};

static const Option *
find_option(const char *name, Oid catalog)
{
	const Option *option = options_table;

	while (option->name != NULL &&
		   (option->catalog != catalog || strcmp(option->name, name) != 0))
		option++;
	return option->name != NULL ? option : NULL;
}

VeltPrivilege
velt_option_privilege(const char *name, Oid catalog)
{
	const Option *option = find_option(name, catalog);

	return option ? option->privilege : VELT_ANYONE;
}

/* What an object of the catalog is called, with its article. */
static const char *
object_kind(Oid catalog)
{
	switch (catalog)
	{
		case SERVER:
			return "a server";
		case USER_MAPPING:
			return "a user mapping";
		case TABLE:
			return "a foreign table";
		case COLUMN:
			return "a column of a foreign table";
		default:
			return "a foreign-data wrapper";
	}
}

/* The closest name that such an object has, or NULL if none is close. */
static const char *
similar_option(const char *name, Oid catalog)
{
	const char *closest = NULL;
	int			distance = 2 + (int) strlen(name) / LETTERS_PER_SLIP;

	for (const Option *option = options_table; option->name; option++)
	{
		int			d;

		if (option->catalog != catalog)
			continue;
		d = varstr_levenshtein_less_equal(name, strlen(name), option->name,
										  strlen(option->name), 1, 1, 1,
										  distance, true);
		if (d < distance)
		{
			distance = d;
			closest = option->name;
		}
	}
	return closest;
}

static void unknown_option(const char *name, Oid catalog)
			__attribute__((noreturn));

static void
unknown_option(const char *name, Oid catalog)
{
	const char *similar = similar_option(name, catalog);
	StringInfoData hint;

	initStringInfo(&hint);
	for (const Option *option = options_table; option->name; option++)
	{
		if (strcmp(option->name, name) != 0)
			continue;
		if (hint.len > 0)
			appendStringInfo(&hint, " or of %s", object_kind(option->catalog));
		else
			appendStringInfo(&hint, "It is an option of %s",
							 object_kind(option->catalog));
	}
	if (hint.len == 0 && similar)
		appendStringInfo(&hint, "Perhaps you meant the option \"%s\"",
						 similar);
	for (const Option *option = options_table; option->name; option++)
	{
		if (similar || option->catalog != catalog)
			continue;
		appendStringInfo(&hint, hint.len == 0 ? "Valid options are: %s" :
						 strchr(hint.data, ':') ? ", %s" :
						 ". Valid options are: %s", option->name);
	}
	if (hint.len == 0)
		appendStringInfoString(&hint, "There are no valid options here");
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("%s has no option \"%s\"", object_kind(catalog), name),
			 errhint("%s.", hint.data)));
}

bool
velt_mapping_is_visible(Oid mapped_user, const ForeignServer *server)
{
	if (superuser())
		return true;
	if (server == NULL || (OidIsValid(mapped_user) &&
						   mapped_user != GetUserId()))
		return false;
	return has_privs_of_role(GetUserId(), server->owner) ||
		(OidIsValid(mapped_user) &&
		 velt_compat_server_usage(server) == ACLCHECK_OK);
}

void
velt_option_missing(const char *name, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("option \"%s\" is required", name),
			 hint ? errhint("%s", hint) : 0));
	pg_unreachable();
}

/* ----------
 * Settings
 * ----------
 */

void
velt_settings_init(VeltSettings *settings)
{
	memset(settings, 0, sizeof(*settings));
	settings->api_url = "https://api.velt.dev";
	settings->connect_timeout_ms = 10 * SECOND;
	settings->request_timeout_ms = MINUTE;
	settings->retry_timeout_ms = 2 * MINUTE;
	settings->max_concurrency = 8;
	settings->max_response_bytes = 64 * 1024 * 1024;
	settings->page_size = VELT_MAX_PAGE_SIZE;
	settings->keys_per_request = 30;
	settings->request_cost = 1000;
	settings->async_capable = true;
	settings->keep_connections = true;
}

int
velt_settings_filter_max(const VeltSettings *settings)
{
	return Min(settings->resource->filter_max, settings->keys_per_request);
}

/* Whether an option is a URL, which takes longer to check than all else. */
static bool
is_url(const Option *option)
{
	return option->parse == parse_api_url || option->parse == parse_proxy_url;
}

static void
read_options(VeltSettings *settings, List *options, Oid catalog, bool urls)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const Option *option = find_option(def->defname, catalog);

		if (option == NULL)
			unknown_option(def->defname, catalog);
		if (urls || !is_url(option))
			option->parse(option, defGetString(def),
						  (char *) settings + option->field);
	}
}

void
velt_settings_read(VeltSettings *settings, List *options, Oid catalog)
{
	read_options(settings, options, catalog, true);
	settings->plain = settings->api_url != NULL &&
		pg_strncasecmp(settings->api_url, "http:", 5) == 0;
}

void
velt_settings_read_but_urls(VeltSettings *settings, List *options,
							Oid catalog)
{
	read_options(settings, options, catalog, false);
	settings->api_url = NULL;
}
