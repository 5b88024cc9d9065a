/*
 * From files, or memory, to directives. Monitor; net, for memory only.
 */
#ifndef CONF_PARSER_H
#define CONF_PARSER_H

#include <stddef.h>

#include "conf/config.h"

struct parser;

/* Directives go to config, errors to errors; both must live longer. NULL with
 * errno. Free with parser_free(). */
struct parser *parser_new(struct config *config, struct config_errors *errors);

/* Reads the file, what it includes, and conf.d/ beside it. Blocks. */
void parser_read_file(struct parser *parser, const char *path);

/* Reads text; `include` is an error there. Touches no file. */
void parser_read_text(
    struct parser *parser, const char *name, const char *text, size_t len);

/* Gives every directive that was not there its default. */
void parser_apply_defaults(struct parser *parser);

void parser_free(struct parser *parser);

#endif
