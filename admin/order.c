/* SPDX-License-Identifier: Apache-2.0 */
/* One row for each field that a list can be sorted by; what is equal comes by its number. */
#include "admin/order.h"

#include <string.h>

static int compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_created(const Transfer *a, const Transfer *b)
{
    return compare_numbers(a->created_us, b->created_us);
}

static int by_updated(const Transfer *a, const Transfer *b)
{
    return compare_numbers(a->updated_us, b->updated_us);
}

static int by_finished(const Transfer *a, const Transfer *b)
{
    return compare_numbers(a->finished_us, b->finished_us);
}

static int by_size(const Transfer *a, const Transfer *b)
{
    return compare_numbers((int64_t)a->size_bytes, (int64_t)b->size_bytes);
}

static int by_attempts(const Transfer *a, const Transfer *b)
{
    return compare_numbers(a->attempts, b->attempts);
}

static int by_state(const Transfer *a, const Transfer *b)
{
    return strcmp(transfer_state_name(a->state), transfer_state_name(b->state));
}

static int by_partner(const Transfer *a, const Transfer *b)
{
    return strcmp(a->partner, b->partner);
}

static int by_path(const Transfer *a, const Transfer *b)
{
    return strcmp(a->path, b->path);
}

static int by_id(const Transfer *a, const Transfer *b)
{
    return compare_numbers(a->id, b->id);
}

static const struct {
    const char *field;
    int (*compare)(const Transfer *a, const Transfer *b);
} FIELDS[] = {
        {"startedAt", by_created},    {"createdAt", by_created}, {"updatedAt", by_updated},
        {"completedAt", by_finished}, {"fileSize", by_size},     {"attempts", by_attempts},
        {"state", by_state},          {"status", by_state},      {"partnerId", by_partner},
        {"filename", by_path},        {"transferId", by_id},
};

bool order_read(Request *request, Order *ret_order)
{
    const char *by = request_query(request, "sortBy"), *way = request_query(request, "sortDir");
    Order order = {.compare = by == NULL ? by_created : NULL};

    for (size_t i = 0; by != NULL && i < G_N_ELEMENTS(FIELDS); i++) {
        if (strcmp(by, FIELDS[i].field) == 0)
            order.compare = FIELDS[i].compare;
    }
    order.ascending = way != NULL && g_ascii_strcasecmp(way, "asc") == 0;
    if (order.compare == NULL)
        request_problem(request, 400, "invalid", "sortBy", "sortBy: no field '%s' to sort by", by);
    else if (way != NULL && !order.ascending && g_ascii_strcasecmp(way, "desc") != 0)
        request_problem(request, 400, "invalid", "sortDir", "sortDir: it must be asc or desc");
    else if (request_query_number(request, "page", 0, ORDER_ROWS_MAX, &order.page)) {
        *ret_order = order;
        return true;
    }
    return false;
}

bool order_is_plain(const Order *self)
{
    return self->compare == by_created && !self->ascending && self->page == 0;
}

static int compare(gconstpointer a, gconstpointer b, gpointer data)
{
    const Order *self = data;
    const Transfer *left = *(const Transfer *const *)a, *right = *(const Transfer *const *)b;
    int order = self->compare(left, right);

    if (order == 0)
        order = by_id(left, right);
    return self->ascending ? order : -order;
}

void order_sort(const Order *self, GPtrArray *transfers)
{
    g_ptr_array_sort_with_data(transfers, compare, (gpointer)(uintptr_t)self);
}
