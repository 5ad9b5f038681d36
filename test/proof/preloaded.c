/*
 * preloaded.c
 *		Lets the sanitizers work in PostgreSQL's programs, which preload this.
 *
 * OPTIONS: those of UndefinedBehaviorSanitizer, which asks for them here.  It
 * would look in the environment, but only when it has something to say, and as
 * the kernel shows it; there a server process has long put what ps says.
 *
 * To be linked with -z initfirst, so that its constructor runs before any
 * other.  AddressSanitizer then settles before that of p11-kit, which forks
 * locale state about and leaves a lock of the C library taken: the sanitizer's
 * own beginning would wait for it for ever.
 */
#include <stdlib.h>

#ifndef OPTIONS
#define OPTIONS		""
#endif

extern const char *__ubsan_default_options(void);
static void settle(void) __attribute__((constructor));

const char *
__ubsan_default_options(void)
{
	return OPTIONS;
}

static void
settle(void)
{
	/* volatile: neither call is to be optimized away */
	void	   *volatile memory = malloc(1);

	free(memory);
}
