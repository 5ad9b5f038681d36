/*
 * foreign/option.h
 *		The options of servers, user mappings, tables and columns: one table,
 *		and the settings they come to.
 *
 * Knows nothing of HTTP or JSON.
 */
#ifndef VELT_FOREIGN_OPTION_H
#define VELT_FOREIGN_OPTION_H

#include "postgres.h"

#include "client/resource.h"
#include "foreign/foreign.h"
#include "nodes/pg_list.h"

/* Who may set an option. */
typedef enum VeltPrivilege
{
	VELT_ANYONE,
	VELT_SUPERUSER,
	VELT_SERVER_FILES			/* superuser or pg_read_server_files */
} VeltPrivilege;

/*
 * Settings of a server, a user mapping, a foreign table and a column.  Which
 * of them are meaningful depends on the lists that were read into it; those
 * of a table override those of the server, if read later.
 */
typedef struct VeltSettings
{
	/* server */
	char	   *api_url;
	bool		plain;			/* api_url is without TLS */
	char	   *auth_header;	/* NULL: both documented names */
	int			connect_timeout_ms;
	int			request_timeout_ms;
	int			retry_timeout_ms;
	int			max_concurrency;
	int			max_requests_per_minute;	/* 0: none */
	int			max_requests;	/* 0: none */
	int			max_response_bytes;
	int			page_size;
	int			keys_per_request;	/* most in a filter */
	double		request_cost;
	bool		async_capable;
	bool		keep_connections;
	char	   *proxy;			/* these are NULL if not set */
	char	   *sslrootcert;
	char	   *sslcert;
	char	   *sslkey;

	/* user mapping */
	char	   *workspace_id;
	char	   *auth_token;
	char	   *auth_token_file;

	/* table */
	const VeltResource *resource;
	char	   *expected_workspace_id;	/* its option workspace_id */

	/* column */
	char	   *column_name;
	char	   *json_pointer;
} VeltSettings;

/* Everything at its default. */
extern void velt_settings_init(VeltSettings *settings);

/*
 * Reads the options (a list of DefElem) of an object of the catalog with that
 * OID into the settings.  Raises errors for unknown names and bad values; a
 * value that is a secret is not in them.
 */
extern void velt_settings_read(VeltSettings *settings, List *options,
							   Oid catalog);

/*
 * The same without api_url (NULL then), plain and proxy: for each plan and
 * each scan, while the URLs are for the one who connects.
 */
extern void velt_settings_read_but_urls(VeltSettings *settings, List *options,
										Oid catalog);

/* Returns how many keys a request of the table's resource can have. */
extern int	velt_settings_filter_max(const VeltSettings *settings);

/* What setting the option on such an object needs. */
extern VeltPrivilege velt_option_privilege(const char *name, Oid catalog);

/* Returns the names of all resources for a message, quoted; palloc'd. */
extern char *velt_resource_names(void);

/*
 * Returns whether the current user may see the options of a user mapping (of
 * PUBLIC: InvalidOid), by the rule of the view pg_user_mappings.  The server
 * is NULL if it was dropped.
 */
extern bool velt_mapping_is_visible(Oid mapped_user,
									const ForeignServer *server);

/* Raises HV00J for an option that an object lacks. */
extern void velt_option_missing(const char *name, const char *hint)
			__attribute__((noreturn));

#endif							/* VELT_FOREIGN_OPTION_H */
