/*
 * --test-login: a login as the daemon would have it checked, shown step by
 * step. In a process of its own, with the monitor's privilege.
 */
#ifndef DAEMON_TEST_LOGIN_H
#define DAEMON_TEST_LOGIN_H

/*
 * Asks for the user's password on the terminal, has the real helper check it as
 * the configuration says, and prints what PAM's modules say and ask, what they
 * are answered, and the outcome. Changes nothing but what the modules count of
 * logins. Returns the exit status, as poppassd(8) lists them. Blocks, after the
 * password for change-timeout at the most.
 */
int test_login_main(const char *config_path, const char *user);

#endif
