/*
 * The lines that make webmail programs use a server. Runs as the user.
 */
#include "client/advice.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define PORT 106U

struct address {
	const char *scheme; /* "ssl://" */
	const char *host;
	unsigned port;
	int is_unix;
};

static void
print_roundcube(FILE *out, const struct address *a)
{
	(void)fprintf(out,
	    "    $config['password_driver'] = 'poppassd';\n"
	    "    $config['password_confirm_current'] = true;\n"
	    "    $config['password_pop_host'] = '%s%s';\n"
	    "    $config['password_pop_port'] = %u;\n",
	    a->scheme, a->host, a->port);
}

static void
print_horde(FILE *out, const struct address *a)
{
	(void)fprintf(out,
	    "    $backends['poppassd']['disabled'] = false;\n"
	    "    $backends['poppassd']['params']['host'] = '%s%s';\n"
	    "    $backends['poppassd']['params']['port'] = %u;\n",
	    a->scheme, a->host, a->port);
}

static void
print_snappymail(FILE *out, const struct address *a)
{
	(void)fprintf(out,
	    "    \"driver_poppassd_enabled\": true,\n"
	    "    \"poppassd_host\": \"%s%s\",\n"
	    "    \"poppassd_port\": %u\n",
	    a->scheme, a->host, a->port);
}

static void
print_squirrelmail(FILE *out, const struct address *a)
{
	if (a->port != PORT) {
		(void)fprintf(out, "    none: it can only use port %u\n", PORT);
		return;
	}
	(void)fprintf(out,
	    "    $cpw_backend = 'poppassd';\n"
	    "    $cpw_poppassd['server'] = '%s%s';\n",
	    a->scheme, a->host);
}

static void
print_aurora(FILE *out, const struct address *a)
{
	(void)fprintf(out,
	    "    \"Host\": [\"%s%s\", \"string\"],\n"
	    "    \"Port\": [%u, \"int\"]\n",
	    a->scheme, a->host, a->port);
}

struct program {
	const char *title; /* and where the lines belong */
	void (*print)(FILE *out, const struct address *a);
	int knows_unix; /* can it connect to a socket in the file system? */
};

static const struct program programs[] = {
	{ "Roundcube, plugins/password/config.inc.php", print_roundcube, 1 },
	{ "Horde, passwd/config/backends.local.php", print_horde, 1 },
	{ "SnappyMail, \"plugin\" in configs/plugin-change-password.json",
	    print_snappymail, 0 },
	{ "SquirrelMail, config/change_password_config.php", print_squirrelmail,
	    0 },
	{ "Aurora, settings/modules/"
	  "MailChangePasswordPoppassdPlugin.config.json",
	    print_aurora, 0 },
};

/* What somebody will paste between quotes holds nothing that ends them. */
static int
is_plain(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-_/";

	return *text != '\0' && text[strspn(text, plain)] == '\0';
}

/* PHP does not match an address in brackets. */
static int
is_usable_host(const char *host)
{
	unsigned char address[16];

	return is_plain(host) && inet_pton(AF_INET6, host, address) != 1;
}

static int
is_literal(const char *host)
{
	unsigned char address[4];

	return inet_pton(AF_INET, host, address) == 1;
}

/* The name that was verified, or one that can be; NULL if there is none. */
static const char *
choose_host(const struct connection_target *target,
    const struct certificate_report *certificate)
{
	const int fits = !certificate_has_fault(certificate, FAULT_NAME);

	if (fits && is_usable_host(target->host) && !is_literal(target->host))
		return target->host;
	if (*certificate->dns_name != '\0')
		return certificate->dns_name;
	return fits && is_usable_host(target->host) ? target->host : NULL;
}

static unsigned
port_number(const char *port)
{
	const struct servent *service = getservbyname(port, "tcp");

	return service != NULL ? ntohs((uint16_t)service->s_port)
			       : (unsigned)strtoul(port, NULL, 10);
}

static void
print_programs(FILE *out, const struct address *a)
{
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		if (a->is_unix && !programs[i].knows_unix)
			continue;
		(void)fprintf(out, "%s:\n", programs[i].title);
		programs[i].print(out, a);
	}
}

static void
print_trust(FILE *out, const struct connection_target *target,
    const struct certificate_report *certificate)
{
	if (certificate->n_problems > 0)
		(void)fprintf(out,
		    "None of this works before the certificate is mended or "
		    "trusted, see above.\n");
	if (target->ca_file == NULL &&
	    !certificate_has_fault(certificate, FAULT_TRUST))
		return;
	(void)fprintf(out,
	    "PHP must trust the authority: copy its certificate%s%s to\n"
	    "    /usr/local/share/ca-certificates/NAME.crt, run\n"
	    "    update-ca-certificates and restart php-fpm; or name it in\n"
	    "    openssl.cafile of php.ini.\n",
	    target->ca_file != NULL ? " " : "",
	    target->ca_file != NULL ? target->ca_file : "");
}

void
advice_print(FILE *out, const struct connection_target *target,
    const struct certificate_report *certificate, int is_implicit)
{
	struct address a = { .scheme = "ssl://",
		.port = port_number(target->port),
		.host = choose_host(target, certificate) };

	if (target->kind == CONNECTION_UNIX) {
		a = (struct address){ .scheme = "unix://",
			.host = is_plain(target->host) ? target->host : NULL,
			.is_unix = 1 };
	} else if (!is_implicit) {
		(void)fprintf(out,
		    "No webmail program can use STARTTLS: set tls=auto or "
		    "tls=implicit on the\n    listener, see "
		    "poppassd.conf(5).\n");
		return;
	}
	if (a.host == NULL) {
		(void)fprintf(out,
		    "No webmail program can use this name: have the "
		    "certificate made for a host\n    name.\n");
		return;
	}
	print_programs(out, &a);
	if (!a.is_unix)
		print_trust(out, target, certificate);
}
