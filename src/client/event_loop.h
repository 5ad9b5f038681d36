/*
 * client/event_loop.h
 *		One curl multi handle behind one descriptor that can be polled.
 *
 * All sockets of the multi handle and its timer are in one epoll set, whose
 * descriptor is the one to poll.  A closed loop holds no descriptor.
 * The loop keeps a record of the sockets it opened for libcurl.
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

/*
 * Descriptors of an open loop at most: epoll set, timer, and what wakes
 * libcurl up, which is a pair or a single one.
 */
#define VELT_EVENT_LOOP_DESCRIPTORS		4

/* Create a closed loop; NULL when memory is out. */
extern VeltEventLoop *velt_event_loop_create(void);
extern void velt_event_loop_destroy(VeltEventLoop *loop);

/* Open the loop, unless it is open. */
extern bool velt_event_loop_open(VeltEventLoop *loop, VeltError *error);

/*
 * Close the loop and all its sockets.  All easy handles must have been
 * removed from the multi handle.
 */
extern void velt_event_loop_close(VeltEventLoop *loop);
extern bool velt_event_loop_is_open(const VeltEventLoop *loop);

/* Return the multi handle of an open loop. */
extern CURLM *velt_event_loop_multi(VeltEventLoop *loop);

/*
 * Return the descriptor, which is readable while velt_event_loop_run has
 * something to do; -1 if the loop is closed.
 */
extern int	velt_event_loop_fd(const VeltEventLoop *loop);

/* Do what sockets and the timer call for right now; never blocks. */
extern bool velt_event_loop_run(VeltEventLoop *loop, VeltError *error);

/*
 * Let curl begin the transfers that were added to it, nconnecting of which
 * need a new connection; never blocks.  *running is the number of transfers
 * that curl still has.
 */
extern bool velt_event_loop_kick(VeltEventLoop *loop, int nconnecting,
								 int *running, VeltError *error);

/*
 * Make the descriptor readable no later than at due_ms, on the clock of
 * velt_event_loop_now, or earlier if curl so wishes.
 */
extern bool velt_event_loop_arm(VeltEventLoop *loop, int64_t due_ms,
								VeltError *error);

/* Return milliseconds on a clock that only goes forward. */
extern int64_t velt_event_loop_now(void);

/*
 * Open and close sockets on behalf of libcurl.  The owner of a socket is an
 * opaque pointer by which sockets are counted.
 */
extern curl_socket_t velt_event_loop_open_socket(VeltEventLoop *loop,
												 const void *owner,
												 const struct curl_sockaddr *address);
extern int	velt_event_loop_close_socket(void *loop, curl_socket_t fd);

/* Count the open sockets of an owner; NULL counts all. */
extern int	velt_event_loop_sockets(VeltEventLoop *loop, const void *owner);

/*
 * Note that libcurl may have closed a socket without telling: it does so with
 * the sockets of an attempt that ends before TCP is connected.
 */
extern void velt_event_loop_recount(VeltEventLoop *loop);

#endif							/* VELT_CLIENT_EVENT_LOOP_H */
