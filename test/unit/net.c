/*
 * test/unit/net.c
 *		A transport, a server, and owners of transfers that write down what
 *		they hear.
 */
#include "net.h"

#include <string.h>

/* ----------
 * An owner
 * ----------
 */

static void
note_begin(void *data)
{
	Owner	   *owner = data;

	owner->nbegun++;
	owner->length = 0;
}

static bool
judge(int http_status, VeltError *error)
{
	VeltStatus	meaning = velt_error_http_status(http_status);

	if (http_status == 200)
		return true;
	velt_error_set(error, meaning.transient || meaning.if_retry_after ?
				   meaning.kind : VELT_ERROR_PROTOCOL, "HTTP %d.",
				   http_status);
	error->transient = meaning.transient;
	error->if_retry_after = meaning.if_retry_after;
	return false;
}

static bool
note_expect(void *data, uint64_t length, VeltError *error)
{
	Owner	   *owner = data;

	owner->expected = length;
	return owner->most == 0 || length <= owner->most ||
		velt_error_set(error, VELT_ERROR_RESPONSE_SIZE, "Too long.");
}

static bool
note_receive(void *data, int http_status, const char *bytes, size_t length,
			 VeltError *error)
{
	Owner	   *owner = data;

	owner->http_status = http_status;
	for (size_t i = 0; i < length && owner->length < sizeof(owner->body) - 1;
		 i++)
		owner->body[owner->length++] = bytes[i];
	owner->body[owner->length] = '\0';
	if (owner->refuse_at == 0 || owner->length < owner->refuse_at)
		return true;
	return judge(http_status, error) &&
		velt_error_set(error, VELT_ERROR_NESTING, "Refused.");
}

static bool
note_check(void *data, int http_status, VeltError *error)
{
	Owner	   *owner = data;

	owner->nchecked++;
	owner->http_status = http_status;
	return judge(http_status, error);
}

static void
note_done(void *data, const VeltOutcome *outcome)
{
	Owner	   *owner = data;

	owner->ndone++;
	owner->transfer = NULL;
	owner->ok = outcome->error == NULL;
	if (outcome->error != NULL)
		owner->error = *outcome->error;
	owner->bytes_received = outcome->bytes_received;
	if (owner->then != NULL)
		owner->then(owner);
}

static const VeltSink sink = {note_begin, note_expect, note_receive, note_check,
note_done};

/* ----------
 * A transport, a server and owners
 * ----------
 */

void
net_open(Net *net)
{
	memset(net, 0, sizeof(*net));
	net->server = server_open("127.0.0.1");
	net->config = loop_config(server_url(net->server, "http"));
}

void
net_close(Net *net)
{
	velt_transport_destroy(net->transport);
	loop_close();
	server_free(net->server);
}

bool
net_submit(Net *net, int i, const char *body)
{
	if (net->transport == NULL)
		net->transport = loop_transport(&net->config);
	net->owners[i].transfer =
		velt_transport_submit(net->transport, "/v2/x", strdup(body), &sink,
							  &net->owners[i], &net->error);
	return net->owners[i].transfer != NULL;
}

bool
net_await_requests(Net *net, int n)
{
	int64_t		end = loop_now_ms() + PATIENCE_MS;

	while (server_requests(net->server) < n && loop_now_ms() < end)
		(void) loop_turn(net->server, SETTLED_MS, &net->error);
	return server_requests(net->server) >= n;
}

bool
net_await_done(Net *net, int i)
{
	int64_t		end = loop_now_ms() + PATIENCE_MS;

	while (net->owners[i].ndone == 0 && loop_now_ms() < end)
		(void) loop_turn(net->server, SETTLED_MS, &net->error);
	return net->owners[i].ndone == 1;
}

bool
net_exchange(Net *net, int i)
{
	int			request = server_requests(net->server);

	if (!net_submit(net, i, "{}") || !net_await_requests(net, request + 1))
		return false;
	server_answer(net->server, request, 200, "{}");
	return net_await_done(net, i) && net->owners[i].ok;
}
