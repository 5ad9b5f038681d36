/*
 * foreign/report.c
 *		Errors of the client, as PostgreSQL reports them: by table.
 *
 * Knows neither who failed nor why.
 */
#include "postgres.h"

#include "foreign/report.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

/* The part of a text that is searched between two checks for interrupts. */
#define SLICE_BYTES		((Size) 64 * 1024)

typedef struct KindReport
{
	int			sqlstate;
	const char *hint;			/* the next step, where there is one */
} KindReport;

static const KindReport reports[VELT_ERROR_KINDS] = {
	[VELT_ERROR_NONE] = {ERRCODE_INTERNAL_ERROR, NULL},
	[VELT_ERROR_UNAUTHENTICATED] = {
		ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
		"Check the user mapping: its workspace_id and its token."
	},
	[VELT_ERROR_PERMISSION_DENIED] = {
		ERRCODE_INSUFFICIENT_PRIVILEGE,
		"Check the user mapping: its workspace_id and its token, which is the workspace's, not that of an API key."
	},
	[VELT_ERROR_NOT_FOUND] = {
		ERRCODE_UNDEFINED_OBJECT,
		"Check option workspace_id of the user mapping and api_url of the server."
	},
	[VELT_ERROR_INVALID_ARGUMENT] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL},
	[VELT_ERROR_INVALID_REQUEST] = {ERRCODE_INVALID_PARAMETER_VALUE, NULL},
	[VELT_ERROR_REQUEST_SIZE] = {
		ERRCODE_INVALID_PARAMETER_VALUE,
		"A proxy on the way to the API may limit the size of requests; a smaller keys_per_request of the server makes them shorter."
	},
	[VELT_ERROR_PAGE_TOKEN] = {
		ERRCODE_CONNECTION_FAILURE,
		"The page token of a list may have expired. Run the statement again: it starts the list from the beginning."
	},
	[VELT_ERROR_EXHAUSTED] = {
		ERRCODE_INSUFFICIENT_RESOURCES,
		"Try again later; max_requests_per_minute of the server keeps below a rate limit."
	},
	[VELT_ERROR_CONNECT] = {
		ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
		"Check the options api_url and proxy of the server, and that this machine reaches that address."
	},
	[VELT_ERROR_TLS] = {
		ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION,
		"Check that what answers at api_url of the server, or at its proxy, speaks TLS 1.2 or later."
	},
	[VELT_ERROR_CERTIFICATE] = {
		ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
		"For a private certificate authority set the server's sslrootcert; the system's authorities come with the package ca-certificates."
	},
	[VELT_ERROR_UNAVAILABLE] = {ERRCODE_CONNECTION_FAILURE, NULL},
	[VELT_ERROR_PROTOCOL] = {ERRCODE_PROTOCOL_VIOLATION, NULL},
	[VELT_ERROR_NO_ENVELOPE] = {
		ERRCODE_PROTOCOL_VIOLATION,
		"Check that option api_url of the server is the address of the Velt API, and that no proxy or login page replies in its place."
	},
	[VELT_ERROR_UNTRANSLATABLE] = {ERRCODE_UNTRANSLATABLE_CHARACTER, NULL},
	[VELT_ERROR_RESPONSE_SIZE] = {
		ERRCODE_PROGRAM_LIMIT_EXCEEDED,
		"A larger max_response_size of the server or a smaller page_size may help."
	},
	[VELT_ERROR_HEADER_SIZE] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED, NULL},
	[VELT_ERROR_NESTING] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED, NULL},
	[VELT_ERROR_MAX_REQUESTS] = {
		ERRCODE_PROGRAM_LIMIT_EXCEEDED,
		"Restrict the query, or raise max_requests of the table or the server."
	},
	[VELT_ERROR_EMPTY_PAGES] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED, NULL},
	[VELT_ERROR_TOKEN_SIZE] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED, NULL},
	[VELT_ERROR_OUT_OF_MEMORY] = {ERRCODE_FDW_OUT_OF_MEMORY, NULL},
	[VELT_ERROR_DESCRIPTORS] = {
		ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
		"Raise max_files_per_process, or lower max_concurrency of the servers."
	},
	[VELT_ERROR_SYSTEM] = {ERRCODE_SYSTEM_ERROR, NULL},
	[VELT_ERROR_INVALID_VALUE] = {ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE, NULL},
};

/* The next step where the reply may be another server's than the API's. */
static const char *const foreign_hints[VELT_ERROR_KINDS] = {
	[VELT_ERROR_UNAUTHENTICATED] =
	"Check whether a proxy or a firewall on the way to the API wants a login, and the user mapping: its workspace_id and its token.",
	[VELT_ERROR_PERMISSION_DENIED] =
	"Check whether a proxy or a firewall on the way to the API refuses requests, and the user mapping: its workspace_id and its token.",
};

int
velt_report_sqlstate(const VeltError *error)
{
	/* to a scheduler it is all one why there were so many attempts */
	return error->gave_up ? ERRCODE_INSUFFICIENT_RESOURCES :
		reports[error->kind].sqlstate;
}

const char *
velt_report_hint(const VeltError *error)
{
	if (error->gave_up && reports[error->kind].hint == NULL)
		return "Try again later; a longer retry_timeout of the server allows for more attempts.";
	if (!error->enveloped && foreign_hints[error->kind] != NULL)
		return foreign_hints[error->kind];
	return reports[error->kind].hint;
}

char *
velt_report_detail(const VeltError *error)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfoString(&detail, error->detail);
	/* the API's own words may lack their full stop */
	if (detail.len > 0 && strchr(".!?", detail.data[detail.len - 1]) == NULL)
		appendStringInfoChar(&detail, '.');
	if (error->request_id[0] != '\0')
		appendStringInfo(&detail, " Request id: %s.", error->request_id);

	/* an error while reporting an error helps nobody: "?" where it differs */
	for (char *at = detail.data; GetDatabaseEncoding() != PG_UTF8 && *at; at++)
	{
		if (IS_HIGHBIT_SET(*at))
			*at = '?';
	}
	return detail.data;
}

void
velt_report_fetch(const VeltError *error, const char *resource,
				  const char *server)
{
	const char *hint = velt_report_hint(error);

	ereport(ERROR,
			(errcode(velt_report_sqlstate(error)),
			 resource ?
			 errmsg("could not fetch \"%s\" from foreign server \"%s\"",
					resource, server) :
			 errmsg("could not use foreign server \"%s\"", server),
			 errdetail_internal("%s", velt_report_detail(error)),
			 hint ? errhint("%s", hint) : 0));
	pg_unreachable();
}

bool
velt_report_has_credentials(const char *text, Size length,
							const VeltCredentials *credentials)
{
	while (length > 0)
	{
		Size		slice = Min(length, SLICE_BYTES);

		CHECK_FOR_INTERRUPTS();
		if (velt_error_credentials_begin(text, length, slice, credentials))
			return true;
		text += slice;
		length -= slice;
	}
	return false;
}

bool
velt_report_is_cancel(void)
{
	return ERRCODE_TO_CATEGORY(geterrcode()) == ERRCODE_OPERATOR_INTERVENTION;
}
