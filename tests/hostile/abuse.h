/*
 * Messages that no honest process sends, out of a seed. For test programs.
 */
#ifndef TESTS_HOSTILE_ABUSE_H
#define TESTS_HOSTILE_ABUSE_H

#include <stddef.h>
#include <stdint.h>

#define ABUSE_SIZE 70000 /* larger than any message and any buffer for one */

struct abuse_message {
	size_t len;
	unsigned n_fds; /* descriptors that go along without being asked for */
	_Alignas(8) unsigned char bytes[ABUSE_SIZE];
};

/* A field that must hold a NUL. */
struct abuse_string {
	size_t offset;
	size_t size;
};

/* Takes the seed from POPPASSD_SEED (1), and prints it. */
void abuse_start(void);

/* The same numbers for the same seed, in any process. */
void abuse_seed(uint64_t seed);

uint64_t abuse_random(void);
uint32_t abuse_below(uint32_t n);

/* POPPASSD_ABUSE_MESSAGES, or otherwise. */
uint64_t abuse_count(uint64_t otherwise);

/* Random bytes without a NUL and the NUL, in a field of size bytes. */
void abuse_name(char *field, size_t size);

void abuse_set(struct abuse_message *m, const void *message, size_t len);

/* A helper's good messages to the monitor; the reason is random. */
void abuse_make_phase(struct abuse_message *m, uint32_t phase);
void abuse_make_reason(struct abuse_message *m);

/* Makes a good message one that nobody may accept in any state: cut, longer,
 * empty, of another type, with descriptors, a string without its end, noise. */
void abuse_spoil(
    struct abuse_message *m, const struct abuse_string *strings, size_t n);

/* Any message of the protocol, in its right size, from types that the receiver
 * must not accept; sets all bytes behind the type to zero. */
void abuse_misdirect(
    struct abuse_message *m, const uint32_t *types, size_t n_types);

/* 0, or -1 with errno. */
int abuse_send(int fd, const struct abuse_message *m);

/* How many descriptors this process has open. */
int abuse_count_fds(void);

#endif
