/*
 * One line of a configuration file into words, and words into values. Pure.
 */
#ifndef CONF_LEXER_H
#define CONF_LEXER_H

#include <stddef.h>

#define LEXER_WORDS_MAX 16
#define LEXER_WORD_MAX  1000

/* No line that was read is too long when it is dumped, each word in quotes. */
#define LEXER_LINE_MAX 8192

struct lexer_line {
	char text[LEXER_LINE_MAX]; /* the words, each with its NUL */
	char *words[LEXER_WORDS_MAX];
	size_t n_words;
};

/*
 * Splits at blanks; "quoted words" may hold blanks and `#`, with \" and \\;
 * `#` at the start of a word begins a comment. 0, or -1 and in *why (static)
 * what is wrong.
 */
int lexer_split(
    struct lexer_line *out, const char *line, size_t len, const char **why);

/* "500ms", "10s", "5m", "2h" into milliseconds. -1 if it is none of these or
 * too much. */
int lexer_duration(const char *word, unsigned *ms);

/* A decimal number, or one with K or M behind it. -1 if it is none or too
 * much. */
int lexer_number(const char *word, unsigned *number);

/* Writes the word so that lexer_split() reads it back. out has room for size
 * bytes, twice the word and three are enough. */
void lexer_quote(char *out, size_t size, const char *word);

#endif
