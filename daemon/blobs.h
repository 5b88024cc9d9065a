/*
 * What the monitor sends the processes that it has started: whole texts, each
 * in CTL_LOAD messages. Net and keeper, before they give up privilege.
 */
#ifndef DAEMON_BLOBS_H
#define DAEMON_BLOBS_H

#include <stddef.h>
#include <stdint.h>

#include "common/wire.h"

struct blob {
	uint32_t index;
	const char *bytes; /* wiped when use() has returned */
	size_t len;
};

struct blob_rule {
	uint32_t kind; /* enum load_kind */
	enum wire_result (*use)(void *context, const struct blob *blob);
};

/*
 * Receives and hands on each text until LOAD_END. Blocks. fatal() in the name
 * of who if there is no monitor at the other end of fd, if it sends what no
 * rule takes, or if a use() fails.
 */
void blobs_receive(int fd, const char *who, const struct blob_rule *rules,
    size_t n_rules, void *context);

#endif
