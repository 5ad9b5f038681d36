/*
 * test/unit/server.c
 *		An HTTP/1.1 server in the test's own thread.
 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS		128

typedef struct Bytes
{
	char	   *data;			/* with a NUL behind */
	size_t		length;
} Bytes;

typedef struct Connection
{
	int			fd;				/* -1: closed */
	Bytes		in;
	Bytes		out;
	bool		last;			/* close when all is sent */
} Connection;

struct Server
{
	int			fd;
	char		address[64];
	int			port;
	char		url[100];
	Handler		handler;
	void	   *data;
	Connection	connections[MAX_CONNECTIONS];
	int			nconnections;
	Request    *requests;
	int			nrequests;
};

static void
append(Bytes *bytes, const char *data, size_t length)
{
	bytes->data = realloc(bytes->data, bytes->length + length + 1);
	memcpy(bytes->data + bytes->length, data, length);
	bytes->length += length;
	bytes->data[bytes->length] = '\0';
}

static void
consume(Bytes *bytes, size_t length)
{
	bytes->length -= length;
	memmove(bytes->data, bytes->data + length, bytes->length + 1);
}

/* ----------
 * Opening and closing
 * ----------
 */

static void
must(bool done, const char *what)
{
	if (done)
		return;
	perror(what);
	exit(2);
}

/* Listens on the server's address and port; on any port, if that is 0. */
static void
open_port(Server *server)
{
	struct sockaddr_in name = {.sin_family = AF_INET};
	socklen_t	size = sizeof(name);
	int			on = 1;

	inet_pton(AF_INET, server->address, &name.sin_addr);
	name.sin_port = htons(server->port);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
						0);
	must(server->fd >= 0, "socket");
	setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	must(bind(server->fd, (struct sockaddr *) &name, size) == 0, "bind");
	must(listen(server->fd, MAX_CONNECTIONS) == 0, "listen");
	must(getsockname(server->fd, (struct sockaddr *) &name, &size) == 0,
		 "getsockname");
	server->port = ntohs(name.sin_port);
}

Server *
server_open(const char *address)
{
	Server	   *server = calloc(1, sizeof(Server));

	snprintf(server->address, sizeof(server->address), "%s", address);
	open_port(server);
	return server;
}

void
server_reopen_port(Server *server)
{
	open_port(server);
}

void
server_close_port(Server *server)
{
	if (server->fd >= 0)
		close(server->fd);
	server->fd = -1;
}

static void
close_connection(Connection *connection)
{
	if (connection->fd >= 0)
		close(connection->fd);
	connection->fd = -1;
	free(connection->in.data);
	free(connection->out.data);
	memset(&connection->in, 0, sizeof(Bytes));
	memset(&connection->out, 0, sizeof(Bytes));
}

void
server_free(Server *server)
{
	server_close_port(server);
	for (int i = 0; i < server->nconnections; i++)
		close_connection(&server->connections[i]);
	for (int i = 0; i < server->nrequests; i++)
	{
		free(server->requests[i].head);
		free(server->requests[i].body);
	}
	free(server->requests);
	free(server);
}

void
server_handle(Server *server, Handler handler, void *data)
{
	server->handler = handler;
	server->data = data;
}

const char *
server_url(Server *server, const char *scheme)
{
	snprintf(server->url, sizeof(server->url), "%s://%s:%d", scheme,
			 server->address, server->port);
	return server->url;
}

/* ----------
 * Taking and giving
 * ----------
 */

/* The next connection's descriptor, or -1. */
static int
accept_next(const Server *server)
{
	if (server->fd < 0 || server->nconnections == MAX_CONNECTIONS)
		return -1;
	/* cppcheck-suppress nullPointer ; whoever connects need not be told */
	return accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void
accept_all(Server *server)
{
	int			fd;
	int			on = 1;

	while ((fd = accept_next(server)) >= 0)
	{
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		server->connections[server->nconnections++].fd = fd;
	}
}

/* Takes one whole request off the connection; false if there is none. */
static bool
take_request(Server *server, int number)
{
	Bytes	   *in = &server->connections[number].in;
	char	   *end = in->data ? strstr(in->data, "\r\n\r\n") : NULL;
	char	   *length = (in->data ?
						  strcasestr(in->data, "content-length:") : NULL);
	size_t		head = end ? end + 4 - in->data : 0;
	size_t		body = length && length < end ? atol(length + 15) : 0;
	Request    *request;

	if (end == NULL || in->length < head + body)
		return false;
	server->requests = realloc(server->requests, (server->nrequests + 1) *
							   sizeof(Request));
	request = &server->requests[server->nrequests++];
	request->connection = number;
	request->head = strndup(in->data, head);
	request->body = strndup(in->data + head, body);
	request->path = strchr(request->head, ' ') + 1;
	request->answered = false;
	consume(in, head + body);
	if (server->handler != NULL)
		server->handler(server, server->nrequests - 1, server->data);
	return true;
}

static void
read_connection(Server *server, int number)
{
	Connection *connection = &server->connections[number];
	char		bytes[16384];
	ssize_t		got;

	while (connection->fd >= 0 &&
		   (got = read(connection->fd, bytes, sizeof(bytes))) != -1)
	{
		if (got == 0)
		{
			close_connection(connection);
			return;
		}
		append(&connection->in, bytes, got);
	}
	if (connection->fd >= 0 && errno != EAGAIN)
	{
		close_connection(connection);
		return;
	}
	while (take_request(server, number))
		continue;
}

static void
write_connection(Connection *connection)
{
	ssize_t		sent = 0;

	while (connection->fd >= 0 && connection->out.length > 0 &&
		   (sent = write(connection->fd, connection->out.data,
						 connection->out.length)) > 0)
		consume(&connection->out, sent);
	if (connection->fd < 0)
		return;
	if ((connection->last && connection->out.length == 0) ||
		(sent < 0 && errno != EAGAIN))
		close_connection(connection);
}

void
server_work(Server *server)
{
	accept_all(server);
	for (int i = 0; i < server->nconnections; i++)
	{
		read_connection(server, i);
		write_connection(&server->connections[i]);
	}
}

static void
want_events(struct pollfd *polled, int fd, short events)
{
	polled->fd = fd;
	polled->events = events;
	polled->revents = 0;
}

int
server_descriptors(Server *server, struct pollfd *polled, int max)
{
	int			n = 0;

	if (server->fd >= 0)
		want_events(&polled[n++], server->fd, POLLIN);
	for (int i = 0; i < server->nconnections && n < max; i++)
	{
		const Connection *connection = &server->connections[i];

		if (connection->fd >= 0)
			want_events(&polled[n++], connection->fd,
						connection->out.length > 0 ? POLLIN | POLLOUT : POLLIN);
	}
	return n;
}

/* ----------
 * What came
 * ----------
 */

int
server_requests(const Server *server)
{
	return server->nrequests;
}

const Request *
server_request(const Server *server, int request)
{
	return &server->requests[request];
}

int
server_connections(const Server *server)
{
	return server->nconnections;
}

size_t
server_unread(const Server *server)
{
	size_t		unread = 0;

	for (int i = 0; i < server->nconnections; i++)
		unread += server->connections[i].in.length;
	return unread;
}

/* ----------
 * Answers
 * ----------
 */

void
server_send(Server *server, int request, const char *bytes, size_t length,
			bool last)
{
	int			number = server->requests[request].connection;
	Connection *connection = &server->connections[number];

	server->requests[request].answered = true;
	if (connection->fd < 0)
		return;
	append(&connection->out, bytes, length);
	connection->last = last;
	write_connection(connection);
}

void
server_answer(Server *server, int request, int status, const char *body)
{
	char		head[200];
	int			length = snprintf(head, sizeof(head),
								  "HTTP/1.1 %d Whatever\r\n"
								  "Content-Type: application/json\r\n"
								  "Content-Length: %zu\r\n\r\n",
								  status, strlen(body));

	server_send(server, request, head, length, false);
	server_send(server, request, body, strlen(body), false);
}

void
server_reset(Server *server, int request)
{
	int			number = server->requests[request].connection;
	Connection *connection = &server->connections[number];
	struct linger linger = {1, 0};

	server->requests[request].answered = true;
	if (connection->fd < 0)
		return;
	setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close_connection(connection);
}

void
server_close_idle(Server *server)
{
	for (int i = 0; i < server->nconnections; i++)
	{
		bool		busy = false;

		for (int j = 0; j < server->nrequests; j++)
			busy = busy || (server->requests[j].connection == i &&
							!server->requests[j].answered);
		if (!busy)
			close_connection(&server->connections[i]);
	}
}
