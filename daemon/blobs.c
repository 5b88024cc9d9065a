/*
 * What the monitor sends the processes that it has started. Runs in net and
 * keeper, before they have given up privilege; handles keys, no client bytes.
 */
#include "daemon/blobs.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

#include "common/log.h"
#include "common/secret.h"

/* Four lists of 1024 networks and four of 256 names fit; a chain with a few
 * intermediates is below 20 KiB. */
#define BLOB_MAX (1024 * 1024)

struct receiver {
	const struct blob_rule *rules;
	size_t n_rules;
	void *context;
	uint32_t kind; /* 0 before the first */
	struct blob blob;
	char *bytes; /* BLOB_MAX of secret memory */
	int is_done;
};

/* A blob is whole when the next one begins. */
static enum wire_result
finish_blob(struct receiver *r)
{
	enum wire_result result = WIRE_BAD;

	for (size_t i = 0; i < r->n_rules; i++) {
		if (r->rules[i].kind == r->kind)
			result = r->rules[i].use(r->context, &r->blob);
	}
	explicit_bzero(r->bytes, r->blob.len);
	r->blob.len = 0;
	return result;
}

static enum wire_result
on_load(void *context, const void *message, int passed_fd)
{
	struct receiver *r = context;
	const struct ctl_load *m = message;

	(void)passed_fd;
	if (m->len > sizeof(m->bytes))
		return WIRE_BAD;
	if (r->kind != 0 && (m->kind != r->kind || m->index != r->blob.index) &&
	    finish_blob(r) != WIRE_OK)
		return WIRE_BAD;
	r->kind = m->kind;
	r->blob.index = m->index;
	r->is_done = m->kind == LOAD_END;
	if (m->len > BLOB_MAX - r->blob.len)
		return WIRE_BAD;
	memcpy(r->bytes + r->blob.len, m->bytes, m->len);
	r->blob.len += m->len;
	return WIRE_OK;
}

static const struct wire_rule rules[] = {
	{ CTL_LOAD, WIRE_ANY_STATE, sizeof(struct ctl_load), on_load, 0 },
};

void
blobs_receive(int fd, const char *who, const struct blob_rule *blob_rules,
    size_t n_rules, void *context)
{
	struct receiver r = {
		.rules = blob_rules, .n_rules = n_rules, .context = context
	};
	void *buf = secret_memory_map(sizeof(struct ctl_load), NULL);

	r.bytes = secret_memory_map(BLOB_MAX, NULL);
	r.blob.bytes = r.bytes;
	if (buf == NULL || r.bytes == NULL)
		fatal(
		    EX_OSERR, "%s: memory for keys: %s", who, strerror(errno));
	while (!r.is_done) {
		if (wire_dispatch(fd, rules, 1, 0, buf, sizeof(struct ctl_load),
			&r) != WIRE_OK)
			fatal(EX_SOFTWARE,
			    "%s: no configuration on descriptor %d; this "
			    "process is started by poppassd, not by hand",
			    who, fd);
	}
	secret_memory_unmap(buf, sizeof(struct ctl_load));
	secret_memory_unmap(r.bytes, BLOB_MAX);
}
