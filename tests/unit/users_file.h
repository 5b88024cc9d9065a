/*
 * A passwd-file in a folder of the test's own, for the tests of store.h.
 */
#ifndef TESTS_UNIT_USERS_FILE_H
#define TESTS_UNIT_USERS_FILE_H

#include "pam/passwd_file/store.h"

#define USERS_TEXT "# users\nann:old:1\nbob:x\n"

#define USERS_LOCK_WAIT_MS 200

extern char users_folder[64];
extern struct complaint users_complaint;

/* For a checked fixture: a folder with USERS_TEXT in the file "users", of mode
 * 0640. */
void users_setup(void);
void users_teardown(void);

/* Of a file in the folder; valid until the next call but one. */
const char *users_path(const char *name);

void users_write(const char *name, const char *text);
void users_assert_text(const char *name, const char *text);

/* store_open() of "users", all of it the administrator's. */
int users_open(struct store *s);

/* store_lock() for USERS_LOCK_WAIT_MS at most. */
int users_lock(struct store *s);

/* store_replace() of ann's "old" in USERS_TEXT. */
enum store_result users_replace_locked(struct store *s, const char *field);

/* The same with the opening and locking before it. */
enum store_result users_replace(struct store *s, const char *field);

#endif
