/* SPDX-License-Identifier: Apache-2.0 */
/* The numbered migrations, embedded at build: element i brings the schema to version i + 1. NULL ends them. */
#pragma once

extern const char *const SQL_MIGRATIONS[];
