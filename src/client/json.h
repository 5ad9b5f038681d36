/*
 * client/json.h
 *		A strict one-pass RFC 8259 scanner over bytes as they arrive.
 *
 * The scanner validates, and notes where the values are that a set of JSON
 * pointers (RFC 6901) names, in one pass whatever their number.  It copies
 * nothing: a value found is a span of the caller's own bytes.  The same
 * scanner reads a whole response while it arrives and, later, its rows.
 *
 * It knows nothing of what members mean.
 */
#ifndef VELT_CLIENT_JSON_H
#define VELT_CLIENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "client/buffer.h"
#include "client/error.h"

/*
 * A documented reply nests six deep; fields that the API adds later may go
 * further, a bomb goes much further.
 */
#define VELT_JSON_MAX_DEPTH		128

/* A reference token, which all pointers share that are equal up to it. */
typedef struct VeltJsonNode
{
	const char *name;			/* decoded, without a NUL */
	size_t		length;
	int			first_child;	/* the children are neighbours, sorted */
	int			nchildren;
} VeltJsonNode;

/* Compares names: shorter ones come first. */
static inline int
velt_json_compare_names(const char *a, size_t a_length,
						const char *b, size_t b_length)
{
	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return memcmp(a, b, a_length);
}

/* The pointers of a scan.  The root node is the value they lead into. */
typedef struct VeltJsonTree
{
	const VeltJsonNode *nodes;	/* the root first */
	int			nnodes;
	size_t		longest_name;
	int		   *ends;			/* for each pointer, the node where it ends */
} VeltJsonTree;

typedef enum VeltJsonKind
{
	VELT_JSON_MISSING,			/* the pointer names no value */
	VELT_JSON_NULL,
	VELT_JSON_FALSE,
	VELT_JSON_TRUE,
	VELT_JSON_NUMBER,
	VELT_JSON_STRING,
	VELT_JSON_ARRAY,
	VELT_JSON_OBJECT
} VeltJsonKind;

/* Where a value stands, quotes and brackets included. */
typedef struct VeltJsonSpan
{
	VeltJsonKind kind;
	bool		escaped;		/* a string with at least one backslash */
	int64_t		nelements;		/* of an array */
	size_t		start;			/* offset of its first byte */
	size_t		end;			/* offset behind its last byte */
} VeltJsonSpan;

typedef struct VeltJsonFrame
{
	bool		is_array;
	int64_t		index;			/* of the latest element, in an array */
	const VeltJsonNode *node;	/* of this container, or NULL */
} VeltJsonFrame;

/* The part of the text to scan. */
typedef enum VeltJsonScope
{
	VELT_JSON_TEXT,				/* one value, and nothing else */
	VELT_JSON_VALUE,			/* one value, whatever follows it */
	VELT_JSON_ELEMENTS			/* an array, with pointers into its elements */
} VeltJsonScope;

typedef struct VeltJsonScanner
{
	const VeltJsonTree *tree;
	VeltJsonSpan *spans;		/* one for each node, the caller's */
	VeltJsonScope scope;

	bool		done;			/* a whole value was seen */
	bool		stopped;		/* before the end of the text */
	int			state;
	int			depth;
	size_t		offset;			/* bytes scanned so far */
	size_t		token_start;	/* start of the current string or number */
	bool		escaped;
	bool		is_name;
	const char *literal;		/* what is left of true, false or null */
	int			hex_left;
	unsigned char utf8_left;	/* continuation bytes still to come */
	unsigned char utf8_low;		/* bounds of the next one */
	unsigned char utf8_high;
	const VeltJsonNode *node;	/* of the current value, or NULL */
	VeltJsonFrame frames[VELT_JSON_MAX_DEPTH + 1];
} VeltJsonScanner;

/*
 * Parses RFC 6901 pointers.  The result is malloc'd in one chunk, free() it.
 * NULL if one of them is not a pointer, or memory is out.
 */
extern VeltJsonTree *velt_json_tree_create(const char *const *pointers,
										   int npointers, VeltError *error);

/*
 * Begins a scan at byte "offset" of the text to come, and sets all spans to
 * VELT_JSON_MISSING.
 */
extern void velt_json_begin(VeltJsonScanner *scanner,
							const VeltJsonTree *tree, VeltJsonSpan *spans,
							size_t offset, VeltJsonScope scope);

/*
 * Scans on to "length" bytes of text.  The text may move between calls, its
 * bytes may not change.  A named member that occurs twice is an error, as
 * readers differ on which of the two counts.
 *
 * Sets "stopped" after the one value of VELT_JSON_VALUE, and after each
 * element of VELT_JSON_ELEMENTS and the array's end.  The next call then sets
 * all spans to VELT_JSON_MISSING before it goes on, and they stay so if
 * nothing is left.
 */
extern bool velt_json_scan(VeltJsonScanner *scanner, const char *text,
						   size_t length, VeltError *error);

/* No more bytes will come: whether a whole value was seen. */
extern bool velt_json_finish(VeltJsonScanner *scanner, VeltError *error);

/*
 * Appends the characters of a JSON string (span with its quotes, valid) to
 * the buffer, as UTF-8.  Half of a surrogate pair is an error.  *length is how
 * many bytes it added, which may include NULs.
 */
extern bool velt_json_decode_string(const char *text, VeltJsonSpan span,
									VeltBuffer *buffer, size_t *length,
									VeltError *error);

/*
 * Decodes the next "most" bytes, or a few more to the end of an escape, of a
 * valid JSON string whose last byte before its closing quote is before "end".
 * Advances *from, and *to in memory that must have room for as many bytes as
 * are left.  Half of a surrogate pair is an error.  For callers that must do
 * something else in between.
 */
extern bool velt_json_decode_some(const char **from, const char *end,
								  size_t most, char **to, VeltError *error);

/* The version of json-c, as "0.16". */
extern const char *velt_json_library(void);

#endif							/* VELT_CLIENT_JSON_H */
