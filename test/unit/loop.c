/*
 * test/unit/loop.c
 *		A transport and a server that take turns.
 */
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "faults.h"

#define MAX_POLLED		200

VeltTransportConfig
loop_config(const char *url)
{
	VeltTransportConfig config = {
		.base_url = url,
		.loopback_only = strncmp(url, "http:", 5) == 0,
		.credentials = {WORKSPACE_ID, AUTH_TOKEN},
		.user_agent = "velt_fdw/unit",
		.connect_timeout_ms = PATIENCE_MS,
		.request_timeout_ms = PATIENCE_MS,
		.max_concurrency = 8,
	};

	return config;
}

VeltNetwork *
loop_network(void)
{
	static VeltNetwork *network = NULL;

	/* running out of memory is for the tests to tell, not here */
	while (network == NULL)
		network = velt_network_create();
	return network;
}

void
loop_close(void)
{
	velt_attempt_log_enable(velt_network_log(loop_network()), false);
	if (velt_network_is_unused(loop_network()))
		velt_network_close(loop_network());
}

VeltTransport *
loop_transport(const VeltTransportConfig *config)
{
	VeltError	error;
	VeltTransport *transport = velt_transport_create(config, loop_network(),
													 NULL, &error);

	if (transport != NULL)
		return transport;
	printf("Bail out! no transport: %s\n", error.detail);
	exit(2);
}

bool
loop_turn(Server *server, int timeout_ms,
		  VeltError *error)
{
	struct pollfd polled[MAX_POLLED];
	int			n = 1;
	int			nready;

	if (velt_network_has_work(loop_network()))
		return velt_network_drive(loop_network(), error);
	if (!velt_network_open(loop_network(), error))
		return false;
	polled[0].fd = velt_network_fd(loop_network());
	polled[0].events = POLLIN;
	if (server != NULL)
		n += server_descriptors(server, polled + 1, MAX_POLLED - 1);
	velt_network_enter(loop_network());
	nready = poll(polled, n, timeout_ms);
	velt_network_leave(loop_network());
	if (nready <= 0)
		return false;
	if (server != NULL)
		server_work(server);
	return polled[0].revents == 0 ||
		velt_network_drive(loop_network(), error);
}

void
loop_settle(Server *server)
{
	int64_t		end = loop_now_ms() + PATIENCE_MS;
	VeltError	error;

	while (loop_now_ms() < end &&
		   loop_turn(server, SETTLED_MS, &error))
		continue;
}

bool
loop_serve(Server *server, int nrequests)
{
	int64_t		end = loop_now_ms() + PATIENCE_MS;

	while (server_requests(server) < nrequests && loop_now_ms() < end)
	{
		struct pollfd polled[MAX_POLLED];
		int			n = server_descriptors(server, polled, MAX_POLLED);

		(void) poll(polled, n, SETTLED_MS);
		server_work(server);
	}
	return server_requests(server) >= nrequests;
}

/* How much time passes between two looks, in ms. */
#define STEP_MS			50

void
loop_wait(Server *server, int64_t ms)
{
	int64_t		end = faults_now_ms() + ms;
	int64_t		left;
	VeltError	error;

	loop_settle(server);
	while ((left = end - faults_now_ms()) > 0)
	{
		loop_doze(left < STEP_MS ? left : STEP_MS);
		while (loop_turn(server, 0, &error))
			continue;
	}
	loop_settle(server);
}

void
loop_doze(int64_t ms)
{
	velt_network_enter(loop_network());
	faults_pass_time(ms);
	velt_network_leave(loop_network());
}

void
loop_idle(int64_t ms)
{
	faults_pass_time(ms);
}

int64_t
loop_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
