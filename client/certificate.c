/*
 * What is wrong with a server's certificate. Runs as the user; what stands in
 * a certificate is hostile until it has been made printable.
 */
#include "client/certificate.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include "common/log.h"

#define NAMES_MAX 20

/* One certificate that OpenSSL complains about. */
struct finding {
	X509 *x; /* NULL: there is none */
	int depth;
	int code;   /* X509_V_ERR_... */
	int n_sent; /* how many certificates the server sent */
	const char *host;
};

/* Appends; what does not fit is cut. */
static void add(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void
add(char *out, size_t size, const char *format, ...)
{
	const size_t len = strlen(out);
	va_list args;

	va_start(args, format);
	(void)vsnprintf(out + len, size - len, format, args);
	va_end(args);
}

/* "CN = mail.example.com"; OpenSSL escapes all but printable ASCII. */
static void
format_name(char out[CERTIFICATE_NAME_SIZE], const X509_NAME *name)
{
	const unsigned long flags = XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_QUOTE;
	BIO *bio = BIO_new(BIO_s_mem());
	int n = 0;

	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, flags) >= 0)
		n = BIO_read(bio, out, CERTIFICATE_NAME_SIZE - 1);
	out[n > 0 ? n : 0] = '\0';
	BIO_free(bio);
}

static void
format_date(char *out, size_t size, const ASN1_TIME *time_point)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time_point, &tm) != 1 ||
	    strftime(out, size, "%Y-%m-%d", &tm) == 0)
		(void)snprintf(out, size, "a date that cannot be read");
}

static int
format_address(char out[CERTIFICATE_NAME_SIZE], const ASN1_STRING *s)
{
	const int len = ASN1_STRING_length(s);

	if (len != sizeof(struct in_addr) && len != sizeof(struct in6_addr))
		return 0;
	return inet_ntop(len == sizeof(struct in_addr) ? AF_INET : AF_INET6,
		   ASN1_STRING_get0_data(s), out,
		   CERTIFICATE_NAME_SIZE) != NULL;
}

static int
format_dns(char out[CERTIFICATE_NAME_SIZE], const ASN1_STRING *s)
{
	const size_t len = (size_t)ASN1_STRING_length(s);
	char text[CERTIFICATE_NAME_SIZE];

	if (memchr(ASN1_STRING_get0_data(s), '\0', len) != NULL)
		return 0;
	(void)snprintf(text, sizeof(text), "%.*s", (int)len,
	    (const char *)ASN1_STRING_get0_data(s));
	(void)log_escape(out, CERTIFICATE_NAME_SIZE, text);
	return 1;
}

/* 0 for a name that nothing can match in TLS: of another kind, or malformed. */
static int
format_alternative(char out[CERTIFICATE_NAME_SIZE], const GENERAL_NAME *name)
{
	if (name->type == GEN_IPADD)
		return format_address(out, name->d.iPAddress);
	return name->type == GEN_DNS && format_dns(out, name->d.dNSName);
}

static int
is_host_name(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789.-";

	return *name != '\0' && name[strspn(name, letters)] == '\0';
}

/* "a, b, c"; also the first DNS name that is one, not a pattern. */
static void
format_names(char *out, size_t size, char dns[CERTIFICATE_NAME_SIZE], X509 *x)
{
	GENERAL_NAMES *list =
	    X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	const int n = list != NULL ? sk_GENERAL_NAME_num(list) : 0;
	char name[CERTIFICATE_NAME_SIZE];

	*out = *dns = '\0';
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *entry = sk_GENERAL_NAME_value(list, i);

		if (!format_alternative(name, entry))
			continue;
		if (*dns == '\0' && entry->type == GEN_DNS &&
		    is_host_name(name))
			(void)snprintf(dns, CERTIFICATE_NAME_SIZE, "%s", name);
		if (i < NAMES_MAX)
			add(out, size, "%s%s", *out != '\0' ? ", " : "", name);
	}
	if (n > NAMES_MAX)
		add(out, size, " and others");
	if (*out == '\0') {
		format_name(name, X509_get_subject_name(x));
		add(out, size, "%s, without any subjectAltName", name);
	}
	GENERAL_NAMES_free(list);
}

static void
add_subject(char *out, size_t size, const struct finding *f)
{
	char name[CERTIFICATE_NAME_SIZE];

	add(out, size, "the certificate");
	if (f->depth == 0 || f->x == NULL)
		return;
	format_name(name, X509_get_subject_name(f->x));
	add(out, size, " of the authority \"%s\"", name);
}

static void
add_issuer(char *out, size_t size, const struct finding *f)
{
	char name[CERTIFICATE_NAME_SIZE];

	format_name(name, X509_get_issuer_name(f->x));
	add(out, size, " \"%s\"", name);
}

static void
tell_expired(char *out, size_t size, const struct finding *f)
{
	char date[64];

	format_date(date, sizeof(date), X509_get0_notAfter(f->x));
	add(out, size, " expired on %s; it is issued by", date);
	add_issuer(out, size, f);
}

static void
tell_not_yet(char *out, size_t size, const struct finding *f)
{
	char date[64];

	format_date(date, sizeof(date), X509_get0_notBefore(f->x));
	add(out, size, " is not valid before %s", date);
}

static void
tell_name(char *out, size_t size, const struct finding *f)
{
	char names[1024], dns[CERTIFICATE_NAME_SIZE];

	format_names(names, sizeof(names), dns, f->x);
	add(out, size, " is for %s, not for %s", names, f->host);
}

static void
tell_self_signed(char *out, size_t size, const struct finding *f)
{
	(void)f;
	add(out, size, " is self-signed, and not trusted here");
}

static void
tell_untrusted_root(char *out, size_t size, const struct finding *f)
{
	(void)f;
	add(out, size, " is not trusted here");
}

static void
tell_no_issuer(char *out, size_t size, const struct finding *f)
{
	add(out, size,
	    f->n_sent > 1 ? " is issued by an authority that is unknown here:"
			  : " comes alone, without that of its issuer:");
	add_issuer(out, size, f);
}

static void
tell_purpose(char *out, size_t size, const struct finding *f)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} usages[] = {
		{ XKU_SSL_CLIENT, " clientAuth" },
		{ XKU_SMIME, " emailProtection" },
		{ XKU_CODE_SIGN, " codeSigning" },
		{ XKU_TIMESTAMP, " timeStamping" },
		{ XKU_OCSP_SIGN, " OCSPSigning" },
		{ XKU_SSL_SERVER, " serverAuth" },
	};
	const uint32_t has = X509_get_extended_key_usage(f->x);

	add(out, size, " may not be used by a TLS server");
	if (has == UINT32_MAX) {
		add(out, size, " (its keyUsage)");
		return;
	}
	add(out, size, " (its extendedKeyUsage is");
	for (size_t i = 0; i < sizeof(usages) / sizeof(*usages); i++) {
		if ((has & usages[i].flag) != 0)
			add(out, size, "%s", usages[i].name);
	}
	add(out, size, ")");
}

static void
tell_no_authority(char *out, size_t size, const struct finding *f)
{
	(void)f;
	add(out, size, " may not issue others (its basicConstraints)");
}

static void
tell_weak(char *out, size_t size, const struct finding *f)
{
	const EVP_PKEY *key = X509_get0_pubkey(f->x);

	add(out, size, " is too weak: %s",
	    X509_verify_cert_error_string(f->code));
	if (key != NULL)
		add(out, size, " (the key has %d bits)",
		    EVP_PKEY_get_bits(key));
}

static void
tell_openssl(char *out, size_t size, const struct finding *f)
{
	add(out, size, ": %s", X509_verify_cert_error_string(f->code));
}

struct complaint {
	int code;
	enum certificate_fault fault;
	void (*tell)(char *out, size_t size, const struct finding *f);
	const char *advice;
};

static const char renew[] = "renew it";
static const char check_clock[] = "is this machine's clock right?";
static const char fix_name[] =
    "use one of the names it is for, or have it made for this one";
static const char name_authority[] =
    "name the certificate of a private authority with --ca";
static const char send_chain[] =
    "have the server send the intermediate certificates: append them to the "
    "file of tls-certificate; name a private authority with --ca";
static const char use_stronger[] =
    "make a key of ECDSA P-256 or RSA with 2048 bits, signed with SHA-256";

static const struct complaint complaints[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, FAULT_TIME, tell_expired, renew },
	{ X509_V_ERR_CERT_NOT_YET_VALID, FAULT_TIME, tell_not_yet,
	    check_clock },
	{ X509_V_ERR_HOSTNAME_MISMATCH, FAULT_NAME, tell_name, fix_name },
	{ X509_V_ERR_IP_ADDRESS_MISMATCH, FAULT_NAME, tell_name, fix_name },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, FAULT_TRUST, tell_self_signed,
	    "if it is yours, name it with --ca; strangers want one of a public "
	    "authority" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, FAULT_TRUST,
	    tell_untrusted_root, name_authority },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, FAULT_TRUST,
	    tell_no_issuer, send_chain },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, FAULT_TRUST, tell_no_issuer,
	    send_chain },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, FAULT_TRUST,
	    tell_no_issuer, send_chain },
	{ X509_V_ERR_INVALID_PURPOSE, FAULT_OTHER, tell_purpose,
	    "have it made with extendedKeyUsage serverAuth and keyUsage "
	    "digitalSignature" },
	{ X509_V_ERR_INVALID_CA, FAULT_OTHER, tell_no_authority,
	    "have the certificate issued by an authority" },
	{ X509_V_ERR_EE_KEY_TOO_SMALL, FAULT_OTHER, tell_weak, use_stronger },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, FAULT_OTHER, tell_weak, use_stronger },
	{ X509_V_ERR_CA_MD_TOO_WEAK, FAULT_OTHER, tell_weak, use_stronger },
	/* The last one takes all others. */
	{ X509_V_OK, FAULT_OTHER, tell_openssl,
	    "see openssl-verification-options(1)" },
};

static const struct complaint *
complaint_of(int code)
{
	const struct complaint *c = complaints;

	while (c->code != code && c->code != X509_V_OK)
		c++;
	return c;
}

int
certificate_has_fault(
    const struct certificate_report *report, enum certificate_fault fault)
{
	for (unsigned i = 0; i < report->n_problems; i++) {
		if (report->problems[i].fault == fault)
			return 1;
	}
	return 0;
}

/* One fault has several codes, and each of them may be told twice. */
static int
is_noted(const struct certificate_report *report, enum certificate_fault fault,
    int depth)
{
	for (unsigned i = 0; i < report->n_problems; i++) {
		const struct certificate_problem *p = &report->problems[i];

		if (p->fault == fault && p->depth == depth &&
		    fault != FAULT_OTHER)
			return 1;
	}
	return report->n_problems == CERTIFICATE_PROBLEMS_MAX;
}

void
certificate_note(
    struct certificate_report *report, X509_STORE_CTX *store, const char *host)
{
	struct finding f = { .x = X509_STORE_CTX_get_current_cert(store),
		.depth = X509_STORE_CTX_get_error_depth(store),
		.code = X509_STORE_CTX_get_error(store),
		.n_sent = sk_X509_num(X509_STORE_CTX_get0_untrusted(store)),
		.host = host };
	const struct complaint *c = complaint_of(f.code);
	struct certificate_problem *p;

	if (is_noted(report, c->fault, f.depth))
		return;
	p = &report->problems[report->n_problems++];
	p->fault = c->fault;
	p->depth = f.depth;
	p->advice = c->advice;
	*p->what = '\0';
	add_subject(p->what, sizeof(p->what), &f);
	if (f.x != NULL)
		c->tell(p->what, sizeof(p->what), &f);
	else
		tell_openssl(p->what, sizeof(p->what), &f);
}

static void
note_end(struct certificate_report *report, const X509 *x)
{
	const ASN1_TIME *end = X509_get0_notAfter(x);
	int days, seconds;

	if (ASN1_TIME_diff(&days, &seconds, NULL, end) != 1)
		return;
	if (seconds < 0)
		days--;
	if (*report->end != '\0' && days >= report->days_left)
		return;
	report->days_left = days;
	format_date(report->end, sizeof(report->end), end);
	format_name(report->end_of, X509_get_subject_name(x));
}

void
certificate_describe(struct certificate_report *report, SSL *ssl)
{
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	X509 *own = SSL_get0_peer_certificate(ssl);

	if (own == NULL)
		return;
	format_names(
	    report->names, sizeof(report->names), report->dns_name, own);
	format_name(report->issuer, X509_get_issuer_name(own));
	note_end(report, own);
	for (int i = 0; i < sk_X509_num(chain); i++)
		note_end(report, sk_X509_value(chain, i));
}
