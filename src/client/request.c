/*
 * client/request.c
 *		A resource, a filter and a page token as the body of a request.
 */
#include "client/request.h"

#include <json-c/json.h>
#include <string.h>

/* Adds value under name; takes value over in any case. */
static bool
add_member(struct json_object *object, const char *name,
		   struct json_object *value)
{
	if (value != NULL && json_object_object_add(object, name, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

static struct json_object *
json_string(VeltString string)
{
	return json_object_new_string_len(string.bytes, (int) string.length);
}

static struct json_object *
json_array(const VeltString *strings, size_t nstrings)
{
	struct json_object *array = json_object_new_array_ext((int) nstrings);

	for (size_t i = 0; array != NULL && i < nstrings; i++)
	{
		struct json_object *string = json_string(strings[i]);

		if (string == NULL || json_object_array_add(array, string) != 0)
		{
			json_object_put(string);
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

static bool
fill_data(struct json_object *data, const VeltResource *resource,
		  const VeltString *keys, size_t nkeys, int page_size,
		  VeltString page_token)
{
	if (nkeys > 0 &&
		!add_member(data, resource->filter_member,
					resource->filter_max == 1 ? json_string(keys[0]) :
					json_array(keys, nkeys)))
		return false;
	if (resource->paged &&
		!add_member(data, "pageSize", json_object_new_int(page_size)))
		return false;
	return page_token.length == 0 ||
		add_member(data, "pageToken", json_string(page_token));
}

char *
velt_request_body(const VeltResource *resource, const VeltString *keys,
				  size_t nkeys, int page_size, VeltString page_token,
				  VeltError *error)
{
	struct json_object *data = json_object_new_object();
	struct json_object *request = json_object_new_object();
	const char *text = NULL;
	char	   *body = NULL;

	if (data == NULL || request == NULL ||
		!fill_data(data, resource, keys, nkeys, page_size, page_token))
		json_object_put(data);
	else if (add_member(request, "data", data))
		text = json_object_to_json_string_ext(request,
											  JSON_C_TO_STRING_PLAIN |
											  JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text != NULL)
		body = strdup(text);
	json_object_put(request);
	if (body == NULL)
		velt_error_out_of_memory(error);
	return body;
}
