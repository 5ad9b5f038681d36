/*
 * test/unit/network_test.c
 *		client/network, event_loop: the descriptors of all transports.
 */
#include "client/network.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net.h"
#include "tap.h"
#include "unit.h"

/* Of an attempt that connects: see network.c. */
#define CONNECTING		3

/* ----------
 * Descriptors of the process
 * ----------
 */

static void
count_descriptors(int *nopen, int *ninherited)
{
	DIR		   *directory = opendir("/proc/self/fd");
	struct dirent *entry;

	*nopen = *ninherited = 0;
	/* cppcheck-suppress readdirCalled ; readdir_r is obsolete */
	while ((entry = readdir(directory)) != NULL)
	{
		if (entry->d_name[0] == '.')
			continue;
		++*nopen;
		*ninherited += !(fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC);
	}
	closedir(directory);
}

static void
test_descriptors(void)
{
	int			nopen;
	int			ninherited;
	int			nopen_now;
	int			ninherited_now;
	int			uncounted;
	Net			net;

	count_descriptors(&nopen, &ninherited);
	net_open(&net);
	net.transport = loop_transport(&net.config);
	is_int(velt_network_descriptors(loop_network()), 0,
		   "a transport without a connection has no descriptor");
	(void) net_exchange(&net, 0);
	(void) net_submit(&net, 1, "{}");
	(void) net_submit(&net, 2, "{}");
	(void) net_await_requests(&net, 3);
	count_descriptors(&nopen_now, &ninherited_now);
	/* the server has its listening socket and the other ends */
	uncounted = nopen_now - nopen - 3 -
		velt_network_descriptors(loop_network());
	/* some releases of libcurl wake up by one eventfd instead of a pair */
	ok(uncounted == 0 || uncounted == -1, "all descriptors are counted");
	is_int(ninherited_now, ninherited,
		   "no descriptor is left to child processes");
	net_close(&net);
	count_descriptors(&nopen_now, &ninherited_now);
	is_int(nopen_now, nopen, "... and none open at the end");
}

#define UNKNOWN_NAME		"unknown.test"

/* Replace the C library's function: the test must not ask a name server. */
int
getaddrinfo(const char *name, const char *service,
			const struct addrinfo *hints, struct addrinfo **result)
{
	int			(*real) (const char *, const char *, const struct addrinfo *,
						 struct addrinfo **);

	if (name != NULL && strcmp(name, UNKNOWN_NAME) == 0)
		return EAI_NONAME;
	*(void **) &real = dlsym(RTLD_NEXT, "getaddrinfo");
	return real(name, service, hints, result);
}

/* The look-up of a name has descriptors, too, until its end is seen. */
static void
test_look_up(void)
{
	int			nopen;
	int			ninherited;
	int			nopen_now;
	int			ninherited_now;
	Net			net;

	count_descriptors(&nopen, &ninherited);
	net_open(&net);
	net.config.base_url = "http://" UNKNOWN_NAME ":1";
	(void) net_submit(&net, 0, "{}");
	count_descriptors(&nopen_now, &ninherited_now);
	is_int(ninherited_now, ninherited,
		   "no descriptor of a look-up is left to child processes");
	ok(nopen_now - nopen - 1 <= velt_network_descriptors(loop_network()),
	   "... and all are counted");
	(void) net_await_done(&net, 0);
	net_close(&net);
}

/* ----------
 * Connecting to a port that is there, but answers nothing
 * ----------
 */

typedef struct Silent
{
	int			listener;
	int			fill[8];
	char		url[64];
} Silent;

/* Open a port whose queue of connections is full. */
static void
open_silent(Silent *silent)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	silent->listener = socket(AF_INET, SOCK_STREAM, 0);
	(void) bind(silent->listener, (struct sockaddr *) &address, size);
	(void) listen(silent->listener, 0);
	(void) getsockname(silent->listener, (struct sockaddr *) &address, &size);
	for (size_t i = 0; i < LENGTH_OF(silent->fill); i++)
	{
		silent->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void) connect(silent->fill[i], (struct sockaddr *) &address, size);
	}
	snprintf(silent->url, sizeof(silent->url), "http://127.0.0.1:%d",
			 ntohs(address.sin_port));
}

static void
close_silent(Silent *silent)
{
	for (size_t i = 0; i < LENGTH_OF(silent->fill); i++)
		close(silent->fill[i]);
	close(silent->listener);
}

/* libcurl closes the socket of an attempt that has not connected by itself. */
static void
test_cut_off(void)
{
	Silent		silent;
	Net			net;
	int			most = 0;

	open_silent(&silent);
	net_open(&net);
	net.config.base_url = silent.url;
	for (int i = 0; i < 50; i++)
	{
		int			now;

		(void) net_submit(&net, 0, "{}");
		loop_settle(net.server);
		velt_transfer_cancel(net.owners[0].transfer);
		now = velt_network_descriptors(loop_network());
		most = now > most ? now : most;
	}
	is_int(most, VELT_NETWORK_DESCRIPTORS,
		   "an attempt that is cut off while it connects leaves no descriptor");
	is_int(velt_transport_stats(net.transport).open_connections, 0,
		   "... and no connection");
	net_close(&net);
	close_silent(&silent);
}

/* ----------
 * Few descriptors
 * ----------
 */

#define TRANSPORTS		3

/* Several transports of one network, with a server for each. */
typedef struct Nets
{
	Net			nets[TRANSPORTS];
} Nets;

static void
open_nets(Nets *nets)
{
	for (int i = 0; i < TRANSPORTS; i++)
	{
		net_open(&nets->nets[i]);
		nets->nets[i].transport = loop_transport(&nets->nets[i].config);
	}
}

static void
close_nets(Nets *nets)
{
	velt_network_allow(loop_network(), INT_MAX, INT_MAX);
	for (int i = 0; i < TRANSPORTS; i++)
		net_close(&nets->nets[i]);
}

static int
open_connections(const Nets *nets, int i)
{
	return velt_transport_stats(nets->nets[i].transport).open_connections;
}

/* Let all servers and the network do what they can. */
static void
settle(Nets *nets)
{
	for (int i = 0; i < TRANSPORTS; i++)
		loop_settle(nets->nets[i].server);
}

static void
test_no_descriptor(void)
{
	int			needed = VELT_NETWORK_DESCRIPTORS + CONNECTING;
	Net			net;

	net_open(&net);
	net.transport = loop_transport(&net.config);
	velt_network_allow(loop_network(), 0, needed);
	(void) net_submit(&net, 0, "{}");
	is_int(velt_network_wants(loop_network()), needed,
		   "a request waits for descriptors");
	ok(!velt_network_is_running(loop_network()), "... and nothing else runs");
	is_int(velt_network_descriptors(loop_network()), 0, "... nor is open");

	velt_network_allow(loop_network(), needed, needed);
	ok(velt_network_drive(loop_network(), &net.error) &&
	   net_await_requests(&net, 1), "with descriptors it leaves");
	is_int(velt_network_wants(loop_network()), 0, "... and waits no more");
	server_answer(net.server, 0, 200, "{}");
	ok(net_await_done(&net, 0), "... and comes back");
	velt_network_allow(loop_network(), INT_MAX, INT_MAX);
	net_close(&net);
}

static void
test_refuse(void)
{
	Nets		nets;

	open_nets(&nets);
	velt_network_allow(loop_network(), 0, VELT_NETWORK_DESCRIPTORS + CONNECTING);
	for (int i = 0; i < 2; i++)
	{
		(void) net_submit(&nets.nets[i], 0, "{}");
		(void) net_submit(&nets.nets[i], 1, "{}");
	}
	velt_network_refuse(loop_network());
	for (int i = 0; i < 4; i++)
	{
		const Owner *owner = &nets.nets[i / 2].owners[i % 2];

		ok(owner->ndone == 1 && owner->error.kind == VELT_ERROR_DESCRIPTORS,
		   "a request that waits for a descriptor can be ended");
	}
	is_int(velt_network_wants(loop_network()), 0, "... then none waits");
	close_nets(&nets);
}

/* A queued request is not due while it lacks a descriptor. */
static void
test_starved(void)
{
	Nets		nets;
	struct pollfd polled = {-1, POLLIN, 0};
	int			most = VELT_NETWORK_DESCRIPTORS + CONNECTING;

	open_nets(&nets);
	velt_network_allow(loop_network(), most, most);
	(void) net_submit(&nets.nets[0], 0, "{}");
	(void) net_await_requests(&nets.nets[0], 1);
	(void) net_submit(&nets.nets[1], 0, "{}");
	settle(&nets);
	is_int(server_requests(nets.nets[1].server), 0,
		   "a second transport waits for the first one's descriptor");
	ok(velt_network_is_running(loop_network()), "... which is in use");
	polled.fd = velt_network_fd(loop_network());
	is_int(poll(&polled, 1, 0), 0, "... and does not spin");

	server_answer(nets.nets[0].server, 0, 200, "{}");
	(void) net_await_done(&nets.nets[0], 0);
	ok(!velt_network_is_running(loop_network()), "when that is idle");
	ok(velt_network_close_idle(loop_network()), "... it can be closed");
	is_int(open_connections(&nets, 0), 0, "... which it is");
	ok(velt_network_drive(loop_network(), &nets.nets[1].error) &&
	   net_await_requests(&nets.nets[1], 1), "... and the other one leaves");
	close_nets(&nets);
}

static void
test_close_idle(void)
{
	Nets		nets;

	open_nets(&nets);
	for (int i = 0; i < TRANSPORTS; i++)
		(void) net_exchange(&nets.nets[i], 0);
	(void) net_exchange(&nets.nets[0], 1);
	ok(velt_network_close_idle(loop_network()), "idle connections are closed");
	is_int(open_connections(&nets, 1), 0, "... the least recently used first");
	is_int(open_connections(&nets, 0) + open_connections(&nets, 2), 2,
		   "... and no others");
	(void) net_submit(&nets.nets[2], 1, "{}");
	(void) net_await_requests(&nets.nets[2], 2);
	ok(velt_network_close_idle(loop_network()) &&
	   open_connections(&nets, 0) == 0, "... then the next one");
	ok(!velt_network_close_idle(loop_network()) &&
	   open_connections(&nets, 2) == 1, "... but none that is in use");
	ok(net_exchange(&nets.nets[1], 1), "its transport connects again");
	close_nets(&nets);
}

/* A transport with more connections than its share closes them one by one. */
static void
test_share(void)
{
	enum
	{
		N = 6
	};
	Nets		nets;
	int			most = VELT_NETWORK_DESCRIPTORS + N;

	open_nets(&nets);
	velt_network_allow(loop_network(), most + CONNECTING, most);
	for (int i = 0; i < 3 * N; i++)
		(void) net_submit(&nets.nets[0], i, "{}");
	(void) net_await_requests(&nets.nets[0], N);
	settle(&nets);
	is_int(server_requests(nets.nets[0].server), N,
		   "one transport may use all connections");
	velt_network_allow(loop_network(), most, most);
	(void) net_submit(&nets.nets[1], 0, "{}");
	for (int i = 0; i < 3 * N && net_await_requests(&nets.nets[0], i + 1); i++)
	{
		server_answer(nets.nets[0].server, i, 200, "{}");
		settle(&nets);
		if (server_requests(nets.nets[1].server) == 1)
			break;
	}
	is_int(server_requests(nets.nets[1].server), 1,
		   "another one gets some of them");
	ok(server_requests(nets.nets[0].server) < 3 * N,
	   "... before the first one has finished");
	close_nets(&nets);
}

void
test_network(void)
{
	test_descriptors();
	test_look_up();
	test_cut_off();
	test_no_descriptor();
	test_refuse();
	test_starved();
	test_close_idle();
	test_share();
}
