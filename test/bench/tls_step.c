/*
 * test/bench/tls_step.c
 *		The longest time one step of the loop takes while 32 TLS connections
 *		are made at once.  Drives the client library alone.
 *
 * tls_step URL WORKSPACE TOKEN CA: prints "TRANSFERS MILLISECONDS".
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/transport.h"

#define TRANSFERS	32

static int	ended;
static int	failed;

static double
milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void
begin(void *owner)
{
	(void) owner;
}

static bool
expect(void *owner, uint64_t length, VeltError *error)
{
	(void) owner;
	(void) length;
	(void) error;
	return true;
}

static bool
receive(void *owner, int http_status, const char *bytes, size_t length,
		VeltError *error)
{
	(void) owner;
	(void) http_status;
	(void) bytes;
	(void) length;
	(void) error;
	return true;
}

static bool
check(void *owner, int http_status, VeltError *error)
{
	(void) owner;
	return http_status == 200 ||
		velt_error_set(error, VELT_ERROR_PROTOCOL, "HTTP %d", http_status);
}

static void
done(void *owner, const VeltOutcome *outcome)
{
	(void) owner;
	ended++;
	if (outcome->error != NULL)
	{
		fprintf(stderr, "%s\n", outcome->error->detail);
		failed++;
	}
}

int
main(int argc, char **argv)
{
	static const VeltSink sink = {
		.begin = begin,
		.expect = expect,
		.receive = receive,
		.check = check,
		.done = done,
	};
	VeltTransportConfig config = {
		.user_agent = "bench",
		.connect_timeout_ms = 10000,
		.request_timeout_ms = 10000,
		.max_concurrency = TRANSFERS
	};
	VeltNetwork *network = velt_network_create();
	VeltTransport *transport;
	VeltError	error;
	double		longest = 0;

	if (argc != 5 || network == NULL)
		return 2;
	config.base_url = argv[1];
	config.credentials.workspace_id = argv[2];
	config.credentials.auth_token = argv[3];
	config.ca_file = argv[4];
	transport = velt_transport_create(&config, network, NULL, &error);
	if (transport == NULL)
		return 1;
	for (int i = 0; i < TRANSFERS; i++)
	{
		if (velt_transport_submit(transport, "/v2/workspace/apikeys/get",
								  strdup("{\"data\":{}}"), &sink, NULL,
								  &error) == NULL)
			return 1;
	}
	while (ended < TRANSFERS)
	{
		struct pollfd fd = {velt_network_fd(network), POLLIN, 0};
		double		start;

		velt_network_enter(network);
		if (poll(&fd, 1, 10000) <= 0)
			return 1;
		velt_network_leave(network);
		start = milliseconds();
		if (!velt_network_drive(network, &error))
			return 1;
		if (milliseconds() - start > longest)
			longest = milliseconds() - start;
	}
	velt_transport_destroy(transport);
	velt_network_destroy(network);
	printf("%d %.2f\n", ended, longest);
	return failed > 0;
}
