/*
 * "ADDRESS:PORT" into a socket address. Pure.
 */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include <sys/socket.h>

/*
 * Reads "[v6]:port", "v4:port" or "*:port", which is [::]. Numeric only, so
 * that no name server decides where we listen. *sockaddr must be zeroed. 0, or
 * -1 if it is none of these.
 */
int address_parse(
    const char *word, struct sockaddr_storage *sockaddr, socklen_t *len_out);

#endif
