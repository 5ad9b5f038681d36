/*
 * test/unit/loop.h
 *		A transport and a server that take turns.
 */
#ifndef VELT_UNIT_LOOP_H
#define VELT_UNIT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "client/transport.h"
#include "server.h"

/* What has not come about in this time will not, in ms. */
#define PATIENCE_MS		5000

/* What has not happened in this time is taken not to happen, in ms. */
#define SETTLED_MS		5

#define WORKSPACE_ID	"workspace_of_test"
#define AUTH_TOKEN		"token-of/test\"1"

/* A configuration for that URL; change it before use. */
extern VeltTransportConfig loop_config(const char *url);

/* Return the network of all transports. */
extern VeltNetwork *loop_network(void);

/* End its record of attempts, and close it if no transport uses it. */
extern void loop_close(void);

/* Creates a transport, or says why not and exits. */
extern VeltTransport *loop_transport(const VeltTransportConfig *config);

/*
 * Lets both do what they can after at most timeout_ms; false if there was
 * nothing to do, or driving failed, which *error then tells.
 */
extern bool loop_turn(Server *server,
					  int timeout_ms, VeltError *error);

/* Lets both work until neither has anything more to do. */
extern void loop_settle(Server *server);

/* Lets the server alone work until it has so many requests. */
extern bool loop_serve(Server *server, int nrequests);

/*
 * The functions below let time pass on the client's clock alone, however
 * long that is: see faults_pass_time.
 */

/* Lets both work for so long. */
extern void loop_wait(Server *server, int64_t ms);

/* Somebody waits for the transport, and lets nobody work. */
extern void loop_doze(int64_t ms);

/* Nobody waits, and nobody works. */
extern void loop_idle(int64_t ms);

/* The machine's clock. */
extern int64_t loop_now_ms(void);

#endif							/* VELT_UNIT_LOOP_H */
