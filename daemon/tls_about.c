/*
 * What a certificate says of itself. Runs as root in the monitor; pure.
 */
#include "daemon/tls_about.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void
add_name(struct tls_about *about, const char *name)
{
	static const char more[] = " ...";
	const size_t len = strlen(about->names);

	if (strstr(about->names, more) != NULL)
		return;
	/* There is always room for the end. */
	if (len + 1 + strlen(name) + sizeof(more) > sizeof(about->names)) {
		(void)strcat(about->names, more);
		return;
	}
	(void)sprintf(about->names + len, "%s%s", len > 0 ? " " : "", name);
}

static void
add_alternative(struct tls_about *about, const GENERAL_NAME *name)
{
	const ASN1_STRING *s;
	char text[256];
	int len;

	if (name->type != GEN_DNS && name->type != GEN_IPADD)
		return;
	s = name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress;
	len = ASN1_STRING_length(s);
	if (name->type == GEN_DNS)
		(void)snprintf(text, sizeof(text), "%.*s", len,
		    (const char *)ASN1_STRING_get0_data(s));
	else if ((len != sizeof(struct in_addr) &&
		     len != sizeof(struct in6_addr)) ||
	    inet_ntop(len == sizeof(struct in_addr) ? AF_INET : AF_INET6,
		ASN1_STRING_get0_data(s), text, sizeof(text)) == NULL)
		return;
	add_name(about, text);
}

static void
read_names(struct tls_about *about, X509 *x)
{
	GENERAL_NAMES *list =
	    X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	char text[TLS_ABOUT_NAMES_SIZE];

	for (int i = 0; i < sk_GENERAL_NAME_num(list); i++)
		add_alternative(about, sk_GENERAL_NAME_value(list, i));
	GENERAL_NAMES_free(list);
	if (about->names[0] == '\0' &&
	    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName,
		text, sizeof(text)) > 0)
		add_name(about, text);
}

int
tls_about_read(const char *pem, size_t len, struct tls_about *about)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)len);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	struct tm tm;
	int result = -1;

	memset(about, 0, sizeof(*about));
	BIO_free(bio);
	if (x != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1) {
		about->expires = timegm(&tm);
		read_names(about, x);
		result = 0;
	}
	X509_free(x);
	return result;
}
