/*
 * test/unit/unit.h
 *		The tests of client/, a function a module.
 *
 * Links the client and what it needs, and no PostgreSQL.
 */
#ifndef VELT_UNIT_UNIT_H
#define VELT_UNIT_UNIT_H

extern void test_attempts(void);
extern void test_buffer(void);
extern void test_pages(void);
extern void test_cursor(void);
extern void test_error(void);
extern void test_joining(void);
extern void test_json(void);
extern void test_limits(void);
extern void test_memory(void);
extern void test_network(void);
extern void test_page(void);
extern void test_request(void);
extern void test_resource(void);
extern void test_restarts(void);
extern void test_retry(void);
extern void test_transport(void);
extern void test_url(void);

#endif							/* VELT_UNIT_UNIT_H */
