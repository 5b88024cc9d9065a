/*
 * Landlock: no rights to files and networks, whatever else goes wrong.
 */
#ifndef DAEMON_LANDLOCK_H
#define DAEMON_LANDLOCK_H

/* The version that this kernel has, or 0. Any process. */
int landlock_version(void);

/*
 * Takes from the caller, for good, every right that this kernel's version
 * knows: all of the file system below any root, TCP, sockets and signals of
 * others. What is open stays usable. Needs no_new_privs. 0, also where there is
 * no Landlock, or -1 with errno. Net only.
 */
int landlock_restrict(void);

#endif
