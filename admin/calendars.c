/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calendars of the days on which banks work. In the document working days are digits ("12345") and holidays are lines of a day
 * and its name, in order; which calendar is the default stands in a record of its own, so that there is one at most.
 */
#include "admin/plan.h"

#include "admin/local-time.h"
#include "admin/schedule-draft.h"

#include "base/error.h"

#include <inttypes.h>
#include <string.h>

#define KIND         "calendar"
#define MARK         "calendar-default" /* kind and id; the document is the id of the calendar */
#define PATH         "/api/v1/calendars/"
#define HOLIDAYS_MAX 2000
#define DAY_LENGTH   10
#define YEAR_MIN     1970
#define YEAR_MAX     2399
#define YEARS_AHEAD  10 /* of a set, where nobody says how many */

/* clang-format off */
static const PlanField FIELDS[] = {
    { "name", FIELD_TEXT, 0, 0, NULL, NULL }, { "description", FIELD_TEXT, 0, 0, NULL, NULL },
    { "workingDays", FIELD_LIST, 0, 0, NULL, NULL }, { "holidays", FIELD_LIST, 0, 0, NULL, NULL },
    { "defaultCalendar", FIELD_BOOL, 0, 0, NULL, NULL }, { "preset", FIELD_WORD, 0, 0, "TARGET2 FR", NULL },
    { "fromYear", FIELD_NUMBER, YEAR_MIN, YEAR_MAX, NULL, NULL }, { "toYear", FIELD_NUMBER, YEAR_MIN, YEAR_MAX, NULL, NULL },
    { NULL, FIELD_TEXT, 0, 0, NULL, NULL },
};
static const PlanField HOLIDAY[] = {
    { "date", FIELD_TEXT, 0, 0, NULL, NULL }, { "name", FIELD_TEXT, 0, 0, NULL, NULL }, { "preset", FIELD_WORD, 0, 0, "TARGET2 FR", NULL },
    { "fromYear", FIELD_NUMBER, YEAR_MIN, YEAR_MAX, NULL, NULL }, { "toYear", FIELD_NUMBER, YEAR_MIN, YEAR_MAX, NULL, NULL },
    { NULL, FIELD_TEXT, 0, 0, NULL, NULL },
};
/* clang-format on */

/* holidays in order: int64_t day → char * name */

static gint compare_days(gconstpointer a, gconstpointer b, gpointer data)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;

    (void)data;
    return first < second ? -1 : first > second ? 1 : 0;
}

static GTree *holidays_new(void)
{
    return g_tree_new_full(compare_days, NULL, g_free, g_free);
}

static void put_holiday(int64_t day, const char *name, gpointer holidays)
{
    g_tree_replace(holidays, g_memdup2(&day, sizeof day), g_strdup(name));
}

/* "2027-01-01 New Year's Day" */
static bool read_holiday(const char *text, GTree *holidays)
{
    g_autofree char *date = g_strndup(text, DAY_LENGTH);
    int64_t day;

    if (!local_time_parse_day(date, &day) || (strlen(text) > DAY_LENGTH && text[DAY_LENGTH] != ' '))
        return false;
    put_holiday(day, strlen(text) > DAY_LENGTH ? text + DAY_LENGTH + 1 : "", holidays);
    return true;
}

/* Returns new. */
static GTree *holidays_of(const Json *document)
{
    GTree *holidays = holidays_new();
    const char *text = NULL;
    g_auto(GStrv) lines = NULL;

    (void)json_get_text(document, "holidays", &text, NULL); /* our own */
    lines = g_strsplit(text != NULL ? text : "", "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++)
        (void)read_holiday(lines[i], holidays); /* our own */
    return holidays;
}

static gboolean append_line(gpointer key, gpointer value, gpointer lines)
{
    g_autofree char *date = local_time_format_day(*(int64_t *)key);

    g_string_append_printf(lines, "%s%s%s%s", ((GString *)lines)->len > 0 ? "\n" : "", date,
                           *(char *)value != '\0' ? " " : "", (char *)value);
    return FALSE;
}

/* INVALID. */
static bool keep_holidays(Json *document, GTree *holidays, GError **error)
{
    g_autoptr(GString) lines = g_string_new(NULL);

    if (g_tree_nnodes(holidays) > HOLIDAYS_MAX) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "holidays: there may be %d",
                    HOLIDAYS_MAX);
        return false;
    }
    g_tree_foreach(holidays, append_line, lines);
    json_set_text(document, "holidays", lines->str);
    return true;
}

/* Those of a set that the body names, added to what is there. */
static bool add_preset(const Json *body, GTree *holidays, GError **error)
{
    const char *preset = NULL;
    g_autoptr(GDateTime) now = g_date_time_new_now_utc();
    int64_t from = g_date_time_get_year(now), to;

    (void)json_get_text(body, "preset", &preset, NULL); /* checked, as the others */
    if (preset == NULL && (json_has(body, "fromYear") || json_has(body, "toYear"))) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "preset: it is missing");
        return false;
    }
    (void)json_get_number(body, "fromYear", &from, NULL);
    to = from + YEARS_AHEAD - 1;
    (void)json_get_number(body, "toYear", &to, NULL);
    if (to < from || to - from >= 200) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "toYear: it must be fromYear or one of the 199 years after it");
        return false;
    }
    for (int64_t year = from; preset != NULL && year <= to; year++)
        (void)working_days_each_holiday(preset, (int)year, put_holiday, holidays); /* checked */
    return true;
}

/* lists of a body */

typedef struct {
    GString *digits; /* of working days; NULL: not there */
    GTree *holidays; /* or NULL */
} Lists;

static bool read_working_days(GVariant *value, Lists *lists, GError **error)
{
    unsigned mask = 0;
    bool good = value != NULL && g_variant_is_container(value);

    for (gsize i = 0; good && i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) one = g_variant_get_child_value(value, i);
        int64_t day =
                g_variant_is_of_type(one, G_VARIANT_TYPE_INT64) ? g_variant_get_int64(one) : 0;

        good = day >= 1 && day <= 7;
        mask |= good ? 1u << day : 0;
    }
    if (!good) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "workingDays: it must be a list of numbers, 1 Monday to 7 Sunday");
        return false;
    }
    lists->digits = g_string_new(NULL);
    for (unsigned day = 1; day <= 7; day++) {
        if ((mask & 1u << day) != 0)
            g_string_append_c(lists->digits, (char)('0' + day));
    }
    return true;
}

static bool read_holidays(GVariant *value, Lists *lists, GError **error)
{
    bool good = value != NULL && g_variant_is_container(value);

    lists->holidays = holidays_new();
    for (gsize i = 0; good && i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) one = g_variant_get_child_value(value, i);

        good = g_variant_is_of_type(one, G_VARIANT_TYPE_STRING) &&
               strpbrk(g_variant_get_string(one, NULL), "\n\r") == NULL &&
               read_holiday(g_variant_get_string(one, NULL), lists->holidays);
    }
    if (!good)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "holidays: it must be a list of days as \"2027-01-01\" or \"2027-01-01 New "
                    "Year's Day\"");
    return good;
}

static bool read_list(const char *field, GVariant *value, gpointer data, GError **error)
{
    bool null = value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT);

    if (!null && strcmp(field, "workingDays") == 0)
        return read_working_days(value, data, error);
    if (!null && strcmp(field, "holidays") == 0)
        return read_holidays(value, data, error);
    return true;
}

/* Lists, and what a set adds, from the body into the document; default: see mark_default. */
static bool take_body(Json *document, Json *body, GError **error)
{
    Lists lists = {NULL, NULL};
    bool good = json_each(body, read_list, &lists, error);
    g_autoptr(GTree) holidays = lists.holidays != NULL ? lists.holidays : holidays_of(document);
    g_autofree char *digits = lists.digits != NULL ? g_string_free(lists.digits, FALSE) : NULL;

    if (!good || !add_preset(body, holidays, error))
        return false;
    json_remove(body, "holidays");
    json_remove(body, "workingDays");
    plan_merge(document, body, FIELDS);
    json_remove(document, "preset");
    json_remove(document, "fromYear");
    json_remove(document, "toYear");
    json_remove(document, "defaultCalendar");
    if (digits != NULL || !json_has(document, "workingDays"))
        json_set_text(document, "workingDays", digits != NULL ? digits : "12345");
    return keep_holidays(document, holidays, error);
}

/* the default */

/* Returns new, "" for none; NULL: the store says error. */
static char *dup_default(Request *request, GError **error)
{
    g_autoptr(StoreResult) found = request_execute(request, store_request_record_get(MARK, MARK));

    if (found->error == NULL)
        return g_strdup(((const Record *)g_ptr_array_index(found->records, 0))->document);
    if (found->error->code == BASE_ERROR_NOT_FOUND)
        return g_strdup("");
    g_propagate_error(error, g_steal_pointer(&found->error));
    return NULL;
}

/* False: answered. */
static bool mark_default(Request *request, const char *id)
{
    g_autoptr(Record) mark = record_new(MARK, MARK, MARK, id);
    g_autoptr(StoreResult) made = NULL, changed = NULL;

    made = request_execute(request, store_request_record_insert(mark));
    if (made->error == NULL)
        return true;
    changed = request_execute(request, store_request_record_update(mark, 0));
    if (changed->error != NULL)
        request_fail(request, changed->error);
    return changed->error == NULL;
}

/* False: answered. */
static bool take_default(Request *request, const char *id, bool wanted)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *now = dup_default(request, &error);
    g_autoptr(StoreResult) removed = NULL;

    if (now == NULL) {
        request_fail(request, error);
        return false;
    }
    if (wanted)
        return strcmp(now, id) == 0 || mark_default(request, id);
    if (strcmp(now, id) != 0)
        return true;
    removed = request_store(request, store_request_record_remove(MARK, MARK, 0));
    return removed != NULL;
}

bool calendar_load(Request *request, const char *id, WorkingDays *ret_days, GError **error)
{
    g_autofree char *wanted = id != NULL ? g_strdup(id) : dup_default(request, error);
    g_autoptr(StoreResult) found = NULL;
    g_autoptr(Json) document = NULL;
    const Record *record;
    const char *digits = "12345", *text = NULL;
    g_auto(GStrv) lines = NULL;

    *ret_days = (WorkingDays){WORKING_DAYS_MONDAY_TO_FRIDAY, NULL};
    if (wanted == NULL || wanted[0] == '\0')
        return wanted != NULL;
    found = request_execute(request, store_request_record_get(KIND, wanted));
    if (found->error != NULL && found->error->code == BASE_ERROR_NOT_FOUND) {
        if (id == NULL)
            return true; /* it was the default */
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "calendarId: there is no calendar '%s'",
                    id);
        return false;
    }
    if (found->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&found->error));
        return false;
    }
    record = g_ptr_array_index(found->records, 0);
    document = json_read(record->document, strlen(record->document), error);
    if (document == NULL || !json_get_text(document, "workingDays", &digits, error) ||
        !json_get_text(document, "holidays", &text, error))
        return false;
    ret_days->weekdays = 0;
    for (; *digits != '\0'; digits++)
        ret_days->weekdays |= 1u << (*digits - '0');
    lines = g_strsplit(text != NULL ? text : "", "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        int64_t day;

        lines[i][strcspn(lines[i], " ")] = '\0';
        if (local_time_parse_day(lines[i], &day))
            working_days_add_holiday(ret_days, day);
    }
    return true;
}

/* answers */

static gboolean write_date(gpointer key, gpointer value, gpointer out)
{
    g_autofree char *date = local_time_format_day(*(int64_t *)key);

    (void)value;
    json_text(out, NULL, date);
    return FALSE;
}

static gboolean write_name(gpointer key, gpointer value, gpointer out)
{
    g_autofree char *date = local_time_format_day(*(int64_t *)key);

    if (*(char *)value != '\0')
        json_text(out, date, value);
    return FALSE;
}

static gboolean write_holiday(gpointer key, gpointer value, gpointer out)
{
    g_autofree char *date = local_time_format_day(*(int64_t *)key);

    json_open(out, NULL, '{');
    json_text(out, "date", date);
    json_text(out, "name", value);
    json_close(out, '}');
    return FALSE;
}

static void write_calendar(GString *out, const Record *record, const Json *document,
                           const char *default_id)
{
    g_autoptr(GTree) holidays = holidays_of(document);
    const char *name = record->name, *description = NULL, *digits = "";

    (void)json_get_text(document, "description", &description, NULL); /* checked, as the others */
    (void)json_get_text(document, "workingDays", &digits, NULL);
    json_open(out, NULL, '{');
    json_text(out, "id", record->id);
    json_text(out, "name", name);
    json_text(out, "description", description);
    json_open(out, "workingDays", '[');
    for (; *digits != '\0'; digits++)
        json_number(out, NULL, *digits - '0');
    json_close(out, ']');
    json_open(out, "holidays", '[');
    g_tree_foreach(holidays, write_date, out);
    json_close(out, ']');
    json_open(out, "holidayNames", '{');
    g_tree_foreach(holidays, write_name, out);
    json_close(out, '}');
    json_bool(out, "defaultCalendar", strcmp(default_id, record->id) == 0);
    json_number(out, "version", plan_document_version(document));
    json_time(out, "createdAt", record->created_us);
    json_close(out, '}');
}

static void answer(Request *request, unsigned status, const Record *record, const Json *document)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *default_id = dup_default(request, &error);

    if (default_id == NULL) {
        request_fail(request, error);
        return;
    }
    write_calendar(request_answer(request, status), record, document, default_id);
    draft_add_etag(request, plan_document_version(document));
}

void calendars_list(Request *request)
{
    const char *after = request_query(request, "after");
    int64_t limit = 100;
    g_autoptr(GError) error = NULL;
    g_autofree char *default_id = NULL;
    g_autoptr(StoreResult) found = NULL;
    GString *out;

    if (!request_query_number(request, "limit", 1, PLAN_PAGE_MAX, &limit))
        return;
    found = request_store(
            request, store_request_record_list(KIND, after != NULL ? after : "", (uint32_t)limit));
    if (found == NULL)
        return;
    default_id = dup_default(request, &error);
    if (default_id == NULL) {
        request_fail(request, error);
        return;
    }
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (guint i = 0; i < found->records->len; i++) {
        const Record *record = g_ptr_array_index(found->records, i);
        g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);

        if (document != NULL)
            write_calendar(out, record, document, default_id);
    }
    json_close(out, ']');
}

static void show(Request *request, const char *id)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = plan_document_get(request, KIND, id, &document);

    if (record != NULL)
        answer(request, 200, record, document);
}

void calendars_show(Request *request)
{
    show(request, request->parameters[0]);
}

void calendars_show_default(Request *request)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *id = dup_default(request, &error);

    if (id == NULL)
        request_fail(request, error);
    else if (id[0] == '\0')
        request_problem(request, 404, "not-found", NULL, "no calendar is the default");
    else
        show(request, id);
}

void calendars_list_holidays(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = plan_document_get(request, KIND, request->parameters[0], &document);
    g_autoptr(GTree) holidays = NULL;
    GString *out;

    if (record == NULL)
        return;
    holidays = holidays_of(document);
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    g_tree_foreach(holidays, write_holiday, out);
    json_close(out, ']');
    draft_add_etag(request, plan_document_version(document));
}

/* changes */

/* What follows from a change: schedules that go by it are due at other times. */
static void end_change(Request *request, unsigned status, const Record *record,
                       const Json *document, const char *change)
{
    schedules_follow(request);
    answer(request, status, record, document);
    plan_tell(request, KIND, record->id, record->name, change);
}

void calendars_create(Request *request)
{
    g_autofree char *ignored = NULL, *id = g_uuid_string_random(),
                    *where = g_strconcat(PATH, id, NULL);
    g_autoptr(Json) body = plan_read_body(request, FIELDS, &ignored);
    g_autoptr(Json) document = json_read("{}", 2, NULL);
    g_autoptr(Record) record = record_new(KIND, id, "", "");
    g_autoptr(GError) error = NULL;
    const char *name;
    bool is_default = false;

    if (body == NULL)
        return;
    (void)json_get_bool(body, "defaultCalendar", &is_default, NULL); /* checked */
    if (!take_body(document, body, &error) || !plan_check_name(document, &name, &error)) {
        request_fail(request, error);
        return;
    }
    if (!plan_document_insert(request, record, document) ||
        (is_default && !take_default(request, id, true)))
        return;
    request_note_change(request, NULL, record->document);
    request_add_header(request, "Location", where);
    end_change(request, 201, record, document, "created");
    request_note_ignored(request, ignored);
}

/* The calendar that a request would change. NULL: answered. Both new. */
static Record *get_for_change(Request *request, Json **ret_document)
{
    g_autoptr(Record) record =
            plan_document_get(request, KIND, request->parameters[0], ret_document);

    if (record == NULL || !draft_check_match(request, plan_document_version(*ret_document)))
        return NULL;
    return g_steal_pointer(&record);
}

void calendars_update(Request *request)
{
    g_autofree char *ignored = NULL, *before = NULL;
    g_autoptr(Json) body = plan_read_body(request, FIELDS, &ignored);
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = body != NULL ? get_for_change(request, &document) : NULL;
    g_autoptr(GError) error = NULL;
    bool is_default = false, says_default;
    const char *name;

    if (record == NULL)
        return;
    before = g_strdup(record->document);
    says_default = json_has(body, "defaultCalendar");
    (void)json_get_bool(body, "defaultCalendar", &is_default, NULL); /* checked */
    if (!take_body(document, body, &error) || !plan_check_name(document, &name, &error)) {
        request_fail(request, error);
        return;
    }
    if (!plan_document_update(request, record, document) ||
        (says_default && !take_default(request, record->id, is_default)))
        return;
    request_note_change(request, before, record->document);
    end_change(request, 200, record, document, "updated");
    request_note_ignored(request, ignored);
}

void calendars_set_default(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = get_for_change(request, &document);

    if (record == NULL || !take_default(request, record->id, true))
        return;
    request_note_change(request, NULL, record->document);
    end_change(request, 200, record, document, "default");
}

void calendars_remove(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = get_for_change(request, &document);

    if (record == NULL ||
        !schedules_check_unused(request, "calendarId", record->id, "goes by it") ||
        !take_default(request, record->id, false) || !plan_document_remove(request, record))
        return;
    request_note_change(request, record->document, NULL);
    schedules_follow(request);
    (void)request_answer(request, 204);
    plan_tell(request, KIND, record->id, record->name, "removed");
}

/* Keeps the holidays of a calendar as they are now. */
static void keep(Request *request, unsigned status, Record *record, Json *document, GTree *holidays)
{
    g_autofree char *before = g_strdup(record->document);
    g_autoptr(GError) error = NULL;

    if (!keep_holidays(document, holidays, &error)) {
        request_fail(request, error);
        return;
    }
    if (!plan_document_update(request, record, document))
        return;
    request_note_change(request, before, record->document);
    end_change(request, status, record, document, "updated");
}

/* One, or those of a set. */
static bool read_new_holidays(const Json *body, GTree *holidays, GError **error)
{
    const char *date = NULL, *name = "";
    int64_t day;

    (void)json_get_text(body, "date", &date, NULL); /* checked, as the other */
    (void)json_get_text(body, "name", &name, NULL);
    if (date == NULL && json_has(body, "preset"))
        return add_preset(body, holidays, error);
    if (date == NULL || !local_time_parse_day(date, &day) || strpbrk(name, "\n\r") != NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s",
                    date != NULL && local_time_parse_day(date, &day)
                            ? "name: it must be one line"
                            : "date: it must be a day as 2027-01-01");
        return false;
    }
    put_holiday(day, name, holidays);
    return true;
}

void calendars_add_holiday(Request *request)
{
    g_autofree char *ignored = NULL;
    g_autoptr(Json) body = plan_read_body(request, HOLIDAY, &ignored);
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = body != NULL ? get_for_change(request, &document) : NULL;
    g_autoptr(GTree) holidays = NULL;
    g_autoptr(GError) error = NULL;

    if (record == NULL)
        return;
    holidays = holidays_of(document);
    if (read_new_holidays(body, holidays, &error))
        keep(request, 201, record, document, holidays);
    else
        request_fail(request, error);
}

void calendars_remove_holiday(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = get_for_change(request, &document);
    g_autoptr(GTree) holidays = record != NULL ? holidays_of(document) : NULL;
    int64_t day = 0;

    if (record == NULL)
        return;
    if (local_time_parse_day(request->parameters[1], &day) && g_tree_remove(holidays, &day))
        keep(request, 200, record, document, holidays);
    else
        request_problem(request, 404, "not-found", "date", "'%s' is no holiday of '%s'",
                        request->parameters[1], record->name);
}
