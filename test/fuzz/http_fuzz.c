/*
 * test/fuzz/http_fuzz.c
 *		client/transport, transfer, page: a response as it is on the wire,
 *		status line and headers included.
 *
 * Input: the bytes that a server on loopback sends, before it closes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/page.h"
#include "fuzz.h"
#include "loop.h"

/* What takes longer hangs: nothing in here waits for time to pass. */
#define PATIENCE_STEPS	20

#define MAX_BYTES		((size_t) 64 * 1024)

/* An owner as a cursor is one. */
typedef struct Owner
{
	VeltPage   *page;
	int			ndone;
	VeltError	error;
} Owner;

static void
begin(void *data)
{
	velt_page_begin(((Owner *) data)->page, velt_string("key", 3));
}

static bool
expect(void *owner, uint64_t length, VeltError *error)
{
	return velt_page_expect(((Owner *) owner)->page, length, error);
}

static bool
receive(void *data, int http_status, const char *bytes, size_t length,
		VeltError *error)
{
	must(length == 0 || bytes != NULL);
	return velt_page_receive(((Owner *) data)->page, http_status, bytes,
							 length, error);
}

static bool
check(void *data, int http_status, VeltError *error)
{
	return velt_page_finish(((Owner *) data)->page, http_status, error);
}

static void
done(void *data, const VeltOutcome *outcome)
{
	Owner	   *owner = data;

	owner->ndone++;
	if (outcome->error != NULL)
		owner->error = *outcome->error;
	must(outcome->bytes_received >= 0);
	must(outcome->request_id != NULL);
}

static const VeltSink sink = {
	.begin = begin,
	.expect = expect,
	.receive = receive,
	.check = check,
	.done = done,
};

static void
check_error(const VeltError *error)
{
	static const VeltCredentials credentials = {WORKSPACE_ID, AUTH_TOKEN};

	must(error->kind < VELT_ERROR_KINDS);
	/* what a server sends is not this machine's fault */
	must(error->kind != VELT_ERROR_SYSTEM &&
		 error->kind != VELT_ERROR_CERTIFICATE &&
		 error->kind != VELT_ERROR_OUT_OF_MEMORY);
	must(is_utf8(error->detail, strlen(error->detail)));
	must(is_utf8(error->request_id, strlen(error->request_id)));
	must(!velt_error_has_credentials(error->detail, strlen(error->detail),
									 &credentials));
	must(!velt_error_has_credentials(error->request_id,
									 strlen(error->request_id), &credentials));
}

/* Until it is over, or put off. */
static void
exchange(VeltTransport *transport, Server *server, Owner *owner,
		 const uint8_t *data, size_t size)
{
	VeltError	error = {0};
	bool		sent = false;

	for (int idle = 0; idle < PATIENCE_STEPS && owner->ndone == 0;)
	{
		if (velt_transport_phase(transport) == VELT_PHASE_BACKOFF)
			return;
		if (!sent && server_requests(server) > 0)
		{
			server_send(server, 0, (const char *) data, size, true);
			sent = true;
		}
		/* after a quiet second nothing will come any more */
		idle = loop_turn(server, 50, &error) ? 0 : idle + 1;
		must(error.kind == VELT_ERROR_NONE);
	}
	must(owner->ndone == 1);
}

static void
check_outcome(VeltTransport *transport, Owner *owner)
{
	VeltNotice	notice;

	if (owner->ndone == 0)
	{
		must(velt_network_take_notice(loop_network(), &notice));
		must(notice.wait_ms > 0 && notice.cause.transient);
		owner->error = notice.cause;
	}
	if (owner->error.kind == VELT_ERROR_NONE)
	{
		while (velt_page_next_row(owner->page,
								  &owner->error) < VELT_PAGE_END)
			continue;
	}
	check_error(&owner->error);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Server	   *server = server_open("127.0.0.1");
	VeltTransportConfig config = loop_config(server_url(server, "http"));
	VeltTransport *transport;
	VeltLayout *layout;
	Owner		owner = {0};
	VeltError	error;

	/* once: a connection that breaks off before an answer is not tried anew */
	config.retry_timeout_ms = size > 0 && data[0] == 'H' ? 86400000 : 0;
	transport = loop_transport(&config);
	layout = velt_layout_create(velt_resource_find("api_keys"), NULL, 0,
								velt_transport_credentials(transport),
								MAX_BYTES, &error);
	owner.page = velt_page_create(layout, &error);
	must(velt_transport_submit(transport, "/v2/x", strdup("{}"), &sink, &owner,
							   &error) != NULL);
	exchange(transport, server, &owner, data, size);
	check_outcome(transport, &owner);
	velt_transport_destroy(transport);
	loop_close();
	velt_page_free(owner.page);
	velt_layout_free(layout);
	server_free(server);
	return 0;
}
