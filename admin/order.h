/* SPDX-License-Identifier: Apache-2.0 */
/* The order of a list of transfers, as its caller wants it: sortBy, sortDir, page. */
#pragma once

#include "admin/request.h"
#include "daemon/store.h"

/* So many can be put into another order than the history's, which goes on for ever. */
#define ORDER_ROWS_MAX 2000

typedef struct {
    int (*compare)(const Transfer *a, const Transfer *b);
    bool ascending;
    int64_t page; /* from 0 */
} Order;

/* False: answered. */
bool order_read(Request *request, Order *ret_order);
/* Whether it is the history's own: the newest first, page by page from before. */
bool order_is_plain(const Order *self);
/* transfers: of Transfer *. */
void order_sort(const Order *self, GPtrArray *transfers);
