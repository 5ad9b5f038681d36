/*
 * foreign/token_file.c
 *		A secret in a file on the server.
 *
 * The file may be replaced or be something else altogether at any time: it is
 * opened without blocking, and looked at only through its descriptor.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foreign/token_file.h"
#include "storage/fd.h"

/* More than two tokens of the greatest length are no token. */
#define MAX_FILE_BYTES		(16 * 1024)
#define MAX_TOKEN_BYTES		8192

typedef struct TokenFile
{
	const char *path;
	bool		visible;		/* to the current user */
} TokenFile;

static void
refuse(const TokenFile *file, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 file->visible ?
			 errmsg("could not use auth_token_file \"%s\"", file->path) :
			 errmsg("could not use auth_token_file of the user mapping"),
			 errdetail("%s", reason),
			 file->visible ? 0 :
			 errdetail_log("%s The file is \"%s\".", reason, file->path)));
}

static void
file_error(const TokenFile *file)
{
	ereport(ERROR,
			(errcode_for_file_access(),
			 file->visible ?
			 errmsg("could not read auth_token_file \"%s\": %m", file->path) :
			 errmsg("could not read auth_token_file of the user mapping: %m"),
			 file->visible ? 0 :
			 errdetail_log("The file is \"%s\".", file->path)));
}

/* Reads to the end, or as much as shows that the file is too large. */
static int
read_all(int fd, char *content, const TokenFile *file)
{
	int			length = 0;

	while (length <= MAX_FILE_BYTES)
	{
		ssize_t		got = read(fd, content + length,
							   MAX_FILE_BYTES + 1 - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			file_error(file);
		if (got == 0)
			break;
		length += got;
	}
	return length;
}

char *
velt_token_file_read(const char *path, bool visible)
{
	TokenFile	file = {path, visible};
	char	   *content = palloc(MAX_FILE_BYTES + 2);
	struct stat status;
	int			length;
	int			fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &status) != 0)
		file_error(&file);
	if (!S_ISREG(status.st_mode))
		refuse(&file, "It is not a regular file.");
	length = read_all(fd, content, &file);
	CloseTransientFile(fd);
	if (length > MAX_FILE_BYTES)
		refuse(&file, "It is larger than 16 kB.");

	if (length > 0 && content[length - 1] == '\n')
		length--;
	if (length == 0 || length > MAX_TOKEN_BYTES)
		refuse(&file, "It must have between 1 and 8192 characters.");
	for (int i = 0; i < length; i++)
	{
		if (content[i] <= ' ' || content[i] >= 0x7f)
			refuse(&file, "It must have visible ASCII characters only, and may end with one newline.");
	}
	content[length] = '\0';
	return content;
}
