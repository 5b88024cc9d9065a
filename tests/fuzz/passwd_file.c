/*
 * Fuzzes the parser of passwd-files, and holds what it says against a plain
 * reading of the same bytes. The input is a name, a newline, and the file.
 */
#include <sys/mman.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pam/passwd_file/entry.h"

#define NAME_SIZE 256

struct reading {
	unsigned n_lines;   /* of the user */
	const char *first;  /* the user's first line, or NULL */
	size_t first_len;   /* without its end */
	unsigned long line; /* its number */
};

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* Aborts in a way that libFuzzer reports. */
static void
must(int is_true, const char *what)
{
	if (is_true)
		return;
	warnx("not so: %s", what);
	abort();
}

static int
memory_file(const char *bytes, size_t len)
{
	static int fd = -1;

	if (fd == -1)
		fd = memfd_create("passwd-file", MFD_CLOEXEC);
	if (fd == -1 || ftruncate(fd, 0) == -1 ||
	    pwrite(fd, bytes, len, 0) != (ssize_t)len)
		err(1, "memfd");
	return fd;
}

static struct reading
read_plainly(const char *name, const char *bytes, size_t len)
{
	const size_t name_len = strlen(name);
	struct reading r = { .n_lines = 0 };
	unsigned long line = 0;

	for (const char *p = bytes, *end = bytes + len; p < end;) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((stop != NULL ? stop : end) - p);
		const char *next = stop != NULL ? stop + 1 : end;

		line++;
		if (n > 0 && p[n - 1] == '\r')
			n--;
		if (n >= name_len && memcmp(p, name, name_len) == 0 &&
		    (n == name_len || p[name_len] == ':') && r.n_lines++ == 0) {
			r.first = p;
			r.first_len = n;
			r.line = line;
		}
		p = next;
	}
	return r;
}

static void
check_found(const struct entry *entry, const char *name, const char *bytes,
    const struct reading *r)
{
	const char *password = bytes + entry->password_at;
	const char *end = password + entry->password_len;

	must(r->n_lines == 1, "the user is there once");
	must(entry->line == r->line, "the number of the line");
	must(password == r->first + strlen(name) + 1, "where field 2 begins");
	must(end <= r->first + r->first_len, "field 2 ends in the line");
	must(end == r->first + r->first_len || *end == ':', "where it ends");
	must(memchr(password, ':', entry->password_len) == NULL, "one field");
	must(strlen(entry->password) == entry->password_len &&
		memcmp(entry->password, password, entry->password_len) == 0,
	    "the copy of field 2");
	must(strlen(entry->extra) < sizeof(entry->extra), "extra fields end");
}

static void
check(const char *name, const char *bytes, size_t len)
{
	const struct reading r = read_plainly(name, bytes, len);
	const int has_nul = memchr(bytes, '\0', len) != NULL;
	struct entry *entry = malloc(sizeof(*entry));
	char scheme[64];

	if (entry == NULL)
		err(1, "malloc");
	switch (entry_find(memory_file(bytes, len), name, entry)) {
	case ENTRY_FOUND:
		must(!has_nul, "no NUL byte");
		check_found(entry, name, bytes, &r);
		(void)entry_login(entry, 1800000000);
		(void)scheme_method(entry->password);
		(void)scheme_is_slow(entry->password);
		scheme_name(entry->password, scheme, sizeof(scheme));
		must(strlen(scheme) < sizeof(scheme), "the scheme's name ends");
		break;
	case ENTRY_MISSING:
		must(!has_nul && r.n_lines == 0, "the user is missing");
		break;
	case ENTRY_TWICE:
		must(r.n_lines > 1, "the user is there twice");
		break;
	case ENTRY_BROKEN:
		must(entry->line > 0, "the number of a broken line");
		break;
	case ENTRY_ERROR:
		err(1, "entry_find");
	}
	free(entry);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const unsigned char *end = memchr(data, '\n', size);
	char name[NAME_SIZE];
	const size_t len = end != NULL ? (size_t)(end - data) : 0;
	char *file;

	if (end == NULL || len >= sizeof(name))
		return 0;
	memcpy(name, data, len);
	name[len] = '\0';
	if (strlen(name) != len || !entry_name_ok(name))
		return 0;
	/* Of its very size, so that a byte too far is seen. */
	size -= len + 1;
	file = malloc(size > 0 ? size : 1);
	if (file == NULL)
		err(1, "malloc");
	memcpy(file, end + 1, size);
	check(name, file, size);
	free(file);
	return 0;
}
