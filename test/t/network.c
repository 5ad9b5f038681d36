/*
 * network.c
 *		A network as a test wants it, to be preloaded into a server.
 *
 * VELT_TEST_STALL: the path of a FIFO.  The look-up of "stall.invalid" does
 * not answer before somebody opens it for writing.
 *
 * VELT_TEST_PEER: an IPv4 address, as which 127.0.0.1 is written down.  This
 * is how libcurl comes to tell of a connection to it.  (That "localhost" is
 * somewhere else could not be pretended: libcurl does not look it up.)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*LookUp) (const char *, const char *, const struct addrinfo *,
					   struct addrinfo **);
typedef const char *(*Write) (int, const void *, char *, socklen_t);

static int
wait_for_writer(const char *path)
{
	int			fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return EAI_NONAME;
}

int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	LookUp		look_up = (LookUp) dlsym(RTLD_NEXT, "getaddrinfo");
	const char *stall = getenv("VELT_TEST_STALL");

	if (name && stall && strcmp(name, "stall.invalid") == 0)
		return wait_for_writer(stall);
	return look_up(name, service, hints, result);
}

const char *
inet_ntop(int family, const void *address, char *text, socklen_t size)
{
	Write		write_down = (Write) dlsym(RTLD_NEXT, "inet_ntop");
	const char *result = write_down(family, address, text, size);
	const char *peer = getenv("VELT_TEST_PEER");

	if (result && peer && strcmp(text, "127.0.0.1") == 0 &&
		strlen(peer) < size)
		strcpy(text, peer);
	return result;
}
