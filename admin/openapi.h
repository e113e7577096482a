/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.yaml as text, made when building. */
#pragma once

extern const char *const OPENAPI[];
