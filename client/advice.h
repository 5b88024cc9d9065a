/*
 * The lines that make webmail programs use a server.
 */
#ifndef CLIENT_ADVICE_H
#define CLIENT_ADVICE_H

#include <stdio.h>

#include "client/certificate.h"
#include "client/connection.h"

/*
 * Prints, for each program that can use the server as it was reached, the file
 * and the lines; or why there are none. is_implicit: the server takes TLS at
 * once, the only way that they have. Does not block, but for the services
 * database.
 */
void advice_print(FILE *out, const struct connection_target *target,
    const struct certificate_report *certificate, int is_implicit);

#endif
