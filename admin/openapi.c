/* SPDX-License-Identifier: Apache-2.0 */
/* Serves the contract, which is built in. */
#include "admin/admin-private.h"
#include "admin/openapi.h"

void openapi_show(Request *request)
{
    g_string_append(request_answer(request, 200), OPENAPI[0]);
    request->type = "application/yaml";
}
