/*
 * foreign/report.h
 *		Errors of the client, as PostgreSQL reports them.
 */
#ifndef VELT_FOREIGN_REPORT_H
#define VELT_FOREIGN_REPORT_H

#include "postgres.h"

#include "client/error.h"

/* A fetch of the resource (NULL: the server as such) failed. */
extern void velt_report_fetch(const VeltError *error, const char *resource,
							  const char *server)
			__attribute__((noreturn));

/* The error's SQLSTATE as ereport takes it. */
extern int	velt_report_sqlstate(const VeltError *error);

/* The next step, or NULL. */
extern const char *velt_report_hint(const VeltError *error);

/* Its detail, in the database's encoding. */
extern char *velt_report_detail(const VeltError *error);

/*
 * Returns whether the text has a credential in any usual spelling.  Checks for
 * interrupts on the way: the text may be as long as a response.
 */
extern bool velt_report_has_credentials(const char *text, Size length,
										const VeltCredentials *credentials);

/*
 * Returns whether the current error is a cancel, a timeout or the end of the
 * server, after which nothing may take long.  For error context callbacks, and
 * before FlushErrorState().
 */
extern bool velt_report_is_cancel(void);

#endif							/* VELT_FOREIGN_REPORT_H */
