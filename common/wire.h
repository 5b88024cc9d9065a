/*
 * The messages between poppassd's processes. Any process.
 *
 * Four kinds of socket, all AF_UNIX SOCK_SEQPACKET, one message a packet:
 *
 *   control      net <-> monitor        one per net process
 *   transaction  net <-> helper         one per password change; the monitor
 *                                       makes it, writes TXN_BEGIN into it,
 *                                       and only then gives net its end
 *   status       helper -> monitor      one per helper
 *   keys         net <-> keeper         one per net process; the keeper's
 *                                       keys come over a control socket
 *
 * Every message is a struct of fixed size that begins with its type. A
 * receiver has one table of {type, state, size, handler}; whatever the table
 * does not hold ends the peer, not the service. All processes come from one
 * build, so the structs need no version but the one in TXN_BEGIN, which
 * catches a helper that was upgraded under a running monitor.
 */
#ifndef COMMON_WIRE_H
#define COMMON_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "common/secret.h"

#define WIRE_VERSION       1U
#define WIRE_USER_SIZE     256 /* 255 bytes and the NUL */
#define WIRE_ADDRESS_SIZE  48
#define WIRE_LISTENER_SIZE 128 /* "unix:" and the longest path */
#define WIRE_TLS_SIZE      16
#define WIRE_SUBJECT_SIZE  128
#define WIRE_DETAIL_SIZE   192
#define WIRE_REASON_SIZE   480 /* fits a reply of 512 with "500 " and CRLF */
#define WIRE_SERVICE_SIZE  64
#define WIRE_PATH_SIZE     256
#define WIRE_PATTERN_SIZE  128
#define WIRE_PROMPTS_MAX   16
#define WIRE_STATE_SIZE    16
#define WIRE_SESSIONS_MAX  20
#define WIRE_CHUNK_SIZE    8192
#define WIRE_MESSAGE_MAX   9216 /* no message is larger */

/* The address of all that connect to unix: sockets. */
#define WIRE_UNIX_ADDRESS "unix"

/* The numbers of descriptors that a started process finds open. */
#define WIRE_NET_CONTROL_FD        3
#define WIRE_NET_CLIENTS_FD        4 /* memory of client_throttle_memory() */
#define WIRE_NET_KEYS_FD           5
#define WIRE_NET_LISTEN_FD         6 /* and on, in the order of the directives */
#define WIRE_KEEPER_CONTROL_FD     3
#define WIRE_KEEPER_KEYS_FD        4
#define WIRE_HELPER_TRANSACTION_FD 3
#define WIRE_HELPER_STATUS_FD      4

enum wire_type {
	/* control, monitor to net */
	CTL_LOAD = 1,     /* struct ctl_load: configuration and keys */
	CTL_ADMIT_ANSWER, /* struct ctl_admit_answer, with a descriptor */
	CTL_DRAIN,        /* struct ctl_order: no new sessions, finish these */
	CTL_STOP,         /* struct ctl_order: finish running changes only */
	CTL_PING,         /* struct ctl_order: answer, if you live */
	CTL_LIST,         /* struct ctl_list: tell of sessions */
	CTL_FORGET,       /* struct ctl_forget: failures of an address */
	/* control, net to monitor */
	CTL_READY,         /* struct ctl_order: confined, accepting */
	CTL_ADMIT_REQUEST, /* struct ctl_admit_request */
	CTL_EVENT,         /* struct ctl_event: a line for the log */
	CTL_PONG,          /* struct ctl_order: the answer to CTL_PING */
	CTL_LISTED,        /* struct ctl_listed, one for each CTL_LIST */
	CTL_FORGOTTEN,     /* struct ctl_forgotten, one for each CTL_FORGET */
	CTL_KEYS_LOST,     /* struct ctl_order: the keeper does not answer, so
	                      another net must take over */
	/* transaction */
	TXN_BEGIN,  /* struct txn_begin, monitor to helper */
	TXN_AUTH,   /* struct txn_secret, net to helper: the old password */
	TXN_CHANGE, /* struct txn_secret, net to helper: the new password */
	TXN_ANSWER, /* struct txn_answer, helper to net, one for each of those
	             */
	/* status, helper to monitor */
	STATUS_IDENTITY, /* struct status_identity */
	STATUS_PHASE,    /* struct status_phase */
	STATUS_DIALOGUE, /* struct status_dialogue, if TXN_BEGIN wants it */
	STATUS_REASON,   /* struct status_reason, for the log */
	/* keys, net to keeper and back */
	KEY_REQUEST, /* struct key_request: sign this */
	KEY_ANSWER   /* struct key_answer, one for each */
};

/*
 * How a transaction ended, or stands. Also the exit status of the helper, the
 * only way in which the monitor learns it; away from 0 and 1, so that a module
 * that calls exit() says nothing.
 */
enum outcome {
	OUTCOME_NONE = 0,        /* nothing was said */
	OUTCOME_CANCELLED = 80,  /* net left before a password was checked */
	OUTCOME_AUTHENTICATED,   /* right password; no change was asked for */
	OUTCOME_AUTH_FAILED,     /* wrong password or unknown user */
	OUTCOME_ACCOUNT_REFUSED, /* right password, the account stack said no */
	OUTCOME_POLICY_REFUSED,  /* the daemon's own policy said no */
	OUTCOME_TEMPORARY,       /* could not be decided; nothing was changed */
	OUTCOME_CHANGE_REFUSED,  /* the old password still works */
	OUTCOME_UNKNOWN,         /* nobody can know which password works */
	OUTCOME_CHANGED          /* the new password is stored */
};

/* Was the old password wrong, as the client hears it: an unknown user and one
 * that may not change the password as well? */
int outcome_is_wrong_password(enum outcome outcome);

/* Was the old password proved to be right, and the client told so? */
int outcome_is_right_password(enum outcome outcome);

/* Where a session comes from; net fills it in. The log reads it, and the policy
 * address, which becomes PAM_RHOST unless it is WIRE_UNIX_ADDRESS. */
struct wire_origin {
	char address[WIRE_ADDRESS_SIZE];   /* numeric, IPv4-mapped as IPv4; or
	                                      WIRE_UNIX_ADDRESS */
	char listener[WIRE_LISTENER_SIZE]; /* as in the configuration */
	char tls[WIRE_TLS_SIZE];           /* "TLSv1.3", or "" while in clear */
	char proxy[WIRE_ADDRESS_SIZE]; /* who told address and port, or "" */
	char certificate[WIRE_SUBJECT_SIZE]; /* its subject, or "" */
	uint16_t port;                       /* host byte order */
	uint16_t zero;
	uint32_t uid; /* of the peer's process, on a unix: socket */
	uint32_t pid;
};

enum load_kind {
	LOAD_CONFIG = 1,  /* the text of config_dump() */
	LOAD_CLIENT_CA,   /* PEM; comes before all certificates, or never */
	LOAD_CERTIFICATE, /* PEM chain; starts pair number index */
	LOAD_KEY,         /* PEM key of pair number index */
	LOAD_END          /* no bytes; all is there */
};

struct ctl_load {
	uint32_t type;
	uint32_t kind; /* enum load_kind */
	uint32_t index;
	uint32_t len; /* of bytes; a blob is sent in order, in chunks */
	char bytes[WIRE_CHUNK_SIZE];
};

struct ctl_order {
	uint32_t type;
};

/* cookie is net's own: the monitor sends it back and never looks at it. */
struct ctl_admit_request {
	uint32_t type;
	uint32_t zero;
	uint64_t cookie;
	struct wire_origin origin;
	char user[WIRE_USER_SIZE];
};

enum admission {
	ADMISSION_GRANTED = 1, /* net's end of the transaction comes along */
	ADMISSION_BUSY,   /* too many helpers, or this user has had one for long
	                   */
	ADMISSION_FAILED, /* no helper could be started */
	ADMISSION_THROTTLED /* not checked; the client hears what it hears of a
	                       wrong password */
};

struct ctl_admit_answer {
	uint32_t type;
	uint32_t admission; /* enum admission */
	uint64_t cookie;
};

/* What net tells the log. The monitor writes the line. */
enum net_event {
	NET_EVENT_CLEAR_REFUSED = 1,  /* a command that needs TLS, in clear */
	NET_EVENT_TLS_FAILED,         /* detail: OpenSSL's reason */
	NET_EVENT_STARTTLS_INJECTION, /* bytes behind STARTTLS */
	NET_EVENT_PROTOCOL,      /* closed for bad input; detail says which */
	NET_EVENT_TIMEOUT,       /* detail says which */
	NET_EVENT_ACCEPT_PAUSED, /* detail: why no more sessions fit */
	NET_EVENT_PROXY_REFUSED, /* detail: what is wrong with it */
	NET_EVENT_REFUSED,       /* too many sessions of this address */
	NET_EVENT_DROPPED,       /* a session that gave way to a new one */
	NET_EVENT_THROTTLED,     /* too many failures of this address */
	NET_EVENT_NOTE           /* detail: what went wrong inside */
};

struct ctl_event {
	uint32_t type;
	uint32_t event; /* enum net_event */
	struct wire_origin origin;
	char detail[WIRE_DETAIL_SIZE];
};

/* The cookies are the monitor's own; net sends them back. */
struct ctl_list {
	uint32_t type;
	uint32_t from; /* 0, or next of the answer before */
	uint64_t cookie;
};

struct wire_session {
	struct wire_origin origin;
	char state[WIRE_STATE_SIZE];
	uint32_t age_sec;
};

struct ctl_listed {
	uint32_t type;
	uint32_t n;
	uint64_t cookie;
	uint32_t next; /* where to go on; 0: that is all */
	uint32_t zero;
	struct wire_session sessions[WIRE_SESSIONS_MAX];
};

struct ctl_forget {
	uint32_t type;
	uint32_t zero;
	uint64_t cookie;
	char address[WIRE_ADDRESS_SIZE];
};

struct ctl_forgotten {
	uint32_t type;
	uint32_t found; /* was there anything? */
	uint64_t cookie;
};

/* What a prompt asks for; see pam-prompt in poppassd.conf(5). */
enum prompt_kind {
	PROMPT_PASSWORD = 1, /* while authenticating */
	PROMPT_CURRENT,      /* while changing: the old one */
	PROMPT_NEW,
	PROMPT_RETYPE,
	PROMPT_REFUSE /* never answered */
};

struct wire_prompt {
	uint32_t kind;                   /* enum prompt_kind */
	char pattern[WIRE_PATTERN_SIZE]; /* POSIX ERE, "(?i)" before it folds */
};

struct txn_begin {
	uint32_t type;
	uint32_t version; /* WIRE_VERSION */
	uint32_t n_prompts;
	uint32_t change_timeout_ms;
	uint32_t tells_dialogue; /* 1: by STATUS_DIALOGUE, for --test-login */
	char user[WIRE_USER_SIZE];
	char service[WIRE_SERVICE_SIZE];
	char confdir[WIRE_PATH_SIZE];  /* "" for PAM's own */
	char rhost[WIRE_ADDRESS_SIZE]; /* "" for none */
	struct wire_prompt prompts[WIRE_PROMPTS_MAX];
};

struct txn_secret {
	uint32_t type;
	struct secret secret;
};

struct txn_answer {
	uint32_t type;
	uint32_t outcome; /* enum outcome; AUTHENTICATED answers TXN_AUTH */
	char reason[WIRE_REASON_SIZE]; /* for the client, clean, or "" */
};

/* Sent by the monitor's own forked child, before it becomes the helper. */
struct status_identity {
	uint32_t type;
	uint32_t
	    known; /* does NSS know the user? only then may a log name it */
};

enum helper_phase {
	PHASE_STARTING = 1,
	PHASE_AUTH,  /* pam_authenticate, pam_acct_mgmt */
	PHASE_IDLE,  /* authenticated, waiting for the new password */
	PHASE_CHANGE /* pam_chauthtok: only its deadline may end it */
};

struct status_phase {
	uint32_t type;
	uint32_t phase; /* enum helper_phase */
};

/* What a module has said, and what it is answered. */
enum dialogue_style {
	DIALOGUE_PROMPT = 1, /* echo off */
	DIALOGUE_PROMPT_ECHO,
	DIALOGUE_TEXT,
	DIALOGUE_ERROR,
	DIALOGUE_OTHER /* nobody is here to choose */
};

enum dialogue_answer {
	DIALOGUE_NONE = 1, /* a text, or refused */
	DIALOGUE_OLD,
	DIALOGUE_NEW
};

struct status_dialogue {
	uint32_t type;
	uint32_t style;              /* enum dialogue_style */
	uint32_t answer;             /* enum dialogue_answer */
	char text[WIRE_DETAIL_SIZE]; /* clean, and without the password */
};

struct status_reason {
	uint32_t type;
	char reason[WIRE_DETAIL_SIZE]; /* may hold text from PAM modules */
};

/* What TLS signs with: one for ECDSA, two for RSA. */
enum key_padding {
	KEY_PADDING_NONE = 1,
	KEY_PADDING_PKCS1,
	KEY_PADDING_PSS /* the salt is as long as the digest */
};

#define WIRE_DIGEST_SIZE    64   /* SHA-512 */
#define WIRE_SIGNATURE_SIZE 1024 /* RSA of 8192 bits */

struct key_request {
	uint32_t type;
	uint32_t index;      /* of the pair, as in struct ctl_load */
	uint64_t number;     /* net's own, comes back in the answer */
	uint32_t padding;    /* enum key_padding */
	uint32_t digest_len; /* tells which digest it is: 32, 48 or 64 */
	uint8_t digest[WIRE_DIGEST_SIZE];
};

struct key_answer {
	uint32_t type;
	uint32_t len; /* of signature; 0: refused */
	uint64_t number;
	uint8_t signature[WIRE_SIGNATURE_SIZE];
};

enum wire_result {
	WIRE_OK,
	WIRE_AGAIN, /* non-blocking socket, nothing now */
	WIRE_EOF,
	WIRE_BAD,  /* not in the table, wrong size, wrong state, broken field */
	WIRE_ERROR /* errno says which */
};

/* A connected pair, close-on-exec, blocking. 0 or -1 with errno. */
int wire_pair(int fd[2]);

/*
 * Sends one whole message, and pass_fd with it unless that is -1; the caller
 * still owns pass_fd. Never raises SIGPIPE: WIRE_EOF if the peer is gone.
 * Blocks if the socket does.
 */
enum wire_result wire_send(
    int fd, const void *message, size_t len, int pass_fd);

/*
 * Receives one message of at most size bytes into buf and its length into
 * *len. WIRE_BAD if it was longer, shorter than a type, or brought more than
 * one descriptor. *passed_fd is the descriptor that came along (close-on-exec,
 * the caller's to close) or -1; if passed_fd is NULL, one that comes is closed
 * and the message is WIRE_BAD. Blocks if the socket does.
 */
enum wire_result wire_recv(
    int fd, void *buf, size_t size, size_t *len, int *passed_fd);

struct wire_rule {
	uint32_t type;
	uint32_t states; /* bit 1 << state for each state that allows it */
	size_t size;
	/* WIRE_OK, or WIRE_BAD to end the peer. Takes over passed_fd, which is
	 * -1 unless the rule says that it comes. */
	enum wire_result (*handler)(
	    void *context, const void *message, int passed_fd);
	int takes_fd; /* a descriptor may come with it */
};

#define WIRE_STATE(state) (1U << (state))
#define WIRE_ANY_STATE    0xffffffffU

/*
 * Receives one message into buf, looks it up in the table and calls its
 * handler. The state is the receiver's now. WIRE_BAD if no rule allows the
 * message; a descriptor that came with it is closed. buf holds the message's
 * bytes afterwards: a receiver of secrets wipes it.
 */
enum wire_result wire_dispatch(int fd, const struct wire_rule *rules,
    size_t n_rules, unsigned state, void *buf, size_t size, void *context);

/* Does the field of a received message hold a NUL? */
int wire_string_ok(const char *field, size_t size);

/* Copies src into a field of size bytes, cut if it is too long, the rest
 * zeroed, so that no old memory crosses. */
void wire_string_set(char *field, size_t size, const char *src);

#endif
