/*
 * The process that holds the private keys: start-up and end.
 */
#ifndef DAEMON_KEEPER_PROCESS_H
#define DAEMON_KEEPER_PROCESS_H

/* argv[0] of a keeper; by it main() knows its role. */
#define KEEPER_NAME "poppassd: keys"

/* Takes keys from the monitor, gives up privilege, and signs until net has
 * gone. Returns the exit status. */
int keeper_process_main(void);

#endif
