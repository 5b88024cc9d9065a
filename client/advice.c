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

/* Lines of its configuration, cut where the host and the port go. */
struct program {
	const char *title; /* and where the lines belong */
	const char *before_host;
	const char *before_port;
	const char *after_port; /* NULL: no port can be set, it is PORT */
	int knows_unix; /* can it connect to a socket in the file system? */
};

static const struct program programs[] = {
	{ "Roundcube, plugins/password/config.inc.php",
	    "    $config['password_driver'] = 'poppassd';\n"
	    "    $config['password_confirm_current'] = true;\n"
	    "    $config['password_pop_host'] = '",
	    "';\n    $config['password_pop_port'] = ", ";\n", 1 },
	{ "Horde, passwd/config/backends.local.php",
	    "    $backends['poppassd']['disabled'] = false;\n"
	    "    $backends['poppassd']['params']['host'] = '",
	    "';\n    $backends['poppassd']['params']['port'] = ", ";\n", 1 },
	{ "SnappyMail, \"plugin\" in configs/plugin-change-password.json",
	    "    \"driver_poppassd_enabled\": true,\n"
	    "    \"poppassd_host\": \"",
	    "\",\n    \"poppassd_port\": ", "\n", 0 },
	{ "SquirrelMail, config/change_password_config.php",
	    "    $cpw_backend = 'poppassd';\n"
	    "    $cpw_poppassd['server'] = '",
	    "';\n", NULL, 0 },
	{ "Aurora, settings/modules/"
	  "MailChangePasswordPoppassdPlugin.config.json",
	    "    \"Host\": [\"", "\", \"string\"],\n    \"Port\": [",
	    ", \"int\"]\n", 0 },
};

static void
print_lines(FILE *out, const struct program *p, const struct address *a)
{
	if (p->after_port == NULL && a->port != PORT) {
		(void)fprintf(out, "    none: it can only use port %u\n", PORT);
		return;
	}
	(void)fprintf(out, "%s%s%s%s", p->before_host, a->scheme, a->host,
	    p->before_port);
	if (p->after_port != NULL)
		(void)fprintf(out, "%u%s", a->port, p->after_port);
}

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
		print_lines(out, &programs[i], a);
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
