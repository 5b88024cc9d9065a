/*
 * A password, and the memory that passwords live in. Any process.
 */
#include "common/secret.h"

#include <sys/mman.h>
#include <string.h>
#include <unistd.h>

static size_t
whole_pages(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

void *
secret_memory_map(size_t len, int *locked)
{
	size_t size = whole_pages(len);
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int ok;

	if (p == MAP_FAILED)
		return NULL;
	ok = mlock(p, size) == 0;
	(void)madvise(p, size, MADV_DONTDUMP);
	(void)madvise(p, size, MADV_WIPEONFORK);
	if (locked != NULL)
		*locked = ok;
	return p;
}

void
secret_memory_unmap(void *p, size_t len)
{
	if (p == NULL)
		return;
	explicit_bzero(p, len);
	(void)munmap(p, whole_pages(len));
}

int
secret_set(struct secret *s, const char *bytes, size_t len)
{
	secret_wipe(s);
	if (len > SECRET_MAX || memchr(bytes, '\0', len) != NULL)
		return -1;
	memcpy(s->bytes, bytes, len);
	s->len = (uint32_t)len;
	return 0;
}

void
secret_wipe(struct secret *s)
{
	explicit_bzero(s, sizeof(*s));
}

int
secret_valid(const struct secret *s)
{
	return s->len <= SECRET_MAX && s->bytes[s->len] == '\0' &&
	    strlen(s->bytes) == s->len;
}
