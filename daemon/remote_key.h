/*
 * Private keys that are somewhere else: what net has instead of them. Net only.
 */
#ifndef DAEMON_REMOTE_KEY_H
#define DAEMON_REMOTE_KEY_H

#include <stdint.h>

#include <openssl/x509.h>

/*
 * Makes OpenSSL know keys that only sign, by asking the keeper at the other end
 * of fd. Called once, before the first key; fd stays open for good. 0, or -1
 * with OpenSSL's reason.
 */
int remote_key_init(int fd);

/*
 * The key number index of the keeper, which belongs to this certificate. To
 * sign with it blocks until the keeper answers, 2 s at the most, and fails at
 * once when it has not answered before. The caller frees it; NULL with
 * OpenSSL's reason.
 */
EVP_PKEY *remote_key_new(X509 *certificate, uint32_t index);

/* Has the keeper left a question unanswered? Then no key signs any more. */
int remote_keys_are_lost(void);

#endif
