/*
 * One line of a configuration file into words, and words into values. Pure.
 */
#include "conf/lexer.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const char *p;
	const char *end;
	char *out;
};

static int
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *
take_quoted(struct cursor *c)
{
	for (c->p++; c->p < c->end && *c->p != '"'; c->p++) {
		if (*c->p == '\\' && c->p + 1 < c->end) {
			c->p++;
			if (*c->p != '"' && *c->p != '\\')
				*c->out++ = '\\';
		}
		*c->out++ = *c->p;
	}
	if (c->p == c->end)
		return "a quote is not closed";
	c->p++;
	if (c->p < c->end && !is_blank(*c->p))
		return "a blank is missing behind a quoted word";
	return NULL;
}

static const char *
take_bare(struct cursor *c)
{
	while (c->p < c->end && !is_blank(*c->p)) {
		if (*c->p == '"')
			return "a quote begins inside a word";
		*c->out++ = *c->p++;
	}
	return NULL;
}

static const char *
take_words(struct lexer_line *line, struct cursor *c)
{
	const char *why = NULL;

	while (why == NULL) {
		const char *word = c->out;

		while (c->p < c->end && is_blank(*c->p))
			c->p++;
		if (c->p == c->end || *c->p == '#')
			return NULL;
		if (line->n_words == LEXER_WORDS_MAX)
			return "too many words";
		line->words[line->n_words++] = c->out;
		why = *c->p == '"' ? take_quoted(c) : take_bare(c);
		if (why == NULL && c->out - word > LEXER_WORD_MAX)
			why = "a word is longer than 1000 bytes";
		*c->out++ = '\0';
	}
	return why;
}

static int
has_control_character(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
			return 1;
	}
	return 0;
}

int
lexer_split(
    struct lexer_line *out, const char *line, size_t len, const char **why)
{
	struct cursor c = { .p = line, .out = out->text };

	out->n_words = 0;
	if (len > 0 && line[len - 1] == '\n')
		len--;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	c.end = line + len;
	if (memchr(line, '\0', len) != NULL)
		*why = "a NUL byte";
	else if (has_control_character(line, len))
		*why = "a control character";
	else if (len > LEXER_LINE_MAX - LEXER_WORDS_MAX - 1)
		*why = "the line is too long";
	else
		*why = take_words(out, &c);
	return *why == NULL ? 0 : -1;
}

struct unit {
	const char *name;
	unsigned factor;
};

static int
scale(const char *word, const struct unit *units, size_t n_units,
    unsigned *result)
{
	uint64_t value = 0;
	const char *p = word;

	for (; *p >= '0' && *p <= '9'; p++) {
		value = value * 10 + (unsigned)(*p - '0');
		if (value > UINT_MAX)
			return -1;
	}
	if (p == word)
		return -1;
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(p, units[i].name) != 0)
			continue;
		value *= units[i].factor;
		if (value > UINT_MAX)
			return -1;
		*result = (unsigned)value;
		return 0;
	}
	return -1;
}

int
lexer_duration(const char *word, unsigned *ms)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1000 },
		{ "m", 60000 }, { "h", 3600000 } };

	return scale(word, units, sizeof(units) / sizeof(*units), ms);
}

int
lexer_number(const char *word, unsigned *number)
{
	static const struct unit units[] = { { "", 1 }, { "K", 1024 },
		{ "M", 1024 * 1024 } };

	return scale(word, units, sizeof(units) / sizeof(*units), number);
}

void
lexer_quote(char *out, size_t size, const char *word)
{
	size_t n = 0;

	out[n++] = '"';
	for (const char *p = word; *p != '\0' && n + 3 < size; p++) {
		if (*p == '"' || *p == '\\')
			out[n++] = '\\';
		out[n++] = *p;
	}
	out[n++] = '"';
	out[n] = '\0';
}
