/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what is configured, in another order than their own: sortBy, sortDir, page. Those of transfers: order.h. */
#pragma once

#include "admin/request.h"

/* Whether the query asks for an order of a list that has one of its own. */
bool list_order_is_asked(const Request *request);
/* Runs the handler for all that there is, and answers with a page of it in that order. Worker thread. */
void list_order_run(Request *request);
