/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon has names for, as whoever may open its socket may know: for the completion of a shell. */
#include "pesitctl/output.h"
#include "pesitctl/verb.h"

#include <stdio.h>

#define GLANCE_MS 1000 /* somebody sits there and waits */

static void print_partner(const ClientPartner *partner)
{
    printf("partner\t%s\n", partner->name);
    for (guint i = 0; i < partner->files->len; i++)
        printf("file\t%s\t%s\n", partner->name,
               ((const ClientFile *)g_ptr_array_index(partner->files, i))->pattern);
}

static void print_listeners(GVariant *status)
{
    g_autoptr(GVariant) listeners =
            g_variant_lookup_value(status, "listeners", G_VARIANT_TYPE("aa{sv}"));

    for (gsize i = 0; listeners != NULL && i < g_variant_n_children(listeners); i++) {
        g_autoptr(GVariant) listener = g_variant_get_child_value(listeners, i);
        const char *id = "";

        if (g_variant_lookup(listener, "id", "&s", &id) && id[0] != '\0')
            printf("listener\t%s\n", id);
    }
}

int names_print(Client *client, GError **error)
{
    uint64_t generation = 0;
    g_autoptr(GPtrArray) partners = client_load_tree(client, GLANCE_MS, &generation, error);
    g_autoptr(GVariant) status = partners != NULL ? client_status(client, GLANCE_MS, error) : NULL;

    if (status == NULL)
        return EXIT_LOCAL;
    for (guint i = 0; i < partners->len; i++)
        print_partner(g_ptr_array_index(partners, i));
    print_listeners(status);
    return EXIT_DONE;
}
