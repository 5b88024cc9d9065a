/*
 * The protocol of poppassd(7): which bytes are a command, which verb may come
 * when, and what is answered. Pure; net only.
 */
#ifndef DAEMON_PROTOCOL_H
#define DAEMON_PROTOCOL_H

#include <stddef.h>

/* Bytes of a line without its end. */
#define PROTOCOL_LINE_MAX       4096
#define PROTOCOL_CLEAR_LINE_MAX 512
/* "500 " and CRLF included; SquirrelMail breaks at 1024. */
#define PROTOCOL_REPLY_MAX 512

enum protocol_verb {
	VERB_UNKNOWN,
	VERB_HTTP, /* a browser that is made to speak for its user */
	VERB_USER,
	VERB_PASS,
	VERB_NEWPASS,
	VERB_QUIT,
	VERB_STARTTLS,
	VERB_HELP,
	VERB_NOOP
};

enum protocol_state {
	STATE_CLEAR,         /* before TLS */
	STATE_TLS,           /* or on a unix: socket; wants USER */
	STATE_IDENTIFIED,    /* wants PASS */
	STATE_AUTHENTICATED, /* wants NEWPASS */
	STATE_CHANGED        /* wants nothing but QUIT */
};

enum protocol_action {
	ACTION_REPLY,   /* send, go on */
	ACTION_MISTAKE, /* send, go on unless it was the sixth */
	ACTION_CLOSE,   /* send, close */
	ACTION_STARTTLS,
	ACTION_USER,
	ACTION_PASS,
	ACTION_NEWPASS
};

/* What a line means where it came. reply is NULL for the last three. argument
 * points into the line. */
struct protocol_step {
	enum protocol_action action;
	enum protocol_verb verb;
	const char *reply;
	const char *argument;
	size_t argument_len;
};

/* line has len bytes, its end is already off. Any byte may be in it. */
struct protocol_step protocol_step(
    enum protocol_state state, const char *line, size_t len);

/* Whole lines, CRLF and all, in static memory. */
extern const char protocol_bye[];
extern const char protocol_ask_password[];
extern const char protocol_ask_new_password[];
extern const char protocol_changed[];
extern const char protocol_wrong_password[];
extern const char protocol_begin_tls[];
extern const char protocol_tls_required[];
extern const char protocol_port_requires_tls[];
extern const char protocol_clear_text_here[];
extern const char protocol_no_tls_here[];
extern const char protocol_line_too_long[];
extern const char protocol_clear_line_too_long[];
extern const char protocol_busy[];
extern const char protocol_temporary[];
extern const char protocol_unknown_result[];
extern const char protocol_not_changed[];
extern const char protocol_timed_out[];
extern const char protocol_shutting_down[];

/* Writes "200 text CRLF", cut to fit. */
void protocol_greeting(char reply[PROTOCOL_REPLY_MAX], const char *text);

/* Writes "500 reason CRLF", control characters out, cut to fit. */
void protocol_refusal(char reply[PROTOCOL_REPLY_MAX], const char *reason);

#endif
