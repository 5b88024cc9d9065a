/*
 * What the monitor tells of itself: state, counters, certificates. Runs as root
 * in the monitor.
 */
#include "daemon/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/tls_about.h"

#define DAY_SEC 86400

/* "2026-11-25T21:05:02Z". */
static const char *
format_time(char text[32], time_t t)
{
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(text, 32, "?");
	return text;
}

/* -1 if it cannot be read; but it was, when it was loaded. */
static int
read_certificate(
    const struct report_view *view, size_t i, struct tls_about *about)
{
	size_t len;
	const char *pem = tls_files_certificate(view->files, i, &len);

	return tls_about_read(pem, len, about);
}

/* Whole days; what ends today has 0, and what has ended less. */
static long
days_left(time_t expires)
{
	const time_t left = expires - time(NULL);

	return (long)(left >= 0 ? left / DAY_SEC : left / DAY_SEC - 1);
}

static void
say_certificates(const struct report_view *view, struct control_client *client)
{
	for (size_t i = 0; i < view->config->n_pairs; i++) {
		struct tls_about about;

		if (read_certificate(view, i, &about) == 0)
			control_say(client,
			    "certificate: %s: %ld days left: %s",
			    view->config->pairs[i].certificate,
			    days_left(about.expires), about.names);
	}
}

void
report_status(const struct report_view *view, struct control_client *client)
{
	char text[32];

	control_say(client, "version: %s", POPPASSD_VERSION);
	control_say(client, "pid: %d, since %s, %" PRIu64 " s", (int)getpid(),
	    format_time(text, view->started), view->uptime_sec);
	control_say(client, "configuration: number %u, since %s",
	    view->generation, format_time(text, view->loaded));
	if (view->net_pid != 0)
		control_say(client, "net: pid %d, since %s", (int)view->net_pid,
		    format_time(text, view->net_started));
	else
		control_say(client, "net: none; one will be started");
	control_say(client, "net processes: %zu", view->n_nets);
	control_say(client, "helpers: %zu running, %zu waiting",
	    view->n_helpers, view->n_waiting);
	say_certificates(view, client);
}

struct metric;

struct output {
	const struct report_view *view;
	struct control_client *client;
	enum report_format format;
	const struct metric *metric;
};

struct metric {
	const char *name;
	const char *type;
	const char *suffix; /* of a sample */
	const char *label;  /* or NULL: one sample */
	const char *unit;   /* or NULL */
	const char *help;
	void (*tell)(const struct output *out);
};

#define PREFIX "poppassd_"

/* As a label's value in quotes. */
static void
escape_label(char *out, size_t size, const char *text)
{
	size_t n = 0;

	for (const char *p = text; *p != '\0' && n + 2 < size; p++) {
		if (*p == '"' || *p == '\\')
			out[n++] = '\\';
		out[n++] = *p;
	}
	out[n] = '\0';
}

static void
sample(const struct output *out, const char *value_of_label, uint64_t value)
{
	const struct metric *m = out->metric;
	char label[512] = "";

	if (out->format == REPORT_PLAIN) {
		control_say(out->client, "%s%s%s %" PRIu64, m->name,
		    m->label != NULL ? " " : "", value_of_label, value);
		return;
	}
	escape_label(label, sizeof(label), value_of_label);
	if (m->label != NULL)
		control_say(out->client, PREFIX "%s%s{%s=\"%s\"} %" PRIu64,
		    m->name, m->suffix, m->label, label, value);
	else
		control_say(out->client, PREFIX "%s%s %" PRIu64, m->name,
		    m->suffix, value);
}

static void
tell_build(const struct output *out)
{
	sample(out, POPPASSD_VERSION, 1);
}

static void
tell_events(const struct output *out)
{
	size_t n;
	const struct log_count *counts = log_counts(&n);

	for (size_t i = 0; i < n; i++)
		sample(out, counts[i].event, counts[i].n);
}

static void
tell_helpers(const struct output *out)
{
	sample(out, "", out->view->n_helpers);
}

static void
tell_waiting(const struct output *out)
{
	sample(out, "", out->view->n_waiting);
}

static void
tell_nets(const struct output *out)
{
	sample(out, "", out->view->n_nets);
}

static void
tell_generation(const struct output *out)
{
	sample(out, "", out->view->generation);
}

static void
tell_started(const struct output *out)
{
	sample(out, "", (uint64_t)out->view->started);
}

static void
tell_loaded(const struct output *out)
{
	sample(out, "", (uint64_t)out->view->loaded);
}

/* A series may be there once. */
static int
was_named_before(const struct config *config, size_t i)
{
	for (size_t j = 0; j < i; j++) {
		if (strcmp(config->pairs[j].certificate,
			config->pairs[i].certificate) == 0)
			return 1;
	}
	return 0;
}

static void
tell_expiry(const struct output *out)
{
	const struct config *config = out->view->config;

	for (size_t i = 0; i < config->n_pairs; i++) {
		struct tls_about about;

		if (!was_named_before(config, i) &&
		    read_certificate(out->view, i, &about) == 0)
			sample(out, config->pairs[i].certificate,
			    (uint64_t)about.expires);
	}
}

static const struct metric metrics[] = {
	/* A gauge, not an info: the older text format, which a node exporter
	 * reads, has no such type. */
	{ "build_info", "gauge", "", "version", NULL, "What runs.",
	    tell_build },
	{ "events", "counter", "_total", "event", NULL,
	    "Events of the log since the start, see poppassd(8).",
	    tell_events },
	{ "helpers_running", "gauge", "", NULL, NULL,
	    "Password checks and changes under way.", tell_helpers },
	{ "helpers_waiting", "gauge", "", NULL, NULL,
	    "Password checks that wait for a helper.", tell_waiting },
	{ "net_processes", "gauge", "", NULL, NULL,
	    "Network processes, those that drain among them.", tell_nets },
	{ "configuration_number", "gauge", "", NULL, NULL,
	    "1 at the start, one more with each reload.", tell_generation },
	{ "start_time_seconds", "gauge", "", NULL, "seconds",
	    "When the daemon started.", tell_started },
	{ "load_time_seconds", "gauge", "", NULL, "seconds",
	    "When the configuration in force was loaded.", tell_loaded },
	{ "certificate_expiry_time_seconds", "gauge", "", "path", "seconds",
	    "When the certificate in use expires.", tell_expiry },
};

static void
describe(const struct output *out)
{
	const struct metric *m = out->metric;

	control_say(out->client, "# TYPE " PREFIX "%s %s", m->name, m->type);
	if (m->unit != NULL)
		control_say(
		    out->client, "# UNIT " PREFIX "%s %s", m->name, m->unit);
	control_say(out->client, "# HELP " PREFIX "%s %s", m->name, m->help);
}

void
report_stats(const struct report_view *view, struct control_client *client,
    enum report_format format)
{
	struct output out = {
		.view = view, .client = client, .format = format
	};

	for (size_t i = 0; i < sizeof(metrics) / sizeof(*metrics); i++) {
		out.metric = &metrics[i];
		if (format == REPORT_OPENMETRICS)
			describe(&out);
		out.metric->tell(&out);
	}
	if (format == REPORT_OPENMETRICS)
		control_say(client, "# EOF");
}
