/*
 * network.c
 *		A network as a test wants it, to be preloaded into a server.
 *
 * VELT_TEST_STALL: the path of a FIFO.  The look-up of "stall.invalid" does
 * not answer before somebody opens it for writing.
 *
 * VELT_TEST_PEER: an IPv4 address, which libcurl says 127.0.0.1 is when it is
 * about to send a request.  (That "localhost" is somewhere else could not be
 * pretended to libcurl itself: it does not look it up.)
 */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*LookUp) (const char *, const char *, const struct addrinfo *,
					   struct addrinfo **);
typedef CURLcode (*SetOption) (CURL *, CURLoption,...);

/* what velt_fdw has libcurl call before a request */
static curl_prereq_callback before_request;

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

static int
pretend_peer(void *data, char *peer, char *local, int peer_port,
			 int local_port)
{
	char	   *pretended = getenv("VELT_TEST_PEER");

	return before_request(data, strcmp(peer, "127.0.0.1") == 0 ? pretended :
						  peer, local, peer_port, local_port);
}

#undef curl_easy_setopt

CURLcode
curl_easy_setopt(CURL *easy, CURLoption option,...)
{
	void	   *libcurl = dlopen("libcurl.so.4", RTLD_LAZY | RTLD_NOLOAD);
	SetOption	set_option = (SetOption) dlsym(libcurl, "curl_easy_setopt");
	va_list		arguments;
	void	   *value;

	dlclose(libcurl);
	/* a number or a pointer: both are passed alike */
	va_start(arguments, option);
	value = va_arg(arguments, void *);
	va_end(arguments);
	if (option == CURLOPT_PREREQFUNCTION && getenv("VELT_TEST_PEER"))
	{
		before_request = (curl_prereq_callback) value;
		return set_option(easy, option, pretend_peer);
	}
	return set_option(easy, option, value);
}
