/*
 * foreign/session.h
 *		The cached client of a user mapping.
 *
 * Knows nothing of resources or tuples.
 */
#ifndef VELT_FOREIGN_SESSION_H
#define VELT_FOREIGN_SESSION_H

#include "postgres.h"

#include "client/cursor.h"
#include "client/transport.h"
#include "nodes/pg_list.h"

typedef struct VeltSession VeltSession;

/*
 * The session of the user's mapping for the server, as its options are now.
 * It stays until velt_session_release, even if they change.
 */
extern VeltSession *velt_session_acquire(Oid userid, Oid serverid);

/* The same session once more, whatever has become of its options. */
extern VeltSession *velt_session_share(VeltSession *session);

/* Raises no error, so that cleanup can call it. */
extern void velt_session_release(VeltSession *session);

extern VeltTransport *velt_session_transport(VeltSession *session);
extern const char *velt_session_server_name(const VeltSession *session);

/* Cleared when the session begins; see VeltCursorSpec. */
extern bool *velt_session_workspace_known(VeltSession *session);

/*
 * Returns the workspace id, palloc'd, or NULL if the user mapping's options
 * are hidden from the current user.
 */
extern char *velt_session_visible_workspace(const VeltSession *session);

/* Set from keys_per_request when the session begins; see VeltCursorSpec. */
extern VeltFilterLimit *velt_session_filter_limit(VeltSession *session);

/* Report a change of that limit in a DEBUG1 line. */
extern void velt_session_log_filter_limit(VeltSession *session);

/* A cached session, for who wants to know. */
typedef struct VeltSessionInfo
{
	char	   *server_name;
	char	   *user_name;		/* "public" for a PUBLIC mapping */
	char	   *workspace_id;	/* NULL: hidden from the current user */
	bool		valid;			/* made from the options as they are now */
	VeltTransportStats stats;
} VeltSessionInfo;

/* All cached sessions, as palloc'd VeltSessionInfos. */
extern List *velt_session_list(void);

/*
 * Ends the sessions of a server (InvalidOid: of all) that no scan holds, and
 * warns of the others.  Returns whether one was ended.
 */
extern bool velt_session_disconnect(Oid serverid);

#endif							/* VELT_FOREIGN_SESSION_H */
