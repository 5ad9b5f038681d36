/*
 * foreign/wait.h
 *		The one place that waits, and the descriptors that waiting needs.
 *
 * All sessions of the backend share one network: to wait for one of them
 * drives all of them.  Its descriptors count against fd.c's budget for external
 * descriptors; at least half of that budget is left to other extensions.
 */
#ifndef VELT_FOREIGN_WAIT_H
#define VELT_FOREIGN_WAIT_H

#include "postgres.h"

#include "client/network.h"
#include "foreign/session.h"

/* Return the backend's network, which lasts as long as the backend. */
extern VeltNetwork *velt_wait_network(void);

/*
 * Wait until something has happened to a transfer, and let the network make
 * of it what it can.  Any interrupt ends the wait at once, with an error.
 */
extern void velt_wait(VeltSession *session);

/*
 * The same in parts, for a caller that waits for other things, too: return
 * the descriptor, which becomes readable; make it readable at once; end the
 * wait and drive the network.
 */
extern int	velt_wait_begin(VeltSession *session);
extern void velt_wait_wake(VeltSession *session);
extern void velt_wait_end(VeltSession *session);

/* Let the network do what it can without waiting. */
extern void velt_wait_drive(VeltSession *session);

/* Do so if a request waits for a descriptor. */
extern void velt_wait_start_requests(VeltSession *session);

/* Give back descriptors that are not in use; raises no error. */
extern void velt_wait_release_descriptors(void);

#endif							/* VELT_FOREIGN_WAIT_H */
