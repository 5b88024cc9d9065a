/*
 * "ADDRESS:PORT" and "unix:/path" into socket addresses, and back. Pure.
 */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include <sys/socket.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads "[v6]:port", "v4:port", "*:port", which is [::], or "unix:" and an
 * absolute path. Numeric only, so that no name server decides where we listen.
 * *sockaddr must be zeroed. 0, or -1 if it is none of these.
 */
int address_parse(
    const char *word, struct sockaddr_storage *sockaddr, socklen_t *len_out);

/* Writes the numeric address of an IPv4 or IPv6 peer, IPv4-mapped as IPv4, and
 * its port in host byte order. */
void address_format(const struct sockaddr_storage *sockaddr, char *text,
    size_t size, uint16_t *port);

#endif
