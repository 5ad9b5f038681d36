/*
 * test/unit/server.h
 *		An HTTP/1.1 server in the test's own thread.
 *
 * It listens on loopback and does nothing by itself: server_work takes what
 * has come and sends what is to go, without waiting.  So a test decides, step
 * by step, who moves, and sees every request.
 */
#ifndef VELT_UNIT_SERVER_H
#define VELT_UNIT_SERVER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Server Server;

typedef struct Request
{
	int			connection;
	char	   *head;			/* request line and headers */
	char	   *body;
	const char *path;			/* in head, to its end */
	bool		answered;
} Request;

/* Called for each request; what it does not answer, the test may later. */
typedef void (*Handler) (Server *server, int request, void *data);

/* On the given address, "127.0.0.1" or another of this machine's. */
extern Server *server_open(const char *address);
extern void server_free(Server *server);
extern void server_handle(Server *server, Handler handler, void *data);

/* "http://address:port" or with another scheme; in memory of the server. */
extern const char *server_url(Server *server, const char *scheme);

/* No connection will be made to it from now on: its port is closed. */
extern void server_close_port(Server *server);

/* ... or open again: the same one. */
extern void server_reopen_port(Server *server);

extern int	server_descriptors(Server *server, struct pollfd *polled, int max);
extern void server_work(Server *server);

/* Requests that came, and connections that were made, ever. */
extern int	server_requests(const Server *server);
extern const Request *server_request(const Server *server, int request);
extern int	server_connections(const Server *server);

/* Bytes that connections sent which are no whole request yet. */
extern size_t server_unread(const Server *server);

extern void server_answer(Server *server, int request, int status,
						  const char *body);

/* Any bytes; then the connection is closed, if "last". */
extern void server_send(Server *server, int request, const char *bytes,
						size_t length, bool last);

/* Closes the request's connection with a reset. */
extern void server_reset(Server *server, int request);

/* Closes the connections that have no request to be answered. */
extern void server_close_idle(Server *server);

#endif							/* VELT_UNIT_SERVER_H */
