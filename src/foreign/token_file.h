/*
 * foreign/token_file.h
 *		A secret in a file on the server.
 */
#ifndef VELT_FOREIGN_TOKEN_FILE_H
#define VELT_FOREIGN_TOKEN_FILE_H

#include "postgres.h"

/*
 * The file's content without one trailing newline, palloc'd.  It must be a
 * regular file of at most 16 kB with 1 to 8192 visible ASCII characters; its
 * content is in no message.  If the path is hidden from the user, only the
 * server's log has it.
 */
extern char *velt_token_file_read(const char *path, bool visible);

#endif							/* VELT_FOREIGN_TOKEN_FILE_H */
