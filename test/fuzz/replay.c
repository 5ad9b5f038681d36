/*
 * test/fuzz/replay.c
 *		A target over the files of its corpus, without libFuzzer.
 *
 * replay DIRECTORY: each file as it is, and cut short, and with a byte turned,
 * at places that are the same in every run.  Prints TAP.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

/* Variations of a file. */
#define VARIATIONS		24

#define MAX_BYTES		(1024 * 1024)

/* What hangs ends here. */
#define PATIENCE_SECONDS	120

static const char *at_work = "";

/* Says which file it was; the status is that of the signal. */
static void
say_which(int signal_number)
{
	static const char failure[] = "not ok - ";

	(void) !write(STDOUT_FILENO, failure, sizeof(failure) - 1);
	(void) !write(STDOUT_FILENO, at_work, strlen(at_work));
	(void) !write(STDOUT_FILENO, "\n", 1);
	signal(signal_number, SIG_DFL);
	raise(signal_number);
}

/* The target may not read on: it gets a copy of the very size. */
static void
run(const uint8_t *data, size_t size)
{
	uint8_t    *copy = malloc(size);

	if (size > 0)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void
vary(uint8_t *data, size_t size)
{
	uint32_t	state = 1;

	for (int i = 0; i < VARIATIONS && size > 0; i++)
	{
		size_t		at;
		uint8_t		byte;

		state = state * 1664525 + 1013904223;
		at = (state >> 8) % size;
		byte = data[at];
		if (i % 3 == 0)
			run(data, at);
		else
		{
			data[at] = i % 3 == 1 ? byte ^ (1 << (state >> 5) % 8) :
				"\"\\{}[],:0-\xff\xc3\x80 "[(state >> 4) % 14];
			run(data, size);
			data[at] = byte;
		}
	}
}

static void
replay(const char *directory, const char *name)
{
	static uint8_t data[MAX_BYTES];
	char		path[4096];
	FILE	   *file;
	size_t		size;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (file == NULL)
	{
		printf("not ok - %s cannot be read\n", path);
		return;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	at_work = path;
	run(data, size);
	vary(data, size);
	printf("ok - %s\n", path);
}

int
main(int argc, char **argv)
{
	struct dirent **entries;
	int			n = (argc == 2 ?
					 scandir(argv[1], &entries, NULL, alphasort) : -1);
	int			nfiles = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGABRT, say_which);
	signal(SIGALRM, say_which);
	alarm(PATIENCE_SECONDS);
	for (int i = 0; i < n; i++)
	{
		if (entries[i]->d_name[0] != '.')
		{
			replay(argv[1], entries[i]->d_name);
			nfiles++;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	if (nfiles == 0)
		printf("not ok - no file in %s\n", argc == 2 ? argv[1] : "?");
	printf("1..%d\n", nfiles > 0 ? nfiles : 1);
	return nfiles == 0;
}
