/*
 * client/json_pointer.c
 *		JSON pointers, RFC 6901, compiled into a tree of their tokens.
 *
 * The pointers are sorted, so that those that share their first tokens are
 * neighbours.  The nodes are made level by level: a node's pointers, by their
 * next token, become its children.
 */
#include "client/json.h"

#include <stdlib.h>
#include <string.h>

typedef struct Token
{
	const char *name;
	size_t		length;
} Token;

typedef struct Pointer
{
	int			number;			/* as the caller counts them */
	int			ntokens;
	const Token *tokens;
} Pointer;

static int
compare_pointers(const void *a, const void *b)
{
	const Pointer *first = a;
	const Pointer *second = b;
	int			order = 0;

	for (int i = 0; order == 0; i++)
	{
		if (i == first->ntokens || i == second->ntokens)
			return (first->ntokens > i) - (second->ntokens > i);
		order = velt_json_compare_names(first->tokens[i].name,
										first->tokens[i].length,
										second->tokens[i].name,
										second->tokens[i].length);
	}
	return order;
}

/*
 * Copies one reference token to *to, decoded, and steps *from behind it; false
 * at a "~" that is neither ~0 nor ~1.
 */
static bool
decode_reference(const char **from, char **to, Token *token)
{
	const char *at = *from;
	char	   *out = *to;

	token->name = out;
	for (; *at != '\0' && *at != '/'; at++)
	{
		if (*at != '~')
			*out++ = *at;
		else if (at[1] == '0' || at[1] == '1')
			*out++ = *++at == '0' ? '~' : '/';
		else
			return false;
	}
	token->length = out - token->name;
	*from = at;
	*to = out;
	return true;
}

/* Parses a pointer into tokens, and appends their names to *names. */
static bool
parse(const char *text, Token *tokens, char **names, Pointer *pointer,
	  VeltError *error)
{
	pointer->ntokens = 0;
	pointer->tokens = tokens;
	if (*text != '\0' && *text != '/')
		return velt_error_set(error, VELT_ERROR_INVALID_VALUE,
							  "A JSON pointer is empty or begins with \"/\".");
	while (*text != '\0')
	{
		text++;
		if (!decode_reference(&text, names, tokens++))
			return velt_error_set(error, VELT_ERROR_INVALID_VALUE,
								  "In a JSON pointer \"~\" is written \"~0\" and \"/\" within a name \"~1\".");
	}
	pointer->ntokens = tokens - pointer->tokens;
	if (pointer->ntokens >= VELT_JSON_MAX_DEPTH)
		return velt_error_set(error, VELT_ERROR_INVALID_VALUE,
							  "A JSON pointer can have at most %d parts.",
							  VELT_JSON_MAX_DEPTH - 1);
	return true;
}

/*
 * Makes the children of a node.  Until then its first_child and nchildren are
 * a range of the sorted pointers, as they are in the children that it makes.
 */
static void
expand(VeltJsonTree *tree, VeltJsonNode *nodes, VeltJsonNode *node, int depth,
	   const Pointer *pointers)
{
	int			i = node->first_child;
	int			end = i + node->nchildren;
	VeltJsonNode *child = NULL;

	node->first_child = tree->nnodes;
	for (; i < end && pointers[i].ntokens == depth; i++)
		tree->ends[pointers[i].number] = node - nodes;
	for (; i < end; i++)
	{
		const Token *token = &pointers[i].tokens[depth];

		if (child == NULL ||
			velt_json_compare_names(child->name, child->length, token->name,
									token->length) != 0)
		{
			child = &nodes[tree->nnodes++];
			*child = (VeltJsonNode)
			{
				token->name, token->length, i, 0
			};
			if (token->length > tree->longest_name)
				tree->longest_name = token->length;
		}
		child->nchildren++;
	}
	node->nchildren = tree->nnodes - node->first_child;
}

static void
make_nodes(VeltJsonTree *tree, VeltJsonNode *nodes, const Pointer *pointers,
		   int npointers)
{
	int			level_end = 1;
	int			depth = 0;

	tree->nodes = nodes;
	tree->nnodes = 1;
	tree->longest_name = 0;
	nodes[0] = (VeltJsonNode)
	{
		"", 0, 0, npointers
	};
	for (int i = 0; i < tree->nnodes; i++)
	{
		if (i == level_end)
		{
			level_end = tree->nnodes;
			depth++;
		}
		expand(tree, nodes, &nodes[i], depth, pointers);
	}
}

/* Fills the tree, with room for all nodes, ends and names behind it. */
static bool
compile(VeltJsonTree *tree, const char *const *texts, int npointers,
		size_t ntokens, Pointer *pointers, Token *tokens, VeltError *error)
{
	VeltJsonNode *nodes = (VeltJsonNode *) (tree + 1);
	char	   *names;

	tree->ends = (int *) (nodes + ntokens + 1);
	names = (char *) (tree->ends + npointers);
	for (int i = 0; i < npointers; i++)
	{
		pointers[i].number = i;
		if (!parse(texts[i], tokens, &names, &pointers[i], error))
			return false;
		tokens += pointers[i].ntokens;
	}
	if (npointers > 0)
		qsort(pointers, npointers, sizeof(Pointer), compare_pointers);
	make_nodes(tree, nodes, pointers, npointers);
	return true;
}

VeltJsonTree *
velt_json_tree_create(const char *const *texts, int npointers,
					  VeltError *error)
{
	size_t		ntokens = 0;
	size_t		nbytes = 0;
	VeltJsonTree *tree;
	Pointer    *pointers;

	for (int i = 0; i < npointers; i++)
	{
		for (const char *at = texts[i]; *at != '\0'; at++, nbytes++)
			ntokens += *at == '/';
	}
	tree = malloc(sizeof(VeltJsonTree) +
				  (ntokens + 1) * sizeof(VeltJsonNode) +
				  npointers * sizeof(int) + nbytes);
	pointers = malloc(npointers * sizeof(Pointer) + ntokens * sizeof(Token) +
					  1);
	if (tree == NULL || pointers == NULL)
		velt_error_out_of_memory(error);
	else if (compile(tree, texts, npointers, ntokens, pointers,
					 (Token *) (pointers + npointers), error))
	{
		free(pointers);
		return tree;
	}
	free(pointers);
	free(tree);
	return NULL;
}
