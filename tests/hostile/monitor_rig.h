/*
 * The monitor's side of net and of helpers: the real objects in one process,
 * for liars at the other ends of their sockets. What they would fork is a
 * number, and what they would kill is counted.
 */
#ifndef TESTS_HOSTILE_MONITOR_RIG_H
#define TESTS_HOSTILE_MONITOR_RIG_H

#include "daemon/helper_pool.h"
#include "daemon/worker.h"
#include "tests/hostile/abuse.h"

#define RIG_STEPS_MAX   8
#define RIG_MEMORY_SLOP (64 * 1024)

/* What the wrapped functions saw, and see. */
struct rig_seen {
	pid_t last_pid;
	/* Of the two pairs that were made last, the later first. */
	int far_end[2];
	int n_killed;
	int n_trees_killed;
	int n_lines;
	uint64_t now_ms;
};

struct rig {
	struct event_base *base;
	struct config *config;
	struct tls_files *files;
	struct listen_set *listens;
	struct worker *worker;
	struct helper_pool *pool;
	struct ctl_admit_request last; /* that was let through */
	int control;                   /* the liar's end */
	int status;
	int n_ready;
	int n_alive;
	int n_admitted;
	int n_listed; /* or forgotten, or without keys */
	uint64_t n_messages;
};

extern struct rig_seen rig_seen;
extern struct rig rig;
extern struct abuse_message rig_message;

/* A test's fixture. */
void rig_setup(void);
void rig_teardown(void);

/* A net process begins, which has said nothing; and is forgotten. */
void rig_begin(void);
void rig_end(void);

/* Whatever is waiting is heard. */
void rig_turn(void);

/* The far end of the pair that was made last (0) or before that (1); the caller
 * closes it. */
int rig_take_far_end(int i);

/* Throws away what can be read; but the monitor gets its signs of life, or it
 * would kill a net that a busy machine has kept for long. */
void rig_drain(int fd);

/* In rig_message: a good one of net's. */
void rig_make_origin(struct wire_origin *origin);
void rig_make_request(void);
void rig_make_ready(void);

/* Sends rig_message. */
void rig_send(int fd);

/* Every helper that runs ends, in some way. */
void rig_end_helpers(void);

/* Bytes that are allocated. */
size_t rig_memory_in_use(void);

#endif
