/*
 * How a poppassd is. Runs as the user, without secrets; what the server sends
 * is made printable.
 */
#include "client/probe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "client/advice.h"
#include "common/log.h"

struct probe {
	const struct connection_target *target;
	const struct probe_limits *limits;
	struct connection *connection;
	int is_open;
	int offers[CONNECTION_STARTTLS + 1]; /* by kind, as far as tried */
	enum probe_state state;
	FILE *text; /* of the line, up to the performance data */
	int has_found;
};

static const char *const state_names[] = {
	[PROBE_OK] = "OK",
	[PROBE_WARNING] = "WARNING",
	[PROBE_CRITICAL] = "CRITICAL",
	[PROBE_UNKNOWN] = "UNKNOWN",
};

static const char *const kind_names[] = {
	[CONNECTION_IMPLICIT] = "implicit TLS",
	[CONNECTION_STARTTLS] = "STARTTLS",
	[CONNECTION_UNIX] = "no TLS",
};

/* The worst finding counts; each is told. */
static void find(struct probe *p, enum probe_state state, const char *format,
    ...) __attribute__((format(printf, 3, 4)));

static void
find(struct probe *p, enum probe_state state, const char *format, ...)
{
	char text[4096];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (char *c = text; *c != '\0'; c++) {
		/* A bar would begin the performance data. */
		if (*c < ' ' || *c > '~' || *c == '|')
			*c = '?';
	}
	(void)fprintf(p->text, "%s%s", p->has_found ? "; " : ": ", text);
	p->has_found = 1;
	if (state > p->state)
		p->state = state;
}

static const struct connection_facts *
facts(const struct probe *p)
{
	return connection_facts(p->connection);
}

static enum connection_kind
other_kind(const struct probe *p)
{
	return p->target->kind == CONNECTION_IMPLICIT ? CONNECTION_STARTTLS
						      : CONNECTION_IMPLICIT;
}

/* Does the server take the other way into TLS on this very port? */
static int
try_other(const struct probe *p)
{
	struct connection_target target = *p->target;
	struct connection *connection;
	int is_open = 0;

	target.kind = other_kind(p);
	connection = connection_new(&target);
	if (connection != NULL && connection_open(connection) == 0) {
		is_open = 1;
		(void)connection_send(connection, "QUIT\r\n", 6, NULL);
	}
	connection_close(connection);
	return is_open;
}

static void
check_open(struct probe *p)
{
	const struct failure *failure = connection_failure(p->connection);
	const struct connection_facts *f = facts(p);

	if (!p->is_open) {
		find(p,
		    failure->status == EX_NOINPUT ? PROBE_UNKNOWN
						  : PROBE_CRITICAL,
		    "%s", failure->text);
		if (p->offers[other_kind(p)])
			find(p, PROBE_CRITICAL,
			    "it takes %s: see --starttls, and tls=auto in "
			    "poppassd.conf(5)",
			    kind_names[other_kind(p)]);
	} else if (f->version != NULL) {
		find(p, PROBE_OK, "%s, %s, %s", f->version, f->cipher,
		    kind_names[p->target->kind]);
	} else {
		find(p, PROBE_OK, "reached");
	}
}

/* SnappyMail, RainLoop and Mulberry report a failure without that answer. */
static void
check_quit(struct probe *p)
{
	static const char quit[] = "QUIT\r\n";
	char line[CONNECTION_LINE_MAX];

	if (!p->is_open)
		return;
	if (connection_send(p->connection, quit, sizeof(quit) - 1, NULL) ==
		-1 ||
	    connection_receive(p->connection, line) == -1)
		find(p, PROBE_WARNING, "QUIT: %s",
		    connection_failure(p->connection)->text);
	else if (strncmp(line, "200 ", 4) != 0)
		find(p, PROBE_WARNING, "QUIT: the server says: %s", line);
}

static void
check_certificate(struct probe *p)
{
	const struct certificate_report *c = &facts(p)->certificate;

	for (unsigned i = 0; i < c->n_problems; i++)
		find(p, PROBE_CRITICAL, "%s (%s)", c->problems[i].what,
		    c->problems[i].advice);
	if (c->n_problems == 0 && *c->names != '\0')
		find(p, PROBE_OK, "certificate for %s by \"%s\"", c->names,
		    c->issuer);
}

static void
check_end(struct probe *p)
{
	const struct certificate_report *c = &facts(p)->certificate;
	enum probe_state state = PROBE_OK;

	if (*c->end == '\0' || c->days_left < 0)
		return;
	if (c->days_left < (int)p->limits->warning_days)
		state = PROBE_WARNING;
	if (c->days_left < (int)p->limits->critical_days)
		state = PROBE_CRITICAL;
	find(p, state, "\"%s\" expires in %d days, on %s", c->end_of,
	    c->days_left, c->end);
}

/* What a monitoring system draws: seconds, and days with their limits. */
static void
print_performance(const struct probe *p)
{
	const struct connection_facts *f = facts(p);

	if (!p->is_open)
		return;
	(void)printf(" | connect=%u.%03us;;;0", f->connect_ms / 1000,
	    f->connect_ms % 1000);
	if (f->version == NULL)
		return;
	(void)printf(" handshake=%u.%03us;;;0", f->handshake_ms / 1000,
	    f->handshake_ms % 1000);
	(void)printf(" days_left=%d;%u:;%u:", f->certificate.days_left,
	    p->limits->warning_days, p->limits->critical_days);
}

static void
print_details(const struct probe *p)
{
	const int implicit = p->offers[CONNECTION_IMPLICIT];
	const int starttls = p->offers[CONNECTION_STARTTLS];

	if (p->target->kind != CONNECTION_UNIX) {
		if (!implicit && !starttls)
			return;
		(void)printf("implicit TLS: %s\nSTARTTLS: %s\n",
		    implicit ? "yes" : "no", starttls ? "yes" : "no");
	}
	/* Advice is about what was looked at, not about the other way. */
	if (p->is_open || !implicit)
		advice_print(
		    stdout, p->target, &facts(p)->certificate, implicit);
}

static void
examine(struct probe *p)
{
	const int status = connection_failure(p->connection)->status;
	const int was_reached =
	    p->is_open || status == EX_NOPERM || status == EX_PROTOCOL;

	if (p->target->kind != CONNECTION_UNIX)
		p->offers[p->target->kind] = p->is_open;
	/* Where all is well, the server is spared a second connection. */
	if (p->target->kind != CONNECTION_UNIX && was_reached &&
	    (p->target->is_verbose || !p->is_open))
		p->offers[other_kind(p)] = try_other(p);
	check_open(p);
	check_certificate(p);
	check_end(p);
	check_quit(p);
}

/* "host port 106; finding; finding | performance". */
static void
print_report(const struct probe *p, const char *text)
{
	char host[1024];
	const int is_unix = p->target->kind == CONNECTION_UNIX;

	(void)log_escape(host, sizeof(host), p->target->host);
	(void)printf("POPPASSD %s: %s%s%s%s", state_names[p->state], host,
	    is_unix ? "" : " port ", is_unix ? "" : p->target->port, text);
	print_performance(p);
	(void)putchar('\n');
	if (p->target->is_verbose)
		print_details(p);
}

static enum probe_state
give_up(struct probe *p)
{
	(void)printf("POPPASSD UNKNOWN: %s\n", strerror(errno));
	connection_close(p->connection);
	return PROBE_UNKNOWN;
}

enum probe_state
probe_run(
    const struct connection_target *target, const struct probe_limits *limits)
{
	struct connection_target examined = *target;
	struct probe p = { .target = &examined, .limits = limits };
	char *text = NULL;
	size_t size;

	examined.is_examination = 1;
	p.connection = connection_new(&examined);
	p.text = p.connection != NULL ? open_memstream(&text, &size) : NULL;
	if (p.text == NULL)
		return give_up(&p);
	p.is_open = connection_open(p.connection) == 0;
	examine(&p);
	if (fclose(p.text) == EOF) {
		free(text);
		return give_up(&p);
	}
	print_report(&p, text);
	connection_close(p.connection);
	free(text);
	return p.state;
}
