/*
 * foreign/session.c
 *		The cached client of a user mapping.
 *
 * Sessions are kept by user mapping, as postgres_fdw keeps connections.  When
 * options may have changed they are compared at the next use, and a session
 * that was made from others is replaced; it ends with the last scan that has
 * it.  Invalidation callbacks only mark.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "foreign/foreign.h"
#include "foreign/option.h"
#include "foreign/report.h"
#include "foreign/session.h"
#include "foreign/token_file.h"
#include "foreign/wait.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "velt_fdw.h"

struct VeltSession
{
	MemoryContext context;		/* has the session and all it palloc'd */
	VeltTransport *transport;
	char	   *server_name;
	bool		keep;			/* option keep_connections */
	bool		workspace_known;
	VeltFilterLimit filter_limit;
	int			logged_limit;	/* as the last message about it gave it */
	int			nscans;			/* that hold it */

	/* what it was made from */
	Oid			serverid;
	Oid			mapped_user;	/* InvalidOid: a PUBLIC mapping */
	List	   *server_options;
	List	   *mapping_options;
	char	   *auth_token;
};

typedef struct SessionEntry
{
	Oid			umid;			/* key: OID of the user mapping */
	uint32		server_hash;
	uint32		mapping_hash;
	bool		verified;		/* options need not be compared */
	bool		changed;		/* options may have changed since */
	VeltSession *session;		/* NULL: none */
} SessionEntry;

/* Replaced or dropped ones live on outside, as long as scans hold them. */
static HTAB *sessions = NULL;

/* Counts invalidations, so that none is lost while options are being read. */
static uint64 invalidations = 0;

/* ----------
 * The end of a session
 * ----------
 */

static void
destroy_session(VeltSession *session)
{
	velt_transport_destroy(session->transport);
	velt_wait_release_descriptors();
	MemoryContextDelete(session->context);
}

/* Takes the session out of the cache; it ends now, or with its last scan. */
static void
detach_session(SessionEntry *entry)
{
	VeltSession *session = entry->session;

	entry->session = NULL;
	if (session && session->nscans == 0)
		destroy_session(session);
}

static bool
is_cached(const VeltSession *session)
{
	HASH_SEQ_STATUS status;
	SessionEntry *entry;
	bool		found = false;

	hash_seq_init(&status, sessions);
	while ((entry = hash_seq_search(&status)) != NULL)
		found = found || entry->session == session;
	return found;
}

void
velt_session_release(VeltSession *session)
{
	if (--session->nscans == 0 && !is_cached(session))
		destroy_session(session);
}

/* ----------
 * Invalidation
 * ----------
 */

static void
invalidate(Datum arg pg_attribute_unused(), int cacheid, uint32 hash)
{
	HASH_SEQ_STATUS status;
	SessionEntry *entry;

	invalidations++;
	hash_seq_init(&status, sessions);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		uint32		own = (cacheid == FOREIGNSERVEROID ?
						   entry->server_hash : entry->mapping_hash);

		if (hash == 0 || hash == own)
		{
			entry->verified = false;
			entry->changed = true;
		}
	}
}

/*
 * With keep_connections 'false' no session outlives its transaction, and none
 * whose options may have changed does: its mapping may be gone altogether.
 */
static void
end_transaction(XactEvent event, void *arg pg_attribute_unused())
{
	HASH_SEQ_STATUS status;
	SessionEntry *entry;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	hash_seq_init(&status, sessions);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->session && (!entry->session->keep || entry->changed))
			detach_session(entry);
	}
}

static void
create_cache(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(SessionEntry);
	ctl.hcxt = CacheMemoryContext;
	sessions = hash_create("velt_fdw sessions", 8, &ctl,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate, (Datum) 0);
	CacheRegisterSyscacheCallback(USERMAPPINGOID, invalidate, (Datum) 0);
	RegisterXactCallback(end_transaction, NULL);
}

/* ----------
 * The beginning of a session
 * ----------
 */

/* Whose mapping it is; GetUserMapping tells for whom it was looked up. */
static Oid
mapping_user(Oid umid)
{
	HeapTuple	tuple = SearchSysCache1(USERMAPPINGOID, ObjectIdGetDatum(umid));
	Oid			user = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		user = ((Form_pg_user_mapping) GETSTRUCT(tuple))->umuser;
		ReleaseSysCache(tuple);
	}
	return user;
}

/*
 * The token, from the mapping or from its file.  A file is read for a server
 * whose owner could read it anyway: the owner decides where the token goes.
 */
static char *
resolve_token(const VeltSettings *settings, const ForeignServer *server,
			  const UserMapping *mapping)
{
	if (settings->auth_token)
		return settings->auth_token;
	if (!superuser_arg(server->owner) &&
		!has_privs_of_role(server->owner, ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read auth_token_file for foreign server \"%s\"",
						server->servername),
				 errdetail("The owner of the server must be a superuser or have privileges of the role pg_read_server_files.")));
	return velt_token_file_read(settings->auth_token_file,
								velt_mapping_is_visible(mapping_user(mapping->umid),
														server));
}

/* libcurl would wait for a pipe, and says little of what it cannot read. */
static void
check_tls_file(const char *option, const char *path)
{
	struct stat status;

	if (path == NULL)
		return;
	if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
		errno = EINVAL;
	else if (access(path, R_OK) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("could not use file \"%s\": %m", path),
			 errdetail("It is option \"%s\" of the foreign server.", option)));
}

static void
fill_config(VeltTransportConfig *config, const VeltSettings *settings,
			const char *token)
{
	check_tls_file("sslrootcert", settings->sslrootcert);
	check_tls_file("sslcert", settings->sslcert);
	check_tls_file("sslkey", settings->sslkey);
	memset(config, 0, sizeof(*config));
	config->base_url = settings->api_url;
	config->loopback_only = settings->plain;
	config->credentials.workspace_id = settings->workspace_id;
	config->credentials.auth_token = token;
	config->auth_header = settings->auth_header;
	config->user_agent = "velt_fdw/" VELT_FDW_VERSION;
	config->proxy = settings->proxy;
	config->ca_file = settings->sslrootcert;
	config->cert_file = settings->sslcert;
	config->key_file = settings->sslkey;
	config->connect_timeout_ms = settings->connect_timeout_ms;
	config->request_timeout_ms = settings->request_timeout_ms;
	config->retry_timeout_ms = settings->retry_timeout_ms;
	config->max_response_bytes = settings->max_response_bytes;
	config->max_concurrency = settings->max_concurrency;
	config->max_requests_per_minute = settings->max_requests_per_minute;
}

static VeltSession *
create_session(const VeltSettings *settings, const ForeignServer *server,
			   const UserMapping *mapping, const char *token)
{
	MemoryContext context = AllocSetContextCreate(CacheMemoryContext,
												  "velt_fdw session",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	VeltSession *session = palloc0(sizeof(VeltSession));
	VeltTransportConfig config;

	session->context = context;
	session->server_name = pstrdup(server->servername);
	session->keep = settings->keep_connections;
	session->filter_limit.configured = settings->keys_per_request;
	session->filter_limit.current = settings->keys_per_request;
	session->logged_limit = settings->keys_per_request;
	session->serverid = server->serverid;
	session->mapped_user = mapping_user(mapping->umid);
	session->server_options = copyObject(server->options);
	session->mapping_options = copyObject(mapping->options);
	session->auth_token = pstrdup(token);
	MemoryContextSwitchTo(old);

	PG_TRY();
	{
		VeltError	error;

		fill_config(&config, settings, token);
		session->transport = velt_transport_create(&config,
												   velt_wait_network(),
												   session, &error);
		if (session->transport == NULL)
			velt_report_fetch(&error, NULL, session->server_name);
	}
	PG_CATCH();
	{
		destroy_session(session);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return session;
}

/*
 * Brings the entry's session up to what the catalogs and the file say now.
 * "before" is the count of invalidations before any of it was read.
 */
static void
refresh_session(SessionEntry *entry, const UserMapping *mapping, uint64 before)
{
	ForeignServer *server = GetForeignServer(mapping->serverid);
	VeltSettings settings;
	VeltSession *session = entry->session;
	char	   *token;

	velt_settings_init(&settings);
	velt_settings_read(&settings, server->options, ForeignServerRelationId);
	velt_settings_read(&settings, mapping->options, UserMappingRelationId);
	if (settings.workspace_id == NULL)
		velt_option_missing("workspace_id", NULL);
	token = resolve_token(&settings, server, mapping);

	if (session == NULL || strcmp(session->auth_token, token) != 0 ||
		!equal(session->server_options, server->options) ||
		!equal(session->mapping_options, mapping->options))
	{
		detach_session(entry);
		entry->session = create_session(&settings, server, mapping, token);
	}
	else if (strcmp(session->server_name, server->servername) != 0)
		session->server_name = MemoryContextStrdup(session->context,
												   server->servername);
	entry->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID,
											   ObjectIdGetDatum(server->serverid));
	entry->mapping_hash = GetSysCacheHashValue1(USERMAPPINGOID,
												ObjectIdGetDatum(mapping->umid));
	/* a file can change without a word to anybody */
	entry->changed = invalidations != before;
	entry->verified = settings.auth_token_file == NULL && !entry->changed;
}

VeltSession *
velt_session_acquire(Oid userid, Oid serverid)
{
	uint64		before;
	UserMapping *mapping;
	SessionEntry *entry;
	bool		found;

	if (sessions == NULL)
		create_cache();
	/* in the middle of a transaction nothing else might look for them */
	AcceptInvalidationMessages();
	before = invalidations;
	mapping = GetUserMapping(userid, serverid);
	entry = hash_search(sessions, &mapping->umid, HASH_ENTER, &found);
	if (!found)
	{
		entry->session = NULL;
		entry->verified = false;
		entry->changed = false;
	}
	if (entry->session == NULL || !entry->verified)
		refresh_session(entry, mapping, before);
	return velt_session_share(entry->session);
}

VeltSession *
velt_session_share(VeltSession *session)
{
	session->nscans++;
	return session;
}

/* ----------
 * The cache as users see it
 * ----------
 */

char *
velt_session_visible_workspace(const VeltSession *session)
{
	ForeignServer *server = GetForeignServerExtended(session->serverid,
													 FSV_MISSING_OK);

	if (!velt_mapping_is_visible(session->mapped_user, server))
		return NULL;
	return pstrdup(velt_transport_credentials(session->transport)->workspace_id);
}

static VeltSessionInfo *
describe_session(const SessionEntry *entry)
{
	VeltSession *session = entry->session;
	VeltSessionInfo *info = palloc(sizeof(VeltSessionInfo));
	ForeignServer *server = GetForeignServerExtended(session->serverid,
													 FSV_MISSING_OK);

	/* it may have been renamed, or dropped */
	info->server_name = server ? server->servername :
		pstrdup(session->server_name);
	info->user_name = OidIsValid(session->mapped_user) ?
		GetUserNameFromId(session->mapped_user, true) : pstrdup("public");
	info->workspace_id = velt_session_visible_workspace(session);
	info->valid = !entry->changed;
	info->stats = velt_transport_stats(session->transport);
	return info;
}

List *
velt_session_list(void)
{
	HASH_SEQ_STATUS status;
	SessionEntry *entry;
	List	   *list = NIL;

	if (sessions == NULL)
		return NIL;
	hash_seq_init(&status, sessions);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->session)
			list = lappend(list, describe_session(entry));
	}
	return list;
}

bool
velt_session_disconnect(Oid serverid)
{
	HASH_SEQ_STATUS status;
	SessionEntry *entry;
	bool		ended = false;

	if (sessions == NULL)
		return false;
	hash_seq_init(&status, sessions);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->session == NULL ||
			(OidIsValid(serverid) && entry->session->serverid != serverid))
			continue;
		if (entry->session->nscans > 0)
		{
			ereport(WARNING,
					(errmsg("cannot close connections to foreign server \"%s\" because they are still in use",
							entry->session->server_name)));
			continue;
		}
		detach_session(entry);
		ended = true;
	}
	return ended;
}

/* ----------
 * Use
 * ----------
 */

VeltTransport *
velt_session_transport(VeltSession *session)
{
	return session->transport;
}

bool *
velt_session_workspace_known(VeltSession *session)
{
	return &session->workspace_known;
}

VeltFilterLimit *
velt_session_filter_limit(VeltSession *session)
{
	return &session->filter_limit;
}

void
velt_session_log_filter_limit(VeltSession *session)
{
	if (session->logged_limit == session->filter_limit.current)
		return;
	session->logged_limit = session->filter_limit.current;
	ereport(DEBUG1,
			(errmsg_internal("velt_fdw: a request to foreign server \"%s\" now has at most %d keys",
							 session->server_name, session->logged_limit)));
}

const char *
velt_session_server_name(const VeltSession *session)
{
	return session->server_name;
}
