/*
 * The conversation function that PAM's modules talk to. Helper only.
 */
#ifndef PAM_CONVERSATION_H
#define PAM_CONVERSATION_H

#include <security/pam_appl.h>

#include "common/secret.h"
#include "pam/answers.h"

/* PAM's own limit for a message is PAM_MAX_MSG_SIZE, 512; not every module
 * keeps to it. */
#define CONVERSATION_ERROR_SIZE 4096

struct conversation;

/* answers decides, and must live as long. NULL with errno. Free with
 * conversation_free(). */
struct conversation *conversation_new(struct answers *answers);

/* For pam_start(); owned by the conversation. */
const struct pam_conv *conversation_pam(struct conversation *conversation);

/* Calls told with each message of a module and what it is answered. */
void conversation_tell(struct conversation *conversation,
    void (*told)(void *context, enum dialogue_style style, enum answer answer,
	const char *text),
    void *context);

/* A new phase: forgets texts and what was asked. The secrets stay the
 * caller's; new_secret may be NULL while authenticating. */
void conversation_begin(struct conversation *conversation,
    enum answers_phase phase, const struct secret *old_secret,
    const struct secret *new_secret);

/* The first error text of this phase as the module wrote it; without one, the
 * last other text that no question followed; or "". */
const char *conversation_error(const struct conversation *conversation);

/* Wipes and frees; may be NULL. */
void conversation_free(struct conversation *conversation);

#endif
