/*
 * One user's line of a passwd-file. Runs with the privilege of the program that
 * loads the module; reads a file that mail users' passwords are in.
 */
#include "pam/passwd_file/entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_SIZE (4 * ENTRY_LINE_MAX)

/* The number of `:` before the extra fields. */
#define EXTRA_FIELD 7

struct search {
	const char *name;
	size_t name_len;
	struct entry *entry;
	int is_found;
	unsigned long line;
	off_t offset; /* of the buffer's first byte in the file */
	size_t len;   /* bytes in the buffer */
	char buffer[BUFFER_SIZE];
};

int
entry_name_ok(const char *name)
{
	return *name != '\0' && *name != '#' && strpbrk(name, ":\r\n") == NULL;
}

static int
is_of_user(const struct search *s, const char *line, size_t len)
{
	return len >= s->name_len && memcmp(line, s->name, s->name_len) == 0 &&
	    (len == s->name_len || line[s->name_len] == ':');
}

static int
copy_extra(struct entry *entry, const char *p, size_t len)
{
	const char *end = p + len;

	entry->extra[0] = '\0';
	for (int i = 0; i < EXTRA_FIELD; i++) {
		p = memchr(p, ':', (size_t)(end - p));
		if (p == NULL)
			return 0;
		p++;
	}
	len = (size_t)(end - p);
	/* Cut, it could lose what keeps the user out. */
	if (len >= sizeof(entry->extra))
		return -1;
	memcpy(entry->extra, p, len);
	entry->extra[len] = '\0';
	return 0;
}

static enum entry_result
take_apart(struct search *s, const char *line, size_t len, off_t at)
{
	const char *password = line + s->name_len + 1;
	struct entry *entry = s->entry;
	const char *end;

	if (len == s->name_len)
		return ENTRY_BROKEN;
	end = memchr(password, ':', (size_t)(line + len - password));
	if (end == NULL)
		end = line + len;
	entry->password_len = (size_t)(end - password);
	if (entry->password_len >= sizeof(entry->password))
		return ENTRY_BROKEN;
	entry->password_at = at + (password - line);
	memcpy(entry->password, password, entry->password_len);
	entry->password[entry->password_len] = '\0';
	if (copy_extra(entry, line, len) == -1)
		return ENTRY_BROKEN;
	s->is_found = 1;
	return ENTRY_FOUND;
}

/* A whole line without its end. ENTRY_MISSING: go on. */
static enum entry_result
take_line(struct search *s, const char *line, size_t len, off_t at)
{
	enum entry_result result;

	s->line++;
	if (len > 0 && line[len - 1] == '\r')
		len--;
	if (!is_of_user(s, line, len))
		return ENTRY_MISSING;
	s->entry->line = s->line;
	if (s->is_found)
		return ENTRY_TWICE;
	result = take_apart(s, line, len, at);
	return result == ENTRY_FOUND ? ENTRY_MISSING : result;
}

static enum entry_result
broken(struct search *s, const char *from, const char *to)
{
	/* Which line the byte is in. */
	s->entry->line = s->line + 1;
	while ((from = memchr(from, '\n', (size_t)(to - from))) != NULL) {
		s->entry->line++;
		from++;
	}
	return ENTRY_BROKEN;
}

/* Takes every whole line out of the buffer; at the end of the file also one
 * that has no end. */
static enum entry_result
take_lines(struct search *s, int is_last)
{
	const char *p = s->buffer;
	const char *end = s->buffer + s->len;

	while (p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *stop = newline != NULL ? newline : end;
		enum entry_result result;

		if (stop - p >= ENTRY_LINE_MAX)
			return broken(s, p, p);
		if (newline == NULL && !is_last)
			break;
		result = take_line(
		    s, p, (size_t)(stop - p), s->offset + (p - s->buffer));
		if (result != ENTRY_MISSING)
			return result;
		p = newline != NULL ? newline + 1 : end;
	}
	s->offset += p - s->buffer;
	s->len = (size_t)(end - p);
	memmove(s->buffer, p, s->len);
	return ENTRY_MISSING;
}

/* *n is what came; 0 at the end of the file. */
static enum entry_result
fill(struct search *s, int fd, size_t *n)
{
	char *end = s->buffer + s->len;
	const char *nul;
	ssize_t got;

	do {
		got = pread(fd, end, sizeof(s->buffer) - s->len,
		    s->offset + (off_t)s->len);
	} while (got == -1 && errno == EINTR);
	if (got == -1)
		return ENTRY_ERROR;
	*n = (size_t)got;
	s->len += *n;
	nul = memchr(end, '\0', *n);
	return nul == NULL ? ENTRY_MISSING : broken(s, s->buffer, nul);
}

enum entry_result
entry_find(int fd, const char *name, struct entry *entry)
{
	struct search *s = calloc(1, sizeof(*s));
	enum entry_result result = ENTRY_MISSING;
	size_t n = 1;

	memset(entry, 0, sizeof(*entry));
	if (s == NULL)
		return ENTRY_ERROR;
	s->name = name;
	s->name_len = strlen(name);
	s->entry = entry;
	while (result == ENTRY_MISSING && n > 0) {
		result = fill(s, fd, &n);
		if (result == ENTRY_MISSING)
			result = take_lines(s, n == 0);
	}
	if (result == ENTRY_MISSING && s->is_found)
		result = ENTRY_FOUND;
	explicit_bzero(s, sizeof(*s));
	free(s);
	return result;
}

/* The value of an extra field, "" if it has none; NULL if it is not there.
 * *len is the value's. */
static const char *
extra_field(const char *extra, const char *name, size_t *len)
{
	const size_t name_len = strlen(name);

	while (*(extra += strspn(extra, " \t")) != '\0') {
		size_t n = strcspn(extra, " \t");

		if (n >= name_len && strncmp(extra, name, name_len) == 0 &&
		    (n == name_len || extra[name_len] == '=')) {
			*len = n > name_len ? n - name_len - 1 : 0;
			return extra + n - *len;
		}
		extra += n;
	}
	return NULL;
}

/* Days since the epoch of YYYY-MM-DD, or -1. */
static long
read_date(const char *text, size_t len)
{
	char copy[16];
	struct tm tm;
	const char *end;

	if (len != strlen("YYYY-MM-DD"))
		return -1;
	memcpy(copy, text, len);
	copy[len] = '\0';
	memset(&tm, 0, sizeof(tm));
	end = strptime(copy, "%Y-%m-%d", &tm);
	if (end == NULL || *end != '\0' || tm.tm_year < 70)
		return -1;
	return (long)(timegm(&tm) / (24 * 60 * 60));
}

enum entry_login
entry_login(const struct entry *entry, time_t now)
{
	/* Dovecot refuses each of them, or asks another database. */
	static const char *const never[] = { "nologin", "fail",
		"noauthenticate" };
	const char *value;
	size_t len;
	long day;

	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++) {
		if (extra_field(entry->extra, never[i], &len) != NULL)
			return ENTRY_LOGIN_NEVER;
	}
	value = extra_field(entry->extra, "expires", &len);
	if (value == NULL)
		return ENTRY_LOGIN_OK;
	day = read_date(value, len);
	if (day == -1)
		return ENTRY_LOGIN_UNCLEAR;
	return now / (24 * 60 * 60) >= day ? ENTRY_LOGIN_EXPIRED
					   : ENTRY_LOGIN_OK;
}
