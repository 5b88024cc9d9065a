/*
 * The configuration as the processes see it. Monitor, and net, which is given
 * the text of config_dump() and reads it with the same parser.
 */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H

#include <sys/socket.h>
#include <sys/types.h>
#include <stddef.h>
#include <stdio.h>

#include "common/log.h"
#include "common/wire.h"
#include "conf/cidr.h"

/* Where a value was set; file is NULL for a default. */
struct config_place {
	char *file;
	int line;
};

enum listen_tls {
	LISTEN_TLS_AUTO,
	LISTEN_TLS_IMPLICIT,
	LISTEN_TLS_STARTTLS
};

enum listen_client_cert {
	LISTEN_CLIENT_CERT_OFF,
	LISTEN_CLIENT_CERT_OPTIONAL,
	LISTEN_CLIENT_CERT_REQUIRED
};

#define LISTEN_DEFAULT_MODE 0660

struct config_listen {
	const char *directive; /* its name */
	char *address; /* as written: "[::]:106", "*:106", "unix:/path" */
	struct sockaddr_storage sockaddr;
	socklen_t sockaddr_len;
	int is_unix;
	enum listen_tls tls; /* of an address, as the next two */
	int is_proxied;      /* begins with a PROXY header */
	enum listen_client_cert client_cert;
	mode_t mode; /* of a unix: socket, as the next two */
	char *owner; /* NULL: who starts the daemon */
	char *group;
	struct config_place place;
};

/* One tls-certificate and the tls-key that follows it. */
struct config_pair {
	char *certificate; /* path */
	char *key;         /* path; the certificate's if no tls-key follows */
	struct config_place place;
	struct config_place key_place;
};

/* Names, as of allow-users. */
struct word_list {
	char **words;
	size_t n;
};

enum username_domain {
	USERNAME_DOMAIN_KEEP,
	USERNAME_DOMAIN_STRIP,
	USERNAME_DOMAIN_REQUIRE
};

enum username_case {
	USERNAME_CASE_KEEP,
	USERNAME_CASE_LOWER
};

enum config_choice {
	CONFIG_CHOICE_NO,
	CONFIG_CHOICE_YES,
	CONFIG_CHOICE_AUTO
};

/* So many in a window. */
struct config_rate {
	unsigned n;
	unsigned window_ms;
};

struct config {
	struct config_listen *listens;
	size_t n_listens;
	struct config_pair *pairs;
	size_t n_pairs;
	struct wire_prompt prompts[WIRE_PROMPTS_MAX];
	size_t n_prompts;
	char *tls_client_ca; /* path, or NULL */
	struct config_place tls_client_ca_place;
	int tls_minimum_version; /* TLS1_2_VERSION or TLS1_3_VERSION: 0x0303,
	                            0x0304 */
	char *user;
	struct config_place user_place;
	char *pam_service;
	struct config_place pam_service_place;
	char *pam_confdir;
	enum config_choice pam_dac_override;
	char *greeting;              /* without "200 "; one line */
	struct cidr_list allow_from; /* empty: all */
	struct cidr_list deny_from;
	struct cidr_list trusted_clients;
	struct cidr_list proxy_trust;
	struct word_list allow_users; /* patterns of fnmatch(3); empty: all */
	struct word_list deny_users;
	struct word_list allow_groups;
	struct word_list deny_groups;
	uid_t min_uid;
	int virtual_users;
	char *virtual_user_account; /* user's, if not set */
	struct config_place virtual_user_account_place;
	enum username_domain username_domain;
	enum username_case username_case;
	unsigned greeting_delay_ms;
	unsigned handshake_timeout_ms;
	unsigned command_timeout_ms;
	unsigned session_timeout_ms;
	unsigned change_timeout_ms;
	unsigned drain_timeout_ms;
	unsigned fail_delay_ms;
	struct config_rate user_failures;
	struct config_rate client_failures;
	unsigned max_sessions;
	unsigned max_sessions_per_client;
	unsigned max_helpers;
	unsigned run_slots; /* at least 1: auto is resolved while loading */
	enum log_target log_target;
	enum log_level log_level;
	struct config_listen control; /* no address: there is none */
};

/* Where errors go, and how many there were. Other modules that check what the
 * configuration names (certificates, users) report through it too. */
struct config_errors {
	FILE *out;
	unsigned n;
};

/* Prints `file:line: what` and counts it; place may be NULL or without a
 * file: then only `what`. */
void config_error(struct config_errors *errors,
    const struct config_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Reads the file and what it includes. Every error goes to errors, not only the
 * first. NULL if there was one. Reads files, so it blocks. The caller frees the
 * result with config_free().
 */
struct config *config_load(const char *path, struct config_errors *errors);

/* The same from memory, without include: what net does with the monitor's
 * dump. name stands for the file in errors. Does not touch the file system. */
struct config *config_parse(const char *name, const char *text, size_t len,
    struct config_errors *errors);

/* Adds a listener at an address as a directive has it, without options. If the
 * configuration has no listen directive, it takes the place of the default. */
void config_listen_too(
    struct config *config, const char *address, struct config_errors *errors);

/* Writes every directive with its value in effect, in a form that
 * config_parse() reads back to the same. 0, or -1 with errno of the stream. */
int config_dump(const struct config *config, FILE *out);

/* Frees what a listener holds, not the struct itself. */
void config_listen_clear(struct config_listen *listen);

void config_free(struct config *config);

#endif
