/* SPDX-License-Identifier: Apache-2.0 */
/* Reads all definitions, writes those that change, each if nobody changed it meanwhile, and answers when all are written. */
#include "daemon/reseal.h"

#include "base/error.h"
#include "base/secret.h"

#include <string.h>

typedef struct {
    Store *store;
    DoorCall *call;
    SealKey *key;
    unsigned changed, writing;
    GError *error; /* the first */
} Reseal;

GVariant *reseal_describe(const char *config_path, const Config *config)
{
    g_autofree char *main_file = g_canonicalize_filename(config_path, NULL);
    g_autofree char *key_file =
            config->key_file != NULL ? g_canonicalize_filename(config->key_file, NULL) : NULL;
    GVariantBuilder files;

    g_variant_builder_init(&files, G_VARIANT_TYPE("as"));
    g_variant_builder_add(&files, "s", main_file);
    for (guint i = 0; i < config->files->len; i++) {
        g_autofree char *file = g_canonicalize_filename(g_ptr_array_index(config->files, i), NULL);

        if (g_strcmp0(file, key_file) != 0)
            g_variant_builder_add(&files, "s", file);
    }
    return g_variant_new("(sas)", key_file != NULL ? key_file : "", &files);
}

static void end(Reseal *self)
{
    if (self->error != NULL)
        door_call_fail(self->call, self->error);
    else
        door_call_return(self->call, g_variant_new("(u)", self->changed), NULL, 0);
    g_clear_error(&self->error);
    seal_key_free(self->key);
    g_free(self);
}

/* A conflict: somebody changed it meanwhile, and sealed what is new with the first key; who asks again is sure. */
static void on_written(StoreResult *result, gpointer data)
{
    Reseal *self = data;

    if (result->error != NULL && result->error->code != BASE_ERROR_CONFLICT && self->error == NULL)
        self->error = g_steal_pointer(&result->error);
    store_result_free(result);
    self->writing--;
    if (self->writing == 0)
        end(self);
}

static void seal_again(Reseal *self, const Definition *definition)
{
    unsigned changed = 0;
    g_autofree char *settings =
            self->error == NULL
                    ? secret_seal_again(definition->settings, self->key, &changed, &self->error)
                    : NULL;
    g_autoptr(Definition) again = NULL;

    if (settings == NULL || changed == 0)
        return;
    again = definition_new(definition->partner, definition->pattern, settings);
    self->changed += changed;
    self->writing++;
    store_submit(self->store, store_request_define(again, definition->version), on_written, self);
}

static void on_definitions(StoreResult *result, gpointer data)
{
    Reseal *self = data;

    self->writing = 1; /* this function */
    if (result->error != NULL)
        self->error = g_steal_pointer(&result->error);
    for (guint i = 0; self->error == NULL && i < result->definitions->len; i++)
        seal_again(self, g_ptr_array_index(result->definitions, i));
    store_result_free(result);
    self->writing--;
    if (self->writing == 0)
        end(self);
}

void reseal_begin(const Config *config, Store *store, DoorCall *call)
{
    g_autoptr(GError) error = NULL;
    SealKey *key = NULL;
    Reseal *self;

    if (config->key_file == NULL)
        g_set_error(&error, BASE_ERROR, BASE_ERROR_INVALID,
                    "paths.key_file is not in the configuration");
    else
        key = seal_key_load(config->key_file, &error);
    if (key == NULL) {
        door_call_fail(call, error);
        return;
    }
    self = g_new0(Reseal, 1);
    self->store = store;
    self->call = call;
    self->key = key;
    store_submit(store, store_request_definitions(), on_definitions, self);
}
