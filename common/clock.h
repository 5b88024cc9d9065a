/*
 * Time that no administrator can set. Any process.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC; the same for all processes. */
uint64_t clock_now_ms(void);

#endif
