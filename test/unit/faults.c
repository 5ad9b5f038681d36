/*
 * test/unit/faults.c
 *		Calls of the client that fail on demand, and its clock.
 */
#include "faults.h"

#include <curl/curl.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

static long calls_left = -1;
static bool goes_on;
static bool struck;

void
faults_arm(long pass, bool forever)
{
	calls_left = pass;
	goes_on = forever;
	struck = false;
}

bool
faults_struck(void)
{
	return struck;
}

static bool
due(void)
{
	if (calls_left < 0)
		return struck && goes_on;
	if (calls_left-- > 0)
		return false;
	struck = true;
	errno = ENOMEM;
	return true;
}

/* The same call under another name; "failure" instead when one is due. */
#define FAULTY(type, name, parameters, arguments, failure) \
	extern type faulty_##name parameters; \
	type \
	faulty_##name parameters \
	{ \
		return due() ? (failure) : name arguments; \
	}

FAULTY(void *, malloc, (size_t size), (size), NULL)
FAULTY(void *, calloc, (size_t n, size_t size), (n, size), NULL)
FAULTY(void *, realloc, (void *old, size_t size), (old, size), NULL)
FAULTY(char *, strdup, (const char *string), (string), NULL)

FAULTY(int, epoll_create1, (int flags), (flags), -1)
FAULTY(int, epoll_wait,
	   (int set, struct epoll_event *events, int max, int timeout),
	   (set, events, max, timeout), -1)
FAULTY(int, socket, (int domain, int type, int protocol),
	   (domain, type, protocol), -1)

/* ----------
 * The clock
 * ----------
 */

#define MAX_DESCRIPTOR	1024

/* How far the client's clock is ahead of the machine's. */
static int64_t ahead_ms;

/* When the timer of a descriptor goes off, on the client's clock; 0: never. */
static int64_t due_ns[MAX_DESCRIPTOR];

static int64_t
nanoseconds(const struct timespec *time)
{
	return (int64_t) time->tv_sec * 1000000000 + time->tv_nsec;
}

extern int	faulty_clock_gettime(clockid_t clock, struct timespec *now);
int
faulty_clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result = clock_gettime(clock, now);
	int64_t		ns = nanoseconds(now) + ahead_ms * 1000000;

	now->tv_sec = ns / 1000000000;
	now->tv_nsec = ns % 1000000000;
	return result;
}

int64_t
faults_now_ms(void)
{
	struct timespec now;

	(void) faulty_clock_gettime(CLOCK_MONOTONIC, &now);
	return nanoseconds(&now) / 1000000;
}

/* Sets a timer to go off at that time on the client's clock. */
static int
set_timer(int fd, int64_t ns)
{
	int64_t		real = ns - ahead_ms * 1000000;
	struct itimerspec timer = {0};

	/* in the past is at once; 0 would be never */
	if (ns != 0 && real < 1)
		real = 1;
	timer.it_value.tv_sec = ns == 0 ? 0 : real / 1000000000;
	timer.it_value.tv_nsec = ns == 0 ? 0 : real % 1000000000;
	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL);
}

extern int	faulty_timerfd_create(int clock, int flags);
int
faulty_timerfd_create(int clock, int flags)
{
	int			fd = due() ? -1 : timerfd_create(clock, flags);

	if (fd >= 0 && fd < MAX_DESCRIPTOR)
		due_ns[fd] = 0;
	return fd;
}

extern int	faulty_timerfd_settime(int fd, int flags,
								   const struct itimerspec *new,
								   struct itimerspec *old);
int
faulty_timerfd_settime(int fd, int flags, const struct itimerspec *new,
					   struct itimerspec *old)
{
	if (due())
		return -1;
	if (!(flags & TFD_TIMER_ABSTIME) || old != NULL || fd >= MAX_DESCRIPTOR)
		abort();				/* the client does nothing of the kind */
	due_ns[fd] = nanoseconds(&new->it_value);
	return set_timer(fd, due_ns[fd]);
}

void
faults_pass_time(int64_t ms)
{
	int64_t		before = faults_now_ms() * 1000000;

	ahead_ms += ms;
	/* one that has gone off stays so, one that is closed takes no harm */
	for (int fd = 0; fd < MAX_DESCRIPTOR; fd++)
	{
		if (due_ns[fd] > before)
			(void) set_timer(fd, due_ns[fd]);
	}
}

/* To take a descriptor off a set needs no memory, and does not fail. */
extern int	faulty_epoll_ctl(int set, int op, int fd,
							 struct epoll_event *event);
int
faulty_epoll_ctl(int set, int op, int fd, struct epoll_event *event)
{
	return op != EPOLL_CTL_DEL && due() ? -1 : epoll_ctl(set, op, fd, event);
}

FAULTY(CURL *, curl_easy_init, (void), (), NULL)
FAULTY(CURLM *, curl_multi_init, (void), (), NULL)
FAULTY(CURLMcode, curl_multi_add_handle, (CURLM *multi, CURL *easy),
	   (multi, easy), CURLM_OUT_OF_MEMORY)
FAULTY(CURLMcode, curl_multi_socket_action,
	   (CURLM *multi, curl_socket_t fd, int events, int *running),
	   (multi, fd, events, running), CURLM_OUT_OF_MEMORY)
FAULTY(CURLSH *, curl_share_init, (void), (), NULL)
FAULTY(struct curl_slist *, curl_slist_append,
	   (struct curl_slist *list, const char *text), (list, text), NULL)
FAULTY(CURLU *, curl_url, (void), (), NULL)

FAULTY(int, json_object_array_add,
	   (struct json_object *array, struct json_object *value),
	   (array, value), -1)
FAULTY(struct json_object *, json_object_new_array_ext, (int size), (size),
	   NULL)
FAULTY(struct json_object *, json_object_new_int, (int32_t value), (value),
	   NULL)
FAULTY(struct json_object *, json_object_new_object, (void), (), NULL)
FAULTY(struct json_object *, json_object_new_string_len,
	   (const char *text, const int length), (text, length), NULL)
FAULTY(int, json_object_object_add,
	   (struct json_object *object, const char *name,
		struct json_object *value),
	   (object, name, value), -1)
FAULTY(const char *, json_object_to_json_string_ext,
	   (struct json_object *object, int flags), (object, flags), NULL)
