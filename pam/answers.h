/*
 * Which password answers which prompt. Pure; helper only.
 */
#ifndef PAM_ANSWERS_H
#define PAM_ANSWERS_H

#include <stddef.h>

#include "common/wire.h"

enum answers_phase {
	ANSWERS_AUTH,
	ANSWERS_CHANGE
};

enum answers_style {
	STYLE_ECHO_OFF,
	STYLE_ECHO_ON
};

enum answer {
	ANSWER_REFUSED, /* not to be placed, or asked again */
	ANSWER_OLD,
	ANSWER_NEW
};

struct answers;

/* With the administrator's wordings, n of them, before the built-in ones. NULL
 * with errno, or if a pattern is no regular expression. Free with
 * answers_free(). */
struct answers *answers_new(const struct wire_prompt *prompts, size_t n);

/* Forgets what was asked before. */
void answers_begin(struct answers *answers, enum answers_phase phase);

/* A module has shown an error: whoever asks for the same again has refused what
 * it got. */
void answers_note_error(struct answers *answers);

/*
 * What to answer. A prompt is placed by the administrator's wordings, then by
 * well-known ones, then, if echo is off, by its number in the phase; one that
 * is none of these is refused, and so is one that asks again after an error.
 */
enum answer answers_choose(
    struct answers *answers, enum answers_style style, const char *prompt);

/* Was the password, old or new, handed out in this phase? */
int answers_gave(const struct answers *answers, enum answer answer);

/* The first prompt of this phase that could not be placed, or "". */
const char *answers_unplaced(const struct answers *answers);

void answers_free(struct answers *answers);

#endif
