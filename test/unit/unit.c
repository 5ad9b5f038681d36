/*
 * test/unit/unit.c
 *		Runs the tests of client/: all, or those of the modules named.
 */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"

/* A test that hangs ends here, also under valgrind. */
#define PATIENCE_SECONDS	300

typedef struct Module
{
	const char *name;
	void		(*test) (void);
} Module;

static const Module modules[] = {
	{"buffer", test_buffer},
	{"error", test_error},
	{"url", test_url},
	{"resource", test_resource},
	{"request", test_request},
	{"json", test_json},
	{"page", test_page},
	{"paging", test_pages},
	{"retry", test_retry},
	{"network", test_network},
	{"transport", test_transport},
	{"attempts", test_attempts},
	{"cursor", test_cursor},
	{"joining", test_joining},
	{"limits", test_limits},
	{"memory", test_memory},
	{"restarts", test_restarts},
};

static bool
wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return argc == 1;
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	alarm(PATIENCE_SECONDS);
	for (size_t i = 0; i < LENGTH_OF(modules); i++)
	{
		if (!wanted(modules[i].name, argc, argv))
			continue;
		printf("# %s\n", modules[i].name);
		modules[i].test();
	}
	return tap_finish();
}
