/*
 * The names in a certificate. Runs in net; pure.
 */
#include "daemon/tls_names.h"

#include <arpa/inet.h>

#include <openssl/x509v3.h>

int
tls_names_have(X509 *certificate, const char *name)
{
	unsigned char address[16];

	/* RFC 6066 has no addresses in SNI; PHP sends them all the same. */
	if (inet_pton(AF_INET, name, address) == 1 ||
	    inet_pton(AF_INET6, name, address) == 1)
		return X509_check_ip_asc(certificate, name, 0) == 1;
	return X509_check_host(certificate, name, 0, 0, NULL) == 1;
}

static int
have_name(const GENERAL_NAMES *names, GENERAL_NAME *name)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) ==
		    0)
			return 1;
	}
	return 0;
}

static int
have_all_names(const GENERAL_NAMES *of, const GENERAL_NAMES *in)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(of); i++) {
		if (!have_name(in, sk_GENERAL_NAME_value(of, i)))
			return 0;
	}
	return 1;
}

int
tls_names_are_equal(const X509 *a, const X509 *b)
{
	GENERAL_NAMES *x =
	    X509_get_ext_d2i(a, NID_subject_alt_name, NULL, NULL);
	GENERAL_NAMES *y =
	    X509_get_ext_d2i(b, NID_subject_alt_name, NULL, NULL);
	int are_equal = x != NULL && y != NULL && have_all_names(x, y) &&
	    have_all_names(y, x);

	GENERAL_NAMES_free(x);
	GENERAL_NAMES_free(y);
	return are_equal;
}
