/*
 * test/unit/net.h
 *		A transport, a server, and owners of transfers that write down what
 *		they hear.
 */
#ifndef VELT_UNIT_NET_H
#define VELT_UNIT_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/transport.h"
#include "loop.h"
#include "server.h"

/* Shorter than patience, longer than any step takes under valgrind. */
#define SHORT_MS	200

#define MAX_OWNERS	20

#define HEAD(status, fields) \
	"HTTP/1.1 " status " Whatever\r\n" fields "\r\n"

typedef struct Owner
{
	VeltTransfer *transfer;
	int			nbegun;
	char		body[4096];
	size_t		length;
	int			http_status;
	uint64_t	expected;		/* bytes of body, by the headers; 0: unsaid */
	uint64_t	most;			/* refuses headers with more; 0: none */
	size_t		refuse_at;		/* refuses bytes from there on; 0: none */
	int			nchecked;
	int			ndone;
	bool		ok;
	VeltError	error;
	int64_t		bytes_received;
	void		(*then) (struct Owner *owner);	/* when done */
	void	   *data;
} Owner;

typedef struct Net
{
	Server	   *server;
	VeltTransportConfig config;
	VeltTransport *transport;
	Owner		owners[MAX_OWNERS];
	VeltError	error;
} Net;

/* Prepares both; change the configuration before the first request. */
extern void net_open(Net *net);
extern void net_close(Net *net);

/*
 * A request of owner i, who takes 200 alone for an answer, and for an error
 * that may pass what is one by its HTTP status, with Retry-After or without.
 */
extern bool net_submit(Net *net, int i, const char *body);

/* Lets both work until the server has so many requests. */
extern bool net_await_requests(Net *net, int n);

/* Lets both work until owner i is done. */
extern bool net_await_done(Net *net, int i);

/* A request, and 200 with {} for it. */
extern bool net_exchange(Net *net, int i);

#endif							/* VELT_UNIT_NET_H */
