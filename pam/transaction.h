/*
 * One password change: messages in, PAM, an answer out. Helper only.
 */
#ifndef PAM_TRANSACTION_H
#define PAM_TRANSACTION_H

#include "common/wire.h"

/*
 * Serves the transaction on WIRE_HELPER_TRANSACTION_FD and returns how it
 * ended, for the exit status. is_admitted: the monitor's policy admits the
 * user; if not, PAM is not asked, but the time is spent. Blocks as long as
 * net and PAM do.
 */
enum outcome transaction_run(int is_admitted);

#endif
