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
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* More events than this are left to the next call. */
#define MAX_EVENTS		64

struct VeltEventLoop
{
	CURLM	   *multi;
	int			epoll_fd;
	int			timer_fd;
	int64_t		curl_due_ms;	/* when curl wants to be called */
	int64_t		armed_ms;		/* when the timer goes off */
	int			nsockets;
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

curl_socket_t
velt_event_loop_open_socket(void *data, curlsocktype purpose,
							struct curl_sockaddr *address)
{
	VeltEventLoop *loop = data;
	int			fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
							address->protocol);

	(void) purpose;
	if (fd < 0)
		return CURL_SOCKET_BAD;
	loop->nsockets++;
	return fd;
}

int
velt_event_loop_close_socket(void *data, curl_socket_t fd)
{
	VeltEventLoop *loop = data;

	loop->nsockets--;
	return close(fd);
}

static bool
open_descriptors(VeltEventLoop *loop, VeltError *error)
{
	struct epoll_event event = {.events = EPOLLIN};

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return system_error("An epoll set could not be made", error);
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC,
									TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer_fd < 0)
		return system_error("A timer could not be made", error);
	event.data.fd = loop->timer_fd;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->timer_fd, &event) != 0)
		return system_error("A timer could not be watched", error);
	return true;
}

VeltEventLoop *
velt_event_loop_create(int max_connections, VeltError *error)
{
	VeltEventLoop *loop = calloc(1, sizeof(VeltEventLoop));

	if (loop == NULL)
	{
		velt_error_out_of_memory(error);
		return NULL;
	}
	loop->epoll_fd = loop->timer_fd = -1;
	loop->curl_due_ms = loop->armed_ms = VELT_NEVER;
	loop->multi = curl_multi_init();
	if (loop->multi == NULL)
		velt_error_out_of_memory(error);
	if (loop->multi == NULL || !open_descriptors(loop, error))
	{
		velt_event_loop_destroy(loop);
		return NULL;
	}
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, watch_timer);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS,
					  (long) max_connections);
#if LIBCURL_VERSION_NUM >= 0x081400
	/* a resolver thread that hangs must not hold up a backend's end */
	curl_multi_setopt(loop->multi, CURLMOPT_QUICK_EXIT, 1L);
#endif
	return loop;
}

void
velt_event_loop_destroy(VeltEventLoop *loop)
{
	if (loop == NULL)
		return;
	/* closes connections, which takes them off the epoll set */
	if (loop->multi != NULL)
		curl_multi_cleanup(loop->multi);
	if (loop->timer_fd >= 0)
		close(loop->timer_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
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

int
velt_event_loop_sockets(const VeltEventLoop *loop)
{
	return loop->nsockets;
}

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
		return system_error("The sockets could not be polled", error);
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
		return velt_event_loop_kick(loop, &running, error);
	return true;
}

bool
velt_event_loop_kick(VeltEventLoop *loop, int *running, VeltError *error)
{
	CURLMcode	code;

	/* curl sets it anew while it is at it, if there is more to come */
	loop->curl_due_ms = VELT_NEVER;
	code = curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0,
									running);
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
		return system_error("A timer could not be set", error);
	loop->armed_ms = due_ms;
	return true;
}
