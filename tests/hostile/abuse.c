/* Messages that no honest process sends, out of a seed. */
#include "tests/hostile/abuse.h"

#include <sys/socket.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/wire.h"

#define FDS_MAX 64 /* more than any receiver has room for */

static uint64_t state = 1;

void
abuse_seed(uint64_t seed)
{
	state = seed * 2 + 1;
}

void
abuse_start(void)
{
	const char *text = getenv("POPPASSD_SEED");
	uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 1;

	(void)printf("POPPASSD_SEED=%ju\n", (uintmax_t)seed);
	(void)fflush(stdout);
	abuse_seed(seed);
}

/* splitmix64, by Steele, Lea and Flood */
uint64_t
abuse_random(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15U;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

uint32_t
abuse_below(uint32_t n)
{
	return (uint32_t)(abuse_random() % n);
}

uint64_t
abuse_count(uint64_t otherwise)
{
	const char *text = getenv("POPPASSD_ABUSE_MESSAGES");

	return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

void
abuse_name(char *field, size_t size)
{
	size_t len = 1 + abuse_below((uint32_t)size - 1);

	memset(field, 0, size);
	for (size_t i = 0; i < len; i++)
		field[i] = (char)(1 + abuse_below(255));
}

void
abuse_set(struct abuse_message *m, const void *message, size_t len)
{
	m->len = len;
	m->n_fds = 0;
	memcpy(m->bytes, message, len);
}

void
abuse_make_phase(struct abuse_message *m, uint32_t phase)
{
	const struct status_phase p = { .type = STATUS_PHASE, .phase = phase };

	abuse_set(m, &p, sizeof(p));
}

void
abuse_make_reason(struct abuse_message *m)
{
	struct status_reason r = { .type = STATUS_REASON };

	abuse_name(r.reason, sizeof(r.reason));
	abuse_set(m, &r, sizeof(r));
}

static void
fill(struct abuse_message *m, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		m->bytes[i] = (unsigned char)abuse_random();
}

static void
cut(struct abuse_message *m)
{
	m->len = 1 + abuse_below((uint32_t)m->len - 1);
}

static void
empty(struct abuse_message *m)
{
	m->len = 0;
}

static void
lengthen(struct abuse_message *m)
{
	size_t len = m->len;
	/* Mostly by little, where an off-by-one would be. */
	uint32_t room = abuse_below(4) != 0 ? 64 : (uint32_t)(ABUSE_SIZE - len);

	m->len += 1 + abuse_below(room);
	fill(m, len, m->len);
}

static void
mistype(struct abuse_message *m)
{
	/* Past the last type, or 0. */
	uint32_t type = STATUS_REASON + 1 + (uint32_t)(abuse_random() >> 34);

	if (abuse_below(8) == 0)
		type = 0;
	memcpy(m->bytes, &type, sizeof(type));
}

static void
attach(struct abuse_message *m)
{
	m->n_fds = 1 + abuse_below(abuse_below(2) == 0 ? 2 : FDS_MAX);
}

static void
make_noise(struct abuse_message *m)
{
	m->len = sizeof(uint32_t) + abuse_below(12000);
	fill(m, 0, m->len);
	mistype(m);
}

static void
unterminate(
    struct abuse_message *m, const struct abuse_string *strings, size_t n)
{
	const struct abuse_string *s = &strings[abuse_below((uint32_t)n)];

	memset(m->bytes + s->offset, 'A', s->size);
}

void
abuse_spoil(
    struct abuse_message *m, const struct abuse_string *strings, size_t n)
{
	static void (*const ways[])(struct abuse_message * m) = { cut, empty,
		lengthen, mistype, attach, make_noise };
	const size_t n_ways = sizeof(ways) / sizeof(*ways);
	size_t way = abuse_below((uint32_t)n_ways + (n > 0 ? 1 : 0));

	if (way == n_ways)
		unterminate(m, strings, n);
	else
		ways[way](m);
}

static const size_t sizes[] = {
	[CTL_LOAD] = sizeof(struct ctl_load),
	[CTL_ADMIT_ANSWER] = sizeof(struct ctl_admit_answer),
	[CTL_DRAIN] = sizeof(struct ctl_order),
	[CTL_STOP] = sizeof(struct ctl_order),
	[CTL_LIST] = sizeof(struct ctl_list),
	[CTL_FORGET] = sizeof(struct ctl_forget),
	[CTL_READY] = sizeof(struct ctl_order),
	[CTL_ADMIT_REQUEST] = sizeof(struct ctl_admit_request),
	[CTL_EVENT] = sizeof(struct ctl_event),
	[CTL_LISTED] = sizeof(struct ctl_listed),
	[CTL_FORGOTTEN] = sizeof(struct ctl_forgotten),
	[CTL_KEYS_LOST] = sizeof(struct ctl_order),
	[TXN_BEGIN] = sizeof(struct txn_begin),
	[TXN_AUTH] = sizeof(struct txn_secret),
	[TXN_CHANGE] = sizeof(struct txn_secret),
	[TXN_ANSWER] = sizeof(struct txn_answer),
	[STATUS_IDENTITY] = sizeof(struct status_identity),
	[STATUS_PHASE] = sizeof(struct status_phase),
	[STATUS_DIALOGUE] = sizeof(struct status_dialogue),
	[STATUS_REASON] = sizeof(struct status_reason),
};

void
abuse_misdirect(struct abuse_message *m, const uint32_t *types, size_t n_types)
{
	const uint32_t type = types[abuse_below((uint32_t)n_types)];

	m->len = sizes[type];
	m->n_fds = 0;
	memset(m->bytes, 0, m->len);
	memcpy(m->bytes, &type, sizeof(type));
}

int
abuse_send(int fd, const struct abuse_message *m)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	union {
		const void *in;
		void *out;
	} base = { .in = m->bytes };
	struct iovec iov = { .iov_base = base.out, .iov_len = m->len };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *c;

	if (m->n_fds > 0) {
		memset(&control, 0, sizeof(control));
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(m->n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&header);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(m->n_fds * sizeof(int));
		/* The socket itself: whoever keeps it keeps it open. */
		for (unsigned i = 0; i < m->n_fds; i++)
			memcpy(
			    CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	return sendmsg(fd, &header, MSG_NOSIGNAL) == -1 ? -1 : 0;
}

int
abuse_count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int n = 0;

	while (folder != NULL && readdir(folder) != NULL)
		n++;
	(void)closedir(folder);
	return n;
}
