/* SPDX-License-Identifier: Apache-2.0 */
/* Time: a monotonic clock in microseconds for delays, and wall time as ISO 8601 text. Any thread. */
#pragma once

#include <stdint.h>

#define USEC_PER_SEC   INT64_C(1000000)
#define CLOCK_ISO_SIZE sizeof "2026-11-24T09:30:00.123456Z"

/* Microseconds of CLOCK_MONOTONIC. */
int64_t clock_now_us(void);
/* Seconds since 1970, UTC. */
int64_t clock_wall_s(void);
/* Microseconds since 1970, UTC. */
int64_t clock_wall_us(void);
/* "2026-11-24T09:30:00.123456Z" of a wall time in µs; what is before 1970 or behind 9999 is the nearest that is not. */
void clock_write_iso(int64_t wall_us, char text[CLOCK_ISO_SIZE]);
/* The same. Returns new. */
char *clock_format_iso(int64_t wall_us);
