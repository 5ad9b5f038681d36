/*
 * client/json.h
 *		A strict one-pass RFC 8259 scanner over bytes as they arrive.
 *
 * The scanner validates, and notes where the values stand that a set of JSON
 * pointers (RFC 6901) names.  It copies nothing and allocates nothing: a
 * value found is a span of the caller's own bytes.  The same scanner reads a
 * whole response while it arrives and, later, one row of it.
 *
 * It knows nothing of what members mean.
 */
#ifndef VELT_CLIENT_JSON_H
#define VELT_CLIENT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/buffer.h"
#include "client/error.h"

/*
 * A documented reply nests six deep; fields that the API adds later may go
 * further, a bomb goes much further.
 */
#define VELT_JSON_MAX_DEPTH		128

/* How many pointers one scan can look for: the bits of VeltJsonSet. */
#define VELT_JSON_MAX_POINTERS	64

typedef uint64_t VeltJsonSet;

/* One reference token of a pointer. */
typedef struct VeltJsonToken
{
	const char *name;
	size_t		length;
	int64_t		index;			/* the array element it names, or -1 */
	bool		each;			/* it names all elements of an array instead */
} VeltJsonToken;

typedef struct VeltJsonPointer
{
	int			ntokens;
	VeltJsonToken tokens[];		/* names stand behind, in the same chunk */
} VeltJsonPointer;

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
	size_t		start;			/* offset of its first byte */
	size_t		end;			/* offset behind its last byte */
} VeltJsonSpan;

typedef struct VeltJsonFrame
{
	bool		is_array;
	int64_t		index;			/* of the element at hand, in an array */
	VeltJsonSet inside;			/* pointers that lead into this container */
	VeltJsonSet current;		/* of those, which match the value at hand */
	VeltJsonSet seen;			/* of those, which have matched a member */
} VeltJsonFrame;

/* How many members of a row are expected as in the row before. */
#define VELT_JSON_MAX_EXPECTED	16

/* A member of the last row, where it stands in the text. */
typedef struct VeltJsonMember
{
	size_t		start;			/* of its name */
	size_t		length;			/* to behind the colon */
	VeltJsonSet matches;		/* pointers whose next token it is */
} VeltJsonMember;

typedef struct VeltJsonScanner
{
	const VeltJsonPointer *const *pointers;
	VeltJsonSpan *spans;		/* one a pointer, the caller's */
	int			npointers;
	int			most_tokens;	/* of a pointer */
	/* by depth, to most_tokens: which pointers end, which take each element */
	VeltJsonSet ends[VELT_JSON_MAX_DEPTH + 1];
	VeltJsonSet each[VELT_JSON_MAX_DEPTH + 1];

	bool		one_value;		/* stop behind the first value */
	bool		done;			/* a whole value was seen */
	bool		stopped;		/* before the end of the text */
	int			row_pointer;	/* a row's, or -1; those behind: its values' */
	int			row_depth;		/* of what is in a row, or -1 */
	bool		row_doubtful;	/* a row has had a member twice */
	int			member;			/* the next of the row at hand, from 0 */
	int			nexpected;
	VeltJsonMember expected[VELT_JSON_MAX_EXPECTED];
	int			state;
	int			depth;
	size_t		offset;			/* bytes scanned so far */
	size_t		token_start;	/* where the string or number at hand began */
	bool		escaped;
	bool		is_name;
	const char *literal;		/* what is left of true, false or null */
	int			hex_left;
	unsigned char utf8_left;	/* continuation bytes still to come */
	unsigned char utf8_low;		/* bounds of the next one */
	unsigned char utf8_high;
	VeltJsonFrame frames[VELT_JSON_MAX_DEPTH + 1];
} VeltJsonScanner;

/*
 * Parses an RFC 6901 pointer; the result is malloc'd in one chunk, free() it.
 * NULL if it is none, or memory is out.
 */
extern VeltJsonPointer *velt_json_pointer_parse(const char *text,
												VeltError *error);

/*
 * A pointer through another: to "inner" of what "outer" names or, with each,
 * of each element of the array that it names.  To be freed as the others, and
 * before them: the names are theirs.
 */
extern VeltJsonPointer *velt_json_pointer_join(const VeltJsonPointer *outer,
											   bool each,
											   const VeltJsonPointer *inner,
											   VeltError *error);

/*
 * Begins a scan at byte "offset" of the text to come, and sets all spans to
 * VELT_JSON_MISSING.  With one_value it ends behind one value, which may be
 * an element of something larger; otherwise the text must hold nothing else.
 */
extern void velt_json_begin(VeltJsonScanner *scanner,
							const VeltJsonPointer *const *pointers,
							VeltJsonSpan *spans, int npointers,
							size_t offset, bool one_value);

/*
 * The pointer with this number names rows, those behind it values of them.
 * From now on a scan stops behind each row, with "stopped" set, for the
 * caller to take their spans, which the next row overwrites; a row that has a
 * value's name twice is no error but sets "row_doubtful".
 */
extern void velt_json_stop_at_rows(VeltJsonScanner *scanner, int pointer);

/*
 * Sets the spans of a row's values to VELT_JSON_MISSING, for the next row,
 * which is expected to have the same members.
 */
extern void velt_json_forget_row(VeltJsonScanner *scanner);

/*
 * Scans on to "length" bytes of text.  The text may move between calls, its
 * bytes may not change.  A named member that occurs twice is an error, as
 * readers differ on which of the two counts.
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

/* The version of json-c, as "0.16". */
extern const char *velt_json_library(void);

#endif							/* VELT_CLIENT_JSON_H */
