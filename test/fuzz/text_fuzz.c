/*
 * test/fuzz/text_fuzz.c
 *		client/error: text of the other side, made fit for a message.
 *
 * Input: how much room there is, the workspace id, 0xFF, the token, 0xFF, the
 * text.
 */
#include "client/error.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* As long as ids and tokens are at least, to be told from other words. */
#define LEAST_CREDENTIAL	8

/* Credentials are visible ASCII. */
static void
make_credential(char *text)
{
	for (; *text != '\0'; text++)
		*text = '!' + (unsigned char) *text % ('~' - '!' + 1);
}

/* The escapes of bytes that are not shown, with what no credential has. */
static void
blank_escapes(char *text, size_t length)
{
	for (size_t i = 0; i + 4 <= length; i++)
	{
		if (memcmp(text + i, "\\x", 2) == 0)
			memset(text + i, ' ', 4);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		input = {data, size};
	size_t		room = input_byte(&input) * 4 + 1;
	char	   *id = input_text(&input);
	char	   *token = input_text(&input);
	VeltCredentials credentials = {id, token};
	char	   *out = malloc(room);
	VeltString	shown;
	VeltString	text;

	make_credential(id);
	make_credential(token);
	text = input_field(&input);
	memset(out, 0x55, room);
	velt_error_clean_text(out, room, text.bytes, text.length, &credentials);
	shown = velt_string(out, strnlen(out, room));
	must(shown.length < room);
	must(is_utf8(shown.bytes, shown.length));
	for (size_t i = 0; i < shown.length; i++)
		must((unsigned char) shown.bytes[i] >= 0x20 && shown.bytes[i] != 0x7F);
	/* unless the name that stands for it, or an escape, makes it up anew */
	blank_escapes(out, shown.length);
	if (strlen(token) >= LEAST_CREDENTIAL && strpbrk(token, "<>\\") == NULL &&
		!has_bytes(velt_string("workspace_idauth_token", 22), token))
		must(!has_bytes(shown, token));
	free((char *) text.bytes);
	free(out);
	free(token);
	free(id);
	return 0;
}
