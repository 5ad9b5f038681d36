/*
 * client/event_loop.h
 *		One curl multi handle behind one descriptor that can be polled.
 *
 * All sockets of the multi handle and its timer stand in one epoll set: who
 * waits for that one descriptor waits for all of them.  Knows nothing of what
 * is transferred.
 */
#ifndef VELT_CLIENT_EVENT_LOOP_H
#define VELT_CLIENT_EVENT_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/error.h"

typedef struct VeltEventLoop VeltEventLoop;

/* No time at which anything is due. */
#define VELT_NEVER		INT64_MAX

/* max_connections bounds those kept open for reuse. */
extern VeltEventLoop *velt_event_loop_create(int max_connections,
											 VeltError *error);

/* All easy handles must have been removed from the multi handle. */
extern void velt_event_loop_destroy(VeltEventLoop *loop);

extern CURLM *velt_event_loop_multi(VeltEventLoop *loop);

/* Readable while there is something for velt_event_loop_run to do. */
extern int	velt_event_loop_fd(const VeltEventLoop *loop);

/* Does what sockets and the timer call for right now; never blocks. */
extern bool velt_event_loop_run(VeltEventLoop *loop, VeltError *error);

/*
 * Lets curl begin what was added to it, without waiting; *running is the
 * number of transfers it still has.
 */
extern bool velt_event_loop_kick(VeltEventLoop *loop, int *running,
								 VeltError *error);

/*
 * Makes the descriptor readable no later than at due_ms, on the clock of
 * velt_event_loop_now, or earlier if curl so wishes.
 */
extern bool velt_event_loop_arm(VeltEventLoop *loop, int64_t due_ms,
								VeltError *error);

/* Milliseconds on a clock that only goes forward. */
extern int64_t velt_event_loop_now(void);

/* Sockets open now. */
extern int	velt_event_loop_sockets(const VeltEventLoop *loop);

/* For CURLOPT_OPENSOCKETFUNCTION and its kin, with the loop as their data. */
extern curl_socket_t velt_event_loop_open_socket(void *loop,
												 curlsocktype purpose,
												 struct curl_sockaddr *address);
extern int	velt_event_loop_close_socket(void *loop, curl_socket_t fd);

#endif							/* VELT_CLIENT_EVENT_LOOP_H */
