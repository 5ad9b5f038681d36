/*
 * client/config.c
 *		What a transport is made from.
 */
#include "client/config.h"

#include <stdlib.h>
#include <string.h>

/* Copies a string that may be NULL; *ok is cleared when memory is out. */
static const char *
copy_string(const char *string, bool *ok)
{
	char	   *copy = string ? strdup(string) : NULL;

	if (string != NULL && copy == NULL)
		*ok = false;
	return copy;
}

bool
velt_config_copy(VeltTransportConfig *to, const VeltTransportConfig *from)
{
	bool		ok = true;

	*to = *from;
	to->base_url = copy_string(from->base_url, &ok);
	to->credentials.workspace_id =
		copy_string(from->credentials.workspace_id, &ok);
	to->credentials.auth_token = copy_string(from->credentials.auth_token, &ok);
	to->auth_header = copy_string(from->auth_header, &ok);
	to->user_agent = copy_string(from->user_agent, &ok);
	to->proxy = copy_string(from->proxy, &ok);
	to->ca_file = copy_string(from->ca_file, &ok);
	to->cert_file = copy_string(from->cert_file, &ok);
	to->key_file = copy_string(from->key_file, &ok);
	return ok;
}

void
velt_config_free(VeltTransportConfig *config)
{
	if (config->credentials.auth_token != NULL)
		explicit_bzero((char *) config->credentials.auth_token,
					   strlen(config->credentials.auth_token));
	free((char *) config->base_url);
	free((char *) config->credentials.workspace_id);
	free((char *) config->credentials.auth_token);
	free((char *) config->auth_header);
	free((char *) config->user_agent);
	free((char *) config->proxy);
	free((char *) config->ca_file);
	free((char *) config->cert_file);
	free((char *) config->key_file);
}
