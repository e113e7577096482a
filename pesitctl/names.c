/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon has names for, as whoever may open its socket may know: for the completion of a shell. */
#include "pesitctl/output.h"
#include "pesitctl/verb.h"

#include <jansson.h>
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

/* Who may not ask hears nothing. */
static void print_certificates(Client *client)
{
    static const char *const REQUEST[] = {"GET", "/api/v1/certificates", ""};
    unsigned status = 0;
    g_autofree char *answer = client_administer(client, REQUEST, &status, GLANCE_MS, NULL);
    json_t *list = answer != NULL && status == 200 ? json_loads(answer, 0, NULL) : NULL;
    json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
            printf("certificate\t%s\n", json_string_value(json_object_get(one, "name")));
    json_decref(list);
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
    print_certificates(client);
    return EXIT_DONE;
}
