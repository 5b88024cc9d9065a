/*
 * A passwd-file in its folder: finding it, locking it, and putting a new one in
 * its place. Any process that loads the module.
 *
 * Started as root, every step is done as the owner of the folder (and a file
 * that this one may not open is opened as its own owner), with nothing but the
 * file system's user id changed, so that neither CAP_DAC_OVERRIDE nor trust in
 * the folder is needed.
 * CAP_CHOWN is, where file and folder have different owners or groups.
 */
#ifndef PAM_PASSWD_FILE_STORE_H
#define PAM_PASSWD_FILE_STORE_H

#include <sys/stat.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "pam/passwd_file/complaint.h"

struct store {
	char path[PATH_MAX];     /* for messages */
	char name[NAME_MAX + 1]; /* in the folder, links followed */
	int dir_fd;
	int lock_fd;
	int data_fd;
	int watch; /* of data_fd while it is locked; see watch.h */
	uid_t dir_owner;
	int is_users; /* the path has a part that comes from a user's name */
	struct stat data; /* when it was locked */
};

/*
 * Finds the file: path, of which only the first fixed_len bytes are the
 * administrator's. What comes after them may hold no empty part, no `..` and no
 * link; the last part may be a link to a name in the same folder. Refuses a
 * folder that others may write. -1 with a complaint; PAM_USER_UNKNOWN if path
 * is one that only a strange user name makes, or it or its folder is not there
 * and comes from a user's name. Free with store_close(), in any case.
 */
int store_open(struct store *store, const char *path, size_t fixed_len,
    struct complaint *complaint);

/* Opens data_fd for reading, behind whoever is writing, for whom it waits 1.5
 * seconds at most. Refuses a file that others may write, and one that is still
 * empty then. Writers wait for store_release(). */
int store_read(struct store *store, struct complaint *complaint);

/* Closes and unlocks the file itself. */
void store_release(struct store *store);

/* Could a file be written here? Tried, not guessed. */
int store_probe(struct store *store, struct complaint *complaint);

/*
 * Takes both locks (the lock file's, then the file's own) and opens data_fd
 * anew. PAM_AUTHTOK_LOCK_BUSY if others have them when the clock of
 * lock_now_ms() is at deadline_ms.
 */
int store_lock(
    struct store *store, uint64_t deadline_ms, struct complaint *complaint);

enum store_result {
	STORE_REPLACED,
	STORE_CHANGED, /* by somebody who keeps to no lock, or others who do
	                  wait for it, or have just opened it and may be about
	                  to: nothing was done; lock anew */
	STORE_FAILED   /* see the complaint; the old file stays */
};

/*
 * Puts a file in the place of the locked one that differs only in len bytes at
 * `at`: there, field stands now. Owner, mode, ACL and label are the old one's;
 * the time of change is a later second. On disk when it returns. The locks stay
 * until store_close() or store_lock().
 */
enum store_result store_replace(struct store *store, off_t at, size_t len,
    const char *field, struct complaint *complaint);

/* Closes and unlocks. */
void store_close(struct store *store);

#endif
