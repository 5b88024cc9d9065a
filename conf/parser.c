/*
 * From files, or memory, to directives. Runs as root in the monitor; refuses
 * files that others could have written.
 */
#include "conf/parser.h"

#include <sys/stat.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/directives.h"
#include "conf/lexer.h"

#define DEPTH_MAX 8

struct parser {
	struct config *config;
	struct config_errors *errors;
	struct config_place *first; /* of each directive; line 0: not yet */
	unsigned depth;
	struct config_place here;
};

struct parser *
parser_new(struct config *config, struct config_errors *errors)
{
	struct parser *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->config = config;
	p->errors = errors;
	p->first = calloc(directives_count, sizeof(*p->first));
	if (p->first != NULL)
		return p;
	free(p);
	return NULL;
}

void
parser_free(struct parser *parser)
{
	if (parser == NULL)
		return;
	for (size_t i = 0; i < directives_count; i++)
		free(parser->first[i].file);
	free(parser->first);
	free(parser);
}

static void
complain_of_unknown(struct parser *p, const char *name)
{
	const char *near = directive_suggest(name);

	if (near != NULL)
		config_error(p->errors, &p->here,
		    "unknown directive \"%s\"; did you mean \"%s\"?", name,
		    near);
	else
		config_error(p->errors, &p->here,
		    "unknown directive \"%s\"; see poppassd.conf(5)", name);
}

static int
check_arity(struct parser *p, const struct directive *d, size_t n)
{
	if (n >= d->min_arguments && n <= d->max_arguments)
		return 0;
	if (d->min_arguments == d->max_arguments)
		config_error(p->errors, &p->here,
		    "%s: wants %zu value%s, not %zu", d->name, d->min_arguments,
		    d->min_arguments == 1 ? "" : "s", n);
	else
		config_error(p->errors, &p->here,
		    "%s: wants %zu to %zu values, not %zu", d->name,
		    d->min_arguments, d->max_arguments, n);
	return -1;
}

static int
check_first(struct parser *p, const struct directive *d)
{
	struct config_place *first = &p->first[d - directives];

	if (first->line > 0 && !d->is_repeatable) {
		config_error(p->errors, &p->here,
		    "%s: is there twice, first at %s:%d", d->name,
		    first->file != NULL ? first->file : "", first->line);
		return -1;
	}
	if (first->line == 0) {
		first->line = p->here.line;
		first->file =
		    p->here.file != NULL ? strdup(p->here.file) : NULL;
	}
	return 0;
}

static void
apply(struct parser *p, struct lexer_line *line)
{
	const struct directive *d = directive_find(line->words[0]);
	const struct directive_use use = { p->config, p->errors, &p->here,
		line->words, line->n_words };

	if (d == NULL)
		complain_of_unknown(p, line->words[0]);
	else if (check_first(p, d) == 0 &&
	    check_arity(p, d, line->n_words - 1) == 0)
		d->set(d, &use);
}

static int
is_include(const struct lexer_line *line)
{
	return strcmp(line->words[0], "include") == 0;
}

/* 1 with the words, 0 for an empty line, -1 if it was wrong. */
static int
split(struct parser *p, struct lexer_line *out, const char *text, size_t len)
{
	const char *why;

	if (lexer_split(out, text, len, &why) == -1) {
		config_error(p->errors, &p->here, "%s", why);
		return -1;
	}
	return out->n_words > 0;
}

void
parser_read_text(
    struct parser *parser, const char *name, const char *text, size_t len)
{
	const char *end = text + len;
	struct lexer_line line;

	parser->here.file = strdup(name);
	parser->here.line = 0;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *next = newline != NULL ? newline + 1 : end;

		parser->here.line++;
		if (split(parser, &line, text, (size_t)(next - text)) == 1) {
			if (is_include(&line))
				config_error(parser->errors, &parser->here,
				    "include: not allowed here");
			else
				apply(parser, &line);
		}
		text = next;
	}
	free(parser->here.file);
	parser->here = (struct config_place){ .file = NULL };
}

/* Whoever can write it can name the program that root runs. */
static int
check_file(struct parser *p, const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1) {
		config_error(
		    p->errors, &p->here, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode))
		config_error(
		    p->errors, &p->here, "%s: not a regular file", path);
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		config_error(p->errors, &p->here,
		    "%s: is writable by others; chmod go-w %s", path, path);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		config_error(p->errors, &p->here,
		    "%s: belongs to uid %u; chown root %s", path,
		    (unsigned)st.st_uid, path);
	else
		return 0;
	return -1;
}

static FILE *
open_file(struct parser *p, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	FILE *file;

	if (fd == -1) {
		config_error(
		    p->errors, &p->here, "%s: %s", path, strerror(errno));
		return NULL;
	}
	if (check_file(p, path, fd) == -1) {
		(void)close(fd);
		return NULL;
	}
	file = fdopen(fd, "r");
	if (file == NULL)
		(void)close(fd);
	return file;
}

static void include(struct parser *p, const struct lexer_line *line);

static void
read_lines(struct parser *p, FILE *file)
{
	struct lexer_line line;
	char *text = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&text, &room, file)) != -1) {
		p->here.line++;
		if (split(p, &line, text, (size_t)len) != 1)
			continue;
		if (is_include(&line))
			include(p, &line);
		else
			apply(p, &line);
	}
	if (ferror(file))
		config_error(p->errors, &p->here, "%s", strerror(errno));
	free(text);
}

static void
read_file(struct parser *p, const char *path)
{
	const struct config_place outer = p->here;
	FILE *file = open_file(p, path);

	if (file == NULL)
		return;
	p->here = (struct config_place){ .file = strdup(path) };
	p->depth++;
	read_lines(p, file);
	p->depth--;
	free(p->here.file);
	p->here = outer;
	(void)fclose(file);
}

/* The pattern as a path: a relative one begins where the file is, in a folder
 * whose name is no pattern. -1 if that is too long. */
static int
absolute_pattern(char *out, size_t size, const char *file, const char *pattern)
{
	const char *slash = *pattern != '/' ? strrchr(file, '/') : NULL;
	const char *end = slash != NULL ? slash + 1 : file;
	size_t n = 0;

	for (const char *p = file; p < end && n + 2 < size; p++) {
		if (strchr("*?[\\", *p) != NULL)
			out[n++] = '\\';
		out[n++] = *p;
	}
	if (n + strlen(pattern) >= size)
		return -1;
	(void)strcpy(out + n, pattern);
	return 0;
}

/* A folder that is not there has no files; one that cannot be read may. */
static int
stops_glob(const char *path, int error)
{
	(void)path;
	return error != ENOENT && error != ENOTDIR;
}

/* Sorted, as glob() does in the C locale. No match is fine for a pattern, but
 * not for a name. */
static void
read_matches(struct parser *p, const char *file, const char *pattern)
{
	char path[PATH_MAX];
	glob_t found;
	int code;

	if (absolute_pattern(path, sizeof(path), file, pattern) == -1) {
		config_error(p->errors, &p->here, "include: %s: %s", pattern,
		    strerror(ENAMETOOLONG));
		return;
	}
	code = glob(path, 0, stops_glob, &found);
	if (code == GLOB_NOMATCH && strpbrk(pattern, "*?[") == NULL)
		config_error(p->errors, &p->here, "include: %s: %s", path,
		    strerror(ENOENT));
	else if (code != 0 && code != GLOB_NOMATCH)
		config_error(
		    p->errors, &p->here, "include: %s: cannot look", path);
	for (size_t i = 0; code == 0 && i < found.gl_pathc; i++)
		read_file(p, found.gl_pathv[i]);
	if (code == 0)
		globfree(&found);
}

static void
include(struct parser *p, const struct lexer_line *line)
{
	if (line->n_words != 2) {
		config_error(p->errors, &p->here, "include: wants 1 value");
		return;
	}
	if (p->depth >= DEPTH_MAX) {
		config_error(p->errors, &p->here,
		    "include: more than %d files deep; does one include "
		    "itself?",
		    DEPTH_MAX);
		return;
	}
	read_matches(p, p->here.file, line->words[1]);
}

void
parser_read_file(struct parser *parser, const char *path)
{
	read_file(parser, path);
	read_matches(parser, path, "conf.d/*.conf");
}

void
parser_apply_defaults(struct parser *parser)
{
	for (size_t i = 0; i < directives_count; i++) {
		struct lexer_line line;
		char text[LEXER_LINE_MAX];

		if (parser->first[i].line > 0 || directives[i].standard == NULL)
			continue;
		(void)snprintf(text, sizeof(text), "%s %s", directives[i].name,
		    directives[i].standard);
		if (split(parser, &line, text, strlen(text)) == 1)
			apply(parser, &line);
	}
}
