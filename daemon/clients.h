/*
 * What a client address may: sessions at once, passwords to be checked; and
 * which session gives way when there are too many. Net only.
 *
 * As OpenSSH's MaxStartups, sessions without a right password are dropped at
 * random from one half of max-sessions on, 30 of 100 times, rising to always
 * when all are in use. But not the newcomer is dropped: the oldest of them is.
 * A client that knows what it wants has shown its password within a second or
 * two, so those who hold connections open lose them to those who do not.
 */
#ifndef DAEMON_CLIENTS_H
#define DAEMON_CLIENTS_H

#include <sys/queue.h>
#include <stdint.h>

#include "conf/config.h"
#include "daemon/client_key.h"

struct clients;

/* Part of each session; zeroed before clients_join(). */
struct client_claim {
	TAILQ_ENTRY(client_claim) young;
	LIST_ENTRY(client_claim) neighbours;
	struct client_keys keys;
	int is_young; /* may be dropped */
	int is_counted;
	void *session;
};

/* config must live as long. throttle_fd as for client_throttle_open(). NULL
 * with errno. Free with clients_free(). */
struct clients *clients_new(const struct config *config, int throttle_fd);

/* The networks of an address by which it is limited: none for one in
 * trusted-clients and for what is no address. */
void clients_keys(const struct clients *clients, const char *address,
    struct client_keys *keys);

/* A session begins; its address need not be known yet. */
void clients_join(
    struct clients *clients, struct client_claim *claim, void *session);

/* The address is known. -1 if it has as many sessions as it may; this one is
 * then not counted. */
int clients_admit(
    struct clients *clients, struct client_claim *claim, const char *address);

/* The password was right: it is not dropped any more. */
void clients_settle(struct clients *clients, struct client_claim *claim);

/* The session has ended, or was never there. */
void clients_leave(struct clients *clients, struct client_claim *claim);

/* The session that gives way to this new one; NULL if none needs to, or can. */
void *clients_pick(struct clients *clients, const struct client_claim *claim,
    size_t n_sessions);

/* Is there a session that could give way? */
int clients_can_drop(const struct clients *clients);

/* May a password from this address be checked now? */
int clients_let_try(
    struct clients *clients, const char *address, uint64_t now_ms);

/* It was wrong. Returns the milliseconds of the delay that begins, or 0. */
unsigned clients_failed(
    struct clients *clients, const struct client_keys *keys, uint64_t now_ms);

/* Forgets the failures of an address and of the networks that it is in. 0 if
 * there were none. */
int clients_forget(struct clients *clients, const char *address);

/* May be NULL. */
void clients_free(struct clients *clients);

#endif
