/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of definitions as the store has it, and the changes that wait for their turn. A removal of a partner is one
 * of its virtual files first. Main loop only; never waits but at the start.
 */
#include "daemon/definitions.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <string.h>

#define ANY_VERSION       (-1)
#define PASSWORD_RECEIVED "password_received"

typedef struct {
    Definitions *owner;
    DoorCall *call;
    char *partner, *pattern; /* pattern NULL: the partner itself */
    GVariant *settings;      /* what changes; NULL: it is removed */
    int64_t version;         /* 0: it is new */
    bool alone; /* a partner that was left out: the virtual files are those of another, of the file */
    GPtrArray *after;    /* the list once the store has it */
    Definition *changed; /* in after; NULL: removed */
    unsigned waiting;    /* requests that the store has not answered */
    GError *error;       /* the first of them */
} Change;

struct Definitions {
    Store *store;
    DefinitionsHost host;
    GPtrArray *list;
    GHashTable *index; /* Definition * of list, by partner and pattern */
    GQueue changes;    /* Change *: the first is being made */
};

static void change_free(gpointer data)
{
    Change *change = data;

    g_free(change->partner);
    g_free(change->pattern);
    if (change->settings != NULL)
        g_variant_unref(change->settings);
    if (change->after != NULL)
        g_ptr_array_unref(change->after);
    g_clear_error(&change->error);
    g_free(change);
}

static GPtrArray *list_new(void)
{
    return g_ptr_array_new_with_free_func((GDestroyNotify)definition_free);
}

static Definition *copy(const Definition *definition)
{
    Definition *fresh =
            definition_new(definition->partner, definition->pattern, definition->settings);

    fresh->version = definition->version;
    fresh->created_us = definition->created_us;
    fresh->updated_us = definition->updated_us;
    fresh->fault = g_strdup(definition->fault);
    fresh->left_out = definition->left_out;
    return fresh;
}

static guint hash(gconstpointer key)
{
    const Definition *definition = key;

    return g_str_hash(definition->partner) * 33 +
           (definition->pattern != NULL ? g_str_hash(definition->pattern) : 0);
}

static gboolean is_equal(gconstpointer a, gconstpointer b)
{
    const Definition *one = a, *other = b;

    return strcmp(one->partner, other->partner) == 0 &&
           g_strcmp0(one->pattern, other->pattern) == 0;
}

static GHashTable *make_index(const GPtrArray *list)
{
    GHashTable *index = g_hash_table_new(hash, is_equal);

    for (guint i = 0; i < list->len; i++)
        g_hash_table_add(index, g_ptr_array_index(list, i));
    return index;
}

/* list: taken. */
static void set_list(Definitions *self, GPtrArray *list)
{
    g_clear_pointer(&self->index, g_hash_table_unref);
    g_clear_pointer(&self->list, g_ptr_array_unref);
    self->list = list;
    self->index = make_index(list);
}

static Definition *look_up(GHashTable *index, const char *partner, const char *pattern)
{
    const Definition key = {.partner = (char *)(uintptr_t)partner,
                            .pattern = (char *)(uintptr_t)pattern};

    return g_hash_table_lookup(index, &key);
}

static Definition *find(const Definitions *self, const char *partner, const char *pattern)
{
    return look_up(self->index, partner, pattern);
}

/* reading */

Definitions *definitions_open(Store *store, const DefinitionsHost *host, GError **error)
{
    g_autoptr(StoreResult) result = store_execute(store, store_request_definitions());
    Definitions *self;

    if (result->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&result->error));
        return NULL;
    }
    self = g_new0(Definitions, 1);
    self->store = store;
    self->host = *host;
    set_list(self, g_steal_pointer(&result->definitions));
    g_queue_init(&self->changes);
    return self;
}

void definitions_close(Definitions *self)
{
    g_autoptr(GError) error =
            g_error_new(BASE_ERROR, BASE_ERROR_CANCELLED, "the daemon is stopping");
    Change *change;

    if (self == NULL)
        return;
    while ((change = g_queue_pop_head(&self->changes)) != NULL) {
        door_call_fail(change->call, error);
        change_free(change);
    }
    g_hash_table_unref(self->index);
    g_ptr_array_unref(self->list);
    g_free(self);
}

bool definitions_are_none(const Definitions *self)
{
    return self->list->len == 0;
}

/* Which one of a list a complaint of config_load_with is about; NULL: none. */
static Definition *find_culprit(const GPtrArray *list, const char *complaint)
{
    for (guint i = 0; i < list->len; i++) {
        Definition *definition = g_ptr_array_index(list, i);
        g_autofree char *name = config_name_definition(definition->partner, definition->pattern);
        g_autofree char *place = g_strdup_printf("store, %s:", name);

        if (g_str_has_prefix(complaint, place))
            return definition;
    }
    return NULL;
}

/* Takes out of force what does not fit of a list: at a start anything, later only what did not fit before. NULL: something
 * else is wrong. Returns new. */
static Config *load_what_fits(const Definitions *self, GPtrArray *list, const Config *running,
                              GError **error)
{
    for (;;) {
        GError *fault = NULL;
        Config *config = config_load_again(self->host.path, list, running, &fault);
        Definition *culprit = config == NULL ? find_culprit(list, fault->message) : NULL;
        const Definition *known =
                culprit != NULL ? find(self, culprit->partner, culprit->pattern) : NULL;

        if (config != NULL)
            return config;
        if (culprit == NULL || culprit->left_out || (running != NULL && known->fault == NULL)) {
            g_propagate_error(error, fault);
            return NULL;
        }
        culprit->left_out = culprit->fault != NULL || culprit->pattern != NULL;
        if (culprit->fault == NULL && running == NULL)
            log_event(LOG_DEFINITION_UNFIT, "REASON", fault->message, NULL);
        if (culprit->fault == NULL)
            culprit->fault = g_strdup(fault->message);
        g_error_free(fault);
    }
}

Config *definitions_load(Definitions *self, GError **error)
{
    return load_what_fits(self, self->list, NULL, error);
}

Config *definitions_load_again(Definitions *self, const Config *running, GError **error)
{
    g_autoptr(GPtrArray) hopeful = list_new();
    Config *loaded;

    for (guint i = 0; i < self->list->len; i++) {
        Definition *fresh = copy(g_ptr_array_index(self->list, i));

        g_clear_pointer(&fresh->fault, g_free);
        fresh->left_out = false;
        g_ptr_array_add(hopeful, fresh);
    }
    loaded = load_what_fits(self, hopeful, running, error);
    if (loaded != NULL)
        set_list(self, g_steal_pointer(&hopeful));
    return loaded;
}

/* What did not fit still does not, until somebody changes it. */
static void keep_faults(const Definitions *self, const GPtrArray *list)
{
    for (guint i = 0; i < list->len; i++) {
        Definition *fresh = g_ptr_array_index(list, i);
        const Definition *known = find(self, fresh->partner, fresh->pattern);

        if (known == NULL || known->fault == NULL || known->version != fresh->version)
            continue;
        fresh->fault = g_strdup(known->fault);
        fresh->left_out = known->left_out;
    }
}

static bool is_same(const Definitions *self, const GPtrArray *list)
{
    for (guint i = 0; i < list->len && list->len == self->list->len; i++) {
        const Definition *one = g_ptr_array_index(list, i);
        const Definition *other = find(self, one->partner, one->pattern);

        if (other == NULL || other->version != one->version ||
            strcmp(other->settings, one->settings) != 0)
            return false;
    }
    return list->len == self->list->len;
}

static void on_read(StoreResult *result, gpointer data)
{
    Definitions *self = data;
    g_autoptr(GError) error = g_steal_pointer(&result->error);

    if (error != NULL) {
        log_event(LOG_STORE_FAILED, "REASON", error->message, NULL);
    } else if (!is_same(self, result->definitions)) {
        keep_faults(self, result->definitions);
        set_list(self, g_steal_pointer(&result->definitions));
        if (!self->host.apply(self->host.data, &error))
            log_event(LOG_CONFIG_REFUSED, "REASON", error->message, NULL);
    }
    store_result_free(result);
}

void definitions_refresh(Definitions *self)
{
    store_submit(self->store, store_request_set_patient(store_request_definitions()), on_read,
                 self);
}

/* describing */

static void insert_origin(GVariantDict *d, const Definition *definition)
{
    g_variant_dict_insert(d, "source", "s", definition != NULL ? "store" : "file");
    if (definition != NULL && definition->fault != NULL)
        g_variant_dict_insert(d, "fault", "s", definition->fault);
    g_variant_dict_insert(d, "version", "x", definition != NULL ? definition->version : (gint64)0);
    g_variant_dict_insert(d, "updated_us", "x",
                          definition != NULL ? definition->updated_us : (gint64)0);
}

static GVariant *describe_file(const Definitions *self, const Partner *partner,
                               const VirtualFile *file)
{
    GVariantDict d;

    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "pattern", "s", file->pattern);
    g_variant_dict_insert(&d, "max_bytes", "t", file->max_bytes);
    insert_origin(&d, find(self, partner->name, file->pattern));
    g_variant_dict_insert_value(&d, "settings", config_describe_settings(SETTINGS_FILE, file));
    return g_variant_dict_end(&d);
}

/* One that is in no configuration: it can be changed and removed. */
static GVariant *describe_left_out(const Definition *definition)
{
    GVariantDict d;

    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "pattern", "s", definition->pattern);
    g_variant_dict_insert(&d, "max_bytes", "t", (guint64)0);
    insert_origin(&d, definition);
    g_variant_dict_insert_value(&d, "settings",
                                g_variant_new_array(G_VARIANT_TYPE("{sv}"), NULL, 0));
    return g_variant_dict_end(&d);
}

static void add_left_out(const Definitions *self, const char *partner, GVariantBuilder *files)
{
    for (guint i = 0; i < self->list->len; i++) {
        const Definition *definition = g_ptr_array_index(self->list, i);

        if (definition->left_out && definition->pattern != NULL &&
            strcmp(definition->partner, partner) == 0)
            g_variant_builder_add_value(files, describe_left_out(definition));
    }
}

const GPtrArray *definitions_list(const Definitions *self)
{
    return self->list;
}

void definitions_describe_listeners(const Definitions *self, GVariantBuilder *listeners)
{
    for (guint i = 0; i < self->list->len; i++) {
        const Definition *definition = g_ptr_array_index(self->list, i);
        GVariantDict d;

        if (!definition->left_out || definition->partner[0] != '\0')
            continue;
        g_variant_dict_init(&d, NULL);
        g_variant_dict_insert(&d, "id", "s", definition->pattern);
        g_variant_dict_insert(&d, "address", "s", "");
        g_variant_dict_insert(&d, "port", "u", (guint32)0);
        g_variant_dict_insert(&d, "tls", "b", FALSE);
        g_variant_dict_insert(&d, "running", "b", FALSE);
        g_variant_dict_insert(&d, "stopped", "b", FALSE);
        g_variant_dict_insert(&d, "failure", "s", definition->fault);
        g_variant_dict_insert(&d, "connections", "u", (guint32)0);
        g_variant_dict_insert(&d, "version", "x", definition->version);
        g_variant_dict_insert_value(&d, "settings",
                                    g_variant_new_array(G_VARIANT_TYPE("{sv}"), NULL, 0));
        g_variant_builder_add_value(listeners, g_variant_dict_end(&d));
    }
}

static GVariant *describe_partner(const Definitions *self, const Partner *partner)
{
    GVariantBuilder files;
    GVariantDict d;

    g_variant_builder_init(&files, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < partner->files->len; i++)
        g_variant_builder_add_value(
                &files, describe_file(self, partner, g_ptr_array_index(partner->files, i)));
    add_left_out(self, partner->name, &files);
    g_variant_dict_init(&d, NULL);
    g_variant_dict_insert(&d, "name", "s", partner->name);
    insert_origin(&d, find(self, partner->name, NULL));
    g_variant_dict_insert_value(&d, "settings",
                                config_describe_settings(SETTINGS_PARTNER, partner));
    g_variant_dict_insert_value(&d, "secrets", config_list_secrets(SETTINGS_PARTNER, partner));
    g_variant_dict_insert_value(&d, "files", g_variant_builder_end(&files));
    return g_variant_dict_end(&d);
}

typedef struct {
    const char *only, *after;
    guint32 limit;
    const char *state; /* "enabled", "disabled", "" */
} Page;

static bool is_on_page(const Page *page, const Partner *partner)
{
    return (page->only[0] == '\0' || strcmp(page->only, partner->name) == 0) &&
           (page->after[0] == '\0' || strcmp(partner->name, page->after) > 0) &&
           (page->state[0] == '\0' || partner->enabled == (strcmp(page->state, "enabled") == 0));
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const Partner *const *)a)->name, (*(const Partner *const *)b)->name);
}

void definitions_describe(Definitions *self, DoorCall *call, GVariant *parameters)
{
    const Config *config = self->host.config(self->host.data);
    g_autoptr(GPtrArray) found = NULL;
    GVariantBuilder partners;
    Page page;

    g_variant_get(parameters, "(&s&su&s)", &page.only, &page.after, &page.limit, &page.state);
    found = g_ptr_array_new();
    for (guint i = 0; i < config->partners->len; i++) {
        if (is_on_page(&page, g_ptr_array_index(config->partners, i)))
            g_ptr_array_add(found, g_ptr_array_index(config->partners, i));
    }
    g_ptr_array_sort(found, compare_names);
    g_variant_builder_init(&partners, G_VARIANT_TYPE("aa{sv}"));
    for (guint i = 0; i < MIN(found->len, page.limit); i++)
        g_variant_builder_add_value(&partners, describe_partner(self, g_ptr_array_index(found, i)));
    door_call_return(call, g_variant_new("(aa{sv})", &partners), NULL, 0);
}

/* checking */

static bool is_file_in_file(const Partner *partner, const char *pattern)
{
    for (guint i = 0; partner != NULL && i < partner->files->len; i++) {
        const VirtualFile *file = g_ptr_array_index(partner->files, i);

        if (strcmp(file->pattern, pattern) == 0)
            return true;
    }
    return false;
}

static bool is_listener_in_file(const Config *config, const char *name)
{
    for (guint i = 0; i < config->listeners->len; i++) {
        const ListenerConfig *listener = g_ptr_array_index(config->listeners, i);

        g_autofree char *id = config_name_listener(listener);

        if (g_strcmp0(id, name) == 0)
            return true;
    }
    return false;
}

/* Whether the configuration has it, and not from the store. */
static bool is_in_file(const Definitions *self, const Change *change)
{
    const Config *config = self->host.config(self->host.data);
    const Partner *partner = config_find_partner(config, change->partner);

    if (find(self, change->partner, change->pattern) != NULL)
        return false;
    if (change->partner[0] == '\0' && change->pattern != NULL)
        return is_listener_in_file(config, change->pattern);
    return change->pattern == NULL ? partner != NULL : is_file_in_file(partner, change->pattern);
}

static SettingsKind kind_of(const Change *change)
{
    return change->pattern == NULL                                 ? SETTINGS_PARTNER
           : change->partner[0] == '\0'                            ? SETTINGS_LISTENER
           : strcmp(change->partner, DEFINITION_CERTIFICATES) == 0 ? SETTINGS_CERTIFICATES
                                                                   : SETTINGS_FILE;
}

/* Whether it ends that certificates can be used. */
static bool takes_away(const Change *change)
{
    g_autoptr(GVariant) active = NULL;

    if (change->settings == NULL)
        return true;
    active = g_variant_lookup_value(change->settings, "active", G_VARIANT_TYPE_BOOLEAN);
    return active != NULL && !g_variant_get_boolean(active);
}

static bool check_unused(const Definitions *self, const Change *change, GError **error)
{
    const Config *config = self->host.config(self->host.data);
    const CertificateStore *store = kind_of(change) == SETTINGS_CERTIFICATES
                                            ? config_find_certificates(config, change->pattern)
                                            : NULL;
    g_autoptr(GPtrArray) users = NULL;
    g_autofree char *text = NULL;

    if (store == NULL || !takes_away(change))
        return true;
    users = config_list_users(config, store);
    if (users->len == 0)
        return true;
    g_ptr_array_add(users, NULL);
    text = g_strjoinv(", ", (char **)users->pdata);
    g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT, "'%s' is used by %s", store->name, text);
    return false;
}

/* Another partner that has the identifier which this one is to have. */
static const Partner *find_namesake(const Definitions *self, const Change *change)
{
    const Partner *other = NULL;
    const char *identifier;

    if (change->settings != NULL && change->pattern == NULL &&
        g_variant_lookup(change->settings, "identifier", "&s", &identifier))
        other = config_find_partner_by_identifier(self->host.config(self->host.data), identifier);
    return other != NULL && strcmp(other->name, change->partner) != 0 ? other : NULL;
}

/* Whether what is changed is there, or not there, as the caller thinks. */
static bool check_present(const Definitions *self, const Change *change, const Definition *found,
                          GError **error)
{
    g_autofree char *name = config_name_definition(change->partner, change->pattern);
    bool in_file = is_in_file(self, change);
    const Partner *namesake = find_namesake(self, change);

    if (change->version == 0 && (found != NULL || in_file))
        g_set_error(error, BASE_ERROR, BASE_ERROR_EXISTS, "%s: %s is there already%s",
                    kind_of(change) == SETTINGS_FILE ? "pattern" : "name", name,
                    in_file ? ", in the configuration file" : "");
    else if (change->version == 0 && kind_of(change) == SETTINGS_FILE &&
             config_find_partner(self->host.config(self->host.data), change->partner) == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "partner: there is no partner '%s'",
                    change->partner);
    else if (change->version != 0 && in_file)
        g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "%s is defined in the configuration file: change it there, then reload", name);
    else if (change->version != 0 && found == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no %s", name);
    else if (change->version > 0 && found->version != change->version)
        g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT, "%s was changed meanwhile", name);
    else if (namesake != NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_EXISTS, "identifier: partner '%s' has this one",
                    namesake->name);
    else
        return check_unused(self, change, error);
    return false;
}

/* "store, partner 'X':3: 'port' is 0: …" as "port: 'port' is 0: …"; what is wrong elsewhere is told as it is. */
static void explain(const Change *change, GError **error)
{
    g_autofree char *name = config_name_definition(change->partner, change->pattern);
    g_autofree char *place = g_strdup_printf("store, %s:", name);
    const char *text = (*error)->message, *quote;
    g_autofree char *key = NULL, *fresh = NULL;

    if (!g_str_has_prefix(text, place)) {
        fresh = g_strdup_printf(kind_of(change) == SETTINGS_CERTIFICATES
                                        ? "who uses it could not go on: %s"
                                        : "nothing can be changed before this is mended: %s",
                                text);
        g_clear_error(error);
        g_set_error_literal(error, BASE_ERROR, BASE_ERROR_CONFLICT, fresh);
        return;
    }
    text = strstr(text + strlen(place), ": ");
    text = text != NULL ? text + 2 : (*error)->message;
    quote = strchr(text, '\'');
    if (quote != NULL)
        key = g_strndup(quote + 1, strcspn(quote + 1, "'"));
    fresh = key != NULL && config_is_key(kind_of(change), key) ? g_strconcat(key, ": ", text, NULL)
                                                               : g_strdup(text);
    g_clear_error(error);
    g_set_error_literal(error, BASE_ERROR, BASE_ERROR_INVALID, fresh);
}

static bool is_gone(const Change *change, const Definition *definition)
{
    return change->settings == NULL && strcmp(definition->partner, change->partner) == 0 &&
           ((change->pattern == NULL && !change->alone) ||
            g_strcmp0(definition->pattern, change->pattern) == 0);
}

/* The list as it will be: partners stay before virtual files. */
static bool make_list(const Definitions *self, Change *change, const Definition *found,
                      GError **error)
{
    const Config *config = self->host.config(self->host.data);
    g_autofree char *settings = NULL;

    change->after = list_new();
    if (change->settings != NULL) {
        settings = config_change_settings(config, kind_of(change),
                                          found != NULL ? found->settings : "", change->settings,
                                          error);
        if (settings == NULL)
            return false;
        change->changed = definition_new(change->partner, change->pattern, settings);
        change->changed->version = found != NULL ? found->version : 0;
        change->changed->updated_us = clock_wall_us();
        change->changed->created_us =
                found != NULL ? found->created_us : change->changed->updated_us;
    }
    for (guint i = 0; i < self->list->len; i++) {
        const Definition *definition = g_ptr_array_index(self->list, i);

        if (definition != found && !is_gone(change, definition))
            g_ptr_array_add(change->after, copy(definition));
    }
    if (change->changed != NULL)
        g_ptr_array_insert(change->after, change->pattern == NULL ? 0 : -1, change->changed);
    return true;
}

static bool prepare(const Definitions *self, Change *change, GError **error)
{
    const Config *config = self->host.config(self->host.data);
    const Definition *found = find(self, change->partner, change->pattern);
    g_autoptr(Config) loaded = NULL;

    change->alone = found != NULL && found->left_out && found->pattern == NULL;
    if (!check_present(self, change, found, error) || !make_list(self, change, found, error))
        return false;
    loaded = config_load_again(self->host.path, change->after, config, error);
    if (loaded == NULL)
        explain(change, error);
    return loaded != NULL;
}

/* making */

static void make_next(Definitions *self);

static void end_change(Definitions *self)
{
    Change *change = g_queue_pop_head(&self->changes);
    gint64 version = change->changed != NULL ? change->changed->version : 0;

    if (change->error == NULL) {
        set_list(self, g_steal_pointer(&change->after));
        if (!self->host.apply(self->host.data, &change->error))
            g_prefix_error(&change->error, "it is stored, but cannot be in force: ");
    } else {
        definitions_refresh(self); /* a part may be done, or another daemon did something */
    }
    if (change->error != NULL)
        door_call_fail(change->call, change->error);
    else
        door_call_return(change->call, g_variant_new("(x)", version), NULL, 0);
    change_free(change);
    make_next(self);
}

static void on_stored(StoreResult *result, gpointer data)
{
    Change *change = data;

    if (change->error == NULL)
        change->error = g_steal_pointer(&result->error);
    if (result->error == NULL && change->changed != NULL && result->number != 0)
        change->changed->version = (int64_t)result->number;
    store_result_free(result);
    if (--change->waiting == 0)
        end_change(change->owner);
}

static void submit(Change *change, StoreRequest *request)
{
    change->waiting++;
    store_submit(change->owner->store, request, on_stored, change);
}

/* A password that the partner changed by itself is over when it is set here. */
static void submit_definition(Change *change)
{
    g_autoptr(GVariant) password =
            g_variant_lookup_value(change->settings, PASSWORD_RECEIVED, NULL);

    submit(change, store_request_define(change->changed, change->changed->version));
    if (password != NULL && change->pattern == NULL)
        submit(change, store_request_set_secret(change->partner, PASSWORD_RECEIVED, NULL));
}

static void submit_removal(Change *change)
{
    const GPtrArray *list = change->owner->list;

    for (guint i = list->len; i > 0; i--) { /* virtual files come last in it */
        const Definition *definition = g_ptr_array_index(list, i - 1);

        if (is_gone(change, definition))
            submit(change, store_request_undefine(definition->partner, definition->pattern,
                                                  definition->version));
    }
    if (change->pattern == NULL && !change->alone)
        submit(change, store_request_set_secret(change->partner, PASSWORD_RECEIVED, NULL));
}

static void make_next(Definitions *self)
{
    Change *change = g_queue_peek_head(&self->changes);

    if (change == NULL || change->waiting > 0)
        return;
    if (!prepare(self, change, &change->error)) {
        door_call_fail(change->call, change->error);
        change_free(g_queue_pop_head(&self->changes));
        make_next(self);
    } else if (change->changed != NULL) {
        submit_definition(change);
    } else {
        submit_removal(change);
    }
}

static void add_change(Definitions *self, DoorCall *call, const char *partner, const char *pattern,
                       GVariant *settings, int64_t version)
{
    Change *change = g_new0(Change, 1);

    change->owner = self;
    change->call = call;
    change->partner = g_strdup(partner);
    change->pattern = pattern[0] != '\0' ? g_strdup(pattern) : NULL;
    change->settings = settings;
    change->version = version;
    g_queue_push_tail(&self->changes, change);
    if (g_queue_get_length(&self->changes) == 1)
        make_next(self);
}

void definitions_define(Definitions *self, DoorCall *call, GVariant *parameters)
{
    const char *partner, *pattern;
    GVariant *settings;
    gint64 version;

    g_variant_get(parameters, "(&s&s@a{sv}x)", &partner, &pattern, &settings, &version);
    add_change(self, call, partner, pattern, settings, version);
}

void definitions_undefine(Definitions *self, DoorCall *call, GVariant *parameters)
{
    const char *partner, *pattern;
    gint64 version;

    g_variant_get(parameters, "(&s&sx)", &partner, &pattern, &version);
    add_change(self, call, partner, pattern, NULL, version != 0 ? version : ANY_VERSION);
}
