/*
 * client/event_loop.c
 *		One curl multi handle behind one descriptor that can be polled.
 *
 * The timer is a timerfd within the epoll set.  It is set only to go off
 * earlier: a wake-up too many costs less than a system call a request.
 */
#include "client/event_loop.h"

#ifndef __linux__
#error "velt_fdw needs Linux: epoll and timerfd"
#endif

#if LIBCURL_VERSION_NUM < 0x075700
#error "velt_fdw needs libcurl 7.87 or later: CURLOPT_QUICK_EXIT"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* More events than this are left to the next call. */
#define MAX_EVENTS		64

/* Idle HTTP connections that libcurl keeps: as many as max_concurrency allows. */
#define MAX_IDLE		64L

/* Look-ups that may begin in one call to curl, two descriptors each. */
#define MAX_PAIRS		64

/* A socket; the inode tells it from a later one of the same number. */
typedef struct Socket
{
	int			fd;
	ino_t		inode;
	const void *owner;
} Socket;

struct VeltEventLoop
{
	CURLM	   *multi;			/* NULL: the loop is closed */
	int			epoll_fd;
	int			timer_fd;
	int64_t		curl_due_ms;	/* when curl wants to be called */
	int64_t		armed_ms;		/* when the timer goes off */

	Socket	   *sockets;
	int			nsockets;
	int			nallocated;
	bool		recount;		/* some sockets may have been closed */
};

int64_t
velt_event_loop_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
system_error(const char *what, VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_SYSTEM, "%s: %s.", what,
						  strerror(errno));
}

static bool
multi_error(CURLMcode code, VeltError *error)
{
	return velt_error_set(error, VELT_ERROR_SYSTEM, "libcurl: %s.",
						  curl_multi_strerror(code));
}

/* curl wants to know of a socket's readiness, or no more. */
static int
watch_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *known)
{
	VeltEventLoop *loop = data;
	struct epoll_event event = {0};

	(void) easy;
	if (what == CURL_POLL_REMOVE)
	{
		/* one that is closed already has left the set by itself */
		(void) epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
		return 0;
	}
	event.data.fd = fd;
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) |
		(what & CURL_POLL_OUT ? EPOLLOUT : 0);
	if (epoll_ctl(loop->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
				  &event) != 0)
		return -1;
	curl_multi_assign(loop->multi, fd, loop);
	return 0;
}

static int
watch_timer(CURLM *multi, long timeout_ms, void *data)
{
	VeltEventLoop *loop = data;

	(void) multi;
	loop->curl_due_ms = timeout_ms < 0 ? VELT_NEVER :
		velt_event_loop_now() + timeout_ms;
	return 0;
}

/* ----------
 * Sockets
 * ----------
 */

/* Return the inode of an open descriptor; 0 if it is closed. */
static ino_t
inode_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/* Return the record of a descriptor's number, or NULL. */
static Socket *
find_socket(VeltEventLoop *loop, int fd)
{
	for (int i = 0; i < loop->nsockets; i++)
	{
		if (loop->sockets[i].fd == fd)
			return &loop->sockets[i];
	}
	return NULL;
}

static void
forget_socket(VeltEventLoop *loop, Socket *known)
{
	*known = loop->sockets[--loop->nsockets];
}

static Socket *
add_socket(VeltEventLoop *loop)
{
	if (loop->nsockets == loop->nallocated)
	{
		int			n = loop->nallocated * 2 + 8;
		Socket	   *longer = realloc(loop->sockets, n * sizeof(Socket));

		if (longer == NULL)
			return NULL;
		loop->sockets = longer;
		loop->nallocated = n;
	}
	return &loop->sockets[loop->nsockets++];
}

curl_socket_t
velt_event_loop_open_socket(VeltEventLoop *loop, const void *owner,
							const struct curl_sockaddr *address)
{
	int			fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
							address->protocol);
	Socket	   *record;

	if (fd < 0)
		return CURL_SOCKET_BAD;
	/* one of the same number has been closed without telling */
	record = find_socket(loop, fd);
	if (record == NULL)
		record = add_socket(loop);
	if (record == NULL)
	{
		close(fd);
		return CURL_SOCKET_BAD;
	}
	record->fd = fd;
	record->inode = inode_of(fd);
	record->owner = owner;
	return fd;
}

int
velt_event_loop_close_socket(void *data, curl_socket_t fd)
{
	VeltEventLoop *loop = data;
	Socket	   *record = find_socket(loop, fd);

	if (record != NULL)
		forget_socket(loop, record);
	return close(fd);
}

void
velt_event_loop_recount(VeltEventLoop *loop)
{
	loop->recount = true;
}

int
velt_event_loop_sockets(VeltEventLoop *loop, const void *owner)
{
	int			n = 0;

	for (int i = loop->recount ? loop->nsockets - 1 : -1; i >= 0; i--)
	{
		if (inode_of(loop->sockets[i].fd) != loop->sockets[i].inode)
			forget_socket(loop, &loop->sockets[i]);
	}
	loop->recount = false;
	for (int i = 0; i < loop->nsockets; i++)
		n += owner == NULL || loop->sockets[i].owner == owner;
	return n;
}

/* ----------
 * Descriptors of libcurl's own
 * ----------
 */

/* Numbers that the next descriptors will have. */
typedef struct Upcoming
{
	int			fds[2 * MAX_PAIRS];
	int			n;
} Upcoming;

/*
 * Note the numbers of the next n descriptors to be opened.  libcurl opens
 * pairs of its own without close-on-exec, and has no call that tells their
 * numbers.
 */
static void
note_upcoming(Upcoming *upcoming, int n)
{
	upcoming->n = 0;
	for (int fd = 0; upcoming->n < n && upcoming->n < 2 * MAX_PAIRS; fd++)
	{
		if (fcntl(fd, F_GETFD) < 0)
			upcoming->fds[upcoming->n++] = fd;
	}
}

/* Keep child processes from inheriting those that are open by now. */
static void
guard_upcoming(const Upcoming *upcoming)
{
	for (int i = 0; i < upcoming->n; i++)
	{
		int			flags = fcntl(upcoming->fds[i], F_GETFD);

		if (flags >= 0 && !(flags & FD_CLOEXEC))
			(void) fcntl(upcoming->fds[i], F_SETFD, flags | FD_CLOEXEC);
	}
}

/* ----------
 * Opening and closing
 * ----------
 */

static bool
open_timer(VeltEventLoop *loop, VeltError *error)
{
	struct epoll_event event = {.events = EPOLLIN};

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return system_error("Could not create an epoll set", error);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC,
									TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd < 0)
		return system_error("Could not create a timer", error);
	event.data.fd = loop->timer_fd;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->timer_fd, &event) != 0)
		return system_error("Could not watch a timer", error);
	return true;
}

static bool
open_multi(VeltEventLoop *loop, VeltError *error)
{
	Upcoming	pair;

	note_upcoming(&pair, 2);
	loop->multi = curl_multi_init();
	guard_upcoming(&pair);
	if (loop->multi == NULL)
		return velt_error_out_of_memory(error);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, MAX_IDLE);
#if LIBCURL_VERSION_NUM >= 0x081400
	/* a resolver thread that hangs must not hold up a backend's end */
	curl_multi_setopt(loop->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	return true;
}

VeltEventLoop *
velt_event_loop_create(void)
{
	VeltEventLoop *loop = calloc(1, sizeof(VeltEventLoop));

	if (loop == NULL)
		return NULL;
	loop->epoll_fd = loop->timer_fd = -1;
	loop->curl_due_ms = loop->armed_ms = VELT_NEVER;
	return loop;
}

bool
velt_event_loop_open(VeltEventLoop *loop, VeltError *error)
{
	if (loop->multi != NULL)
		return true;
	if (open_timer(loop, error) && open_multi(loop, error))
		return true;
	velt_event_loop_close(loop);
	return false;
}

void
velt_event_loop_close(VeltEventLoop *loop)
{
	/* closes connections, which takes them off the epoll set */
	if (loop->multi != NULL)
		curl_multi_cleanup(loop->multi);
	if (loop->timer_fd >= 0)
		close(loop->timer_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->multi = NULL;
	loop->epoll_fd = loop->timer_fd = -1;
	loop->curl_due_ms = loop->armed_ms = VELT_NEVER;
	loop->recount = true;
}

void
velt_event_loop_destroy(VeltEventLoop *loop)
{
	if (loop == NULL)
		return;
	velt_event_loop_close(loop);
	free(loop->sockets);
	free(loop);
}

bool
velt_event_loop_is_open(const VeltEventLoop *loop)
{
	return loop->multi != NULL;
}

CURLM *
velt_event_loop_multi(VeltEventLoop *loop)
{
	return loop->multi;
}

int
velt_event_loop_fd(const VeltEventLoop *loop)
{
	return loop->epoll_fd;
}

/* ----------
 * Running
 * ----------
 */

/* Takes the timer's signal off the descriptor. */
static void
drain_timer(VeltEventLoop *loop)
{
	uint64_t	expirations;
	ssize_t		got = read(loop->timer_fd, &expirations, sizeof(expirations));

	(void) got;					/* that it had none is no error */
	loop->armed_ms = VELT_NEVER;
}

static int
socket_action_flags(uint32_t events)
{
	return (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
		(events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
		(events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

bool
velt_event_loop_run(VeltEventLoop *loop, VeltError *error)
{
	struct epoll_event events[MAX_EVENTS];
	int			nevents = epoll_wait(loop->epoll_fd, events, MAX_EVENTS, 0);
	CURLMcode	code = CURLM_OK;
	int			running;

	if (nevents < 0 && errno != EINTR)
		return system_error("Could not poll sockets", error);
	for (int i = 0; i < nevents && code == CURLM_OK; i++)
	{
		if (events[i].data.fd == loop->timer_fd)
			drain_timer(loop);
		else
			code = curl_multi_socket_action(loop->multi, events[i].data.fd,
											socket_action_flags(events[i].events),
											&running);
	}
	if (code != CURLM_OK)
		return multi_error(code, error);
	if (loop->curl_due_ms <= velt_event_loop_now())
		return velt_event_loop_kick(loop, 0, &running, error);
	return true;
}

bool
velt_event_loop_kick(VeltEventLoop *loop, int nconnecting, int *running,
					 VeltError *error)
{
	CURLMcode	code;
	Upcoming	pairs;

	/* a look-up has a pair */
	note_upcoming(&pairs, 2 * nconnecting);
	/* curl sets it again while it is at it, if there is more to come */
	loop->curl_due_ms = VELT_NEVER;
	code = curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0,
									running);
	guard_upcoming(&pairs);
	return code == CURLM_OK || multi_error(code, error);
}

bool
velt_event_loop_arm(VeltEventLoop *loop, int64_t due_ms, VeltError *error)
{
	struct itimerspec timer = {0};

	if (loop->curl_due_ms < due_ms)
		due_ms = loop->curl_due_ms;
	if (due_ms >= loop->armed_ms)
		return true;
	/* 0 would disarm it: what is due at once is due in the past */
	timer.it_value.tv_sec = due_ms / 1000;
	timer.it_value.tv_nsec = (due_ms % 1000) * 1000000 + 1;
	if (timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &timer, NULL) != 0)
		return system_error("Could not set a timer", error);
	loop->armed_ms = due_ms;
	return true;
}
