/*
 * What is wrong with a server's certificate, in words that its administrator
 * can act on.
 */
#ifndef CLIENT_CERTIFICATE_H
#define CLIENT_CERTIFICATE_H

#include <openssl/ssl.h>
#include <openssl/x509.h>

#define CERTIFICATE_NAME_SIZE    256
#define CERTIFICATE_PROBLEMS_MAX 8

enum certificate_fault {
	FAULT_NONE,
	FAULT_TRUST, /* no authority that is trusted here stands for it */
	FAULT_NAME,
	FAULT_TIME,
	FAULT_OTHER
};

struct certificate_problem {
	enum certificate_fault fault;
	int depth;          /* 0: the server's own, above: its authorities */
	char what[1536];    /* "the certificate expired on 2020-02-01" */
	const char *advice; /* what to do about it */
};

/* All texts are printable ASCII. Zeroed: nothing is known. */
struct certificate_report {
	unsigned n_problems;
	struct certificate_problem problems[CERTIFICATE_PROBLEMS_MAX];
	char names[1024];                     /* DNS names and addresses */
	char dns_name[CERTIFICATE_NAME_SIZE]; /* the first that is a host's */
	char issuer[CERTIFICATE_NAME_SIZE];
	/* The first of the chain to expire; "" if nothing is known. */
	char end[32]; /* YYYY-MM-DD */
	char end_of[CERTIFICATE_NAME_SIZE];
	int days_left; /* whole days, less than 0 if it has expired */
};

/* For a verify callback of OpenSSL that was told of an error: adds the problem
 * to the report, once. host is what the certificate ought to be for. */
void certificate_note(
    struct certificate_report *report, X509_STORE_CTX *store, const char *host);

/* After a handshake: all but the problems. */
void certificate_describe(struct certificate_report *report, SSL *ssl);

/* Is there a problem of this kind? */
int certificate_has_fault(
    const struct certificate_report *report, enum certificate_fault fault);

#endif
