/* SPDX-License-Identifier: Apache-2.0 */
/*
 * There are few of them, so all are asked for, and sorted as they are written: by any field that one of them has. What is
 * null, or not there, comes first; what is equal keeps the order of the list.
 */
#include "admin/list-order.h"

#include "admin/admin-private.h"

#include <string.h>

#define ALL_MAX 1000
#define ALL     "1000"

bool list_order_is_asked(const Request *request)
{
    g_auto(GStrv) known = NULL;

    if (request_query(request, "sortBy") == NULL && request_query(request, "sortDir") == NULL &&
        request_query(request, "page") == NULL)
        return false;
    known = g_strsplit(routes_query(request->route->operation), " ", -1);
    return g_strv_contains((const char *const *)known, "sortDir") &&
           !g_strv_contains((const char *const *)known, "before");
}

typedef struct {
    char *field; /* NULL: the list's own order */
    bool descending;
    int64_t page, limit;
} Wish;

static void wish_clear(Wish *wish)
{
    g_free(wish->field);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Wish, wish_clear)

/* False: answered. */
static bool read_wish(Request *request, Wish *wish)
{
    const char *way = request_query(request, "sortDir");

    wish->field = g_strdup(request_query(request, "sortBy"));
    wish->descending = way != NULL && g_ascii_strcasecmp(way, "desc") == 0;
    wish->limit = ALL_MAX;
    if (way != NULL && !wish->descending && g_ascii_strcasecmp(way, "asc") != 0)
        request_problem(request, 400, "invalid", "sortDir", "sortDir: it must be asc or desc");
    else if (request_query(request, "after") != NULL)
        request_problem(request, 400, "invalid", "after",
                        "after: it goes on in the list's own order; here page says which");
    else
        return request_query_number(request, "page", 0, ALL_MAX, &wish->page) &&
               request_query_number(request, "limit", 1, ALL_MAX, &wish->limit);
    return false;
}

/* What the handler is not to see, and that it shall answer with all. */
static void widen(Request *request)
{
    g_auto(GStrv) known = g_strsplit(routes_query(request->route->operation), " ", -1);

    g_hash_table_remove(request->query, "sortBy");
    g_hash_table_remove(request->query, "sortDir");
    g_hash_table_remove(request->query, "page");
    if (g_strv_contains((const char *const *)known, "limit"))
        g_hash_table_replace(request->query, g_strdup("limit"), g_strdup(ALL));
}

void list_order_run(Request *request)
{
    g_auto(Wish) wish = {NULL};
    g_autofree char *sorted = NULL;
    g_autoptr(GError) error = NULL;

    if (!read_wish(request, &wish))
        return;
    widen(request);
    request->route->handler(request);
    if (request->status != 200)
        return;
    sorted = json_sort_list(request->answer->str,
                            &(JsonOrder){wish.field, wish.descending, ALL_MAX,
                                         (size_t)(wish.page * wish.limit), (size_t)wish.limit},
                            &error);
    if (sorted != NULL)
        g_string_append(request_answer(request, 200), sorted);
    else
        request_fail(request, error);
}
