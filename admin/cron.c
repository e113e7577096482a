/* SPDX-License-Identifier: Apache-2.0 */
/* One table of fields; each item of a field is read by the same function, and what only days have before it. */
#include "admin/cron.h"

#include "admin/local-time.h"
#include "base/error.h"

#include <string.h>

#define EVERY_HOUR 0xFFFFFFu
#define FIRST_HALF 7 /* bit of the last one in ordinals */

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

/* clang-format off */
static const struct { const char *name; unsigned min, max; const char *names; } ROWS[FIELDS] = {
    [SECOND]  = { "second", 0, 59, "" },
    [MINUTE]  = { "minute", 0, 59, "" },
    [HOUR]    = { "hour", 0, 23, "" },
    [DAY]     = { "day of month", 1, 31, "" },
    [MONTH]   = { "month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC" },
    [WEEKDAY] = { "weekday", 0, 7, "SUNMONTUEWEDTHUFRISATSUN" },
};
static const struct { const char *word, *meaning; } WORDS[] = {
    { "@hourly", "0 * * * *" }, { "@daily", "0 0 * * *" }, { "@midnight", "0 0 * * *" }, { "@weekly", "0 0 * * 0" },
    { "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" }, { "@annually", "0 0 1 1 *" },
};
/* clang-format on */

static bool complain(unsigned field, const char *item, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "the %s '%s' is wrong: it must be %u to %u",
                ROWS[field].name, item, ROWS[field].min, ROWS[field].max);
    return false;
}

/* A number or a name at the beginning; the end of it, NULL: none. */
static const char *read_value(unsigned field, const char *at, unsigned *ret_value)
{
    const char *names = ROWS[field].names;

    if (g_ascii_isdigit(*at)) {
        unsigned value = 0;

        for (; g_ascii_isdigit(*at) && value < 100; at++)
            value = value * 10 + (unsigned)(*at - '0');
        *ret_value = value;
        return value >= ROWS[field].min && value <= ROWS[field].max ? at : NULL;
    }
    for (unsigned i = 0; names[3 * i] != '\0'; i++) {
        if (g_ascii_strncasecmp(at, names + 3 * i, 3) == 0) {
            *ret_value = i + ROWS[field].min;
            return at + 3;
        }
    }
    return NULL;
}

/* '*', '5', '1-5', and any of them with '/2' behind it. */
static bool read_span(unsigned field, const char *item, uint64_t *set, bool *any, GError **error)
{
    unsigned first = ROWS[field].min, last = ROWS[field].max, step = 1;
    const char *at = item;
    bool open = *at == '*' || *at == '?';

    if (open) {
        at++;
    } else {
        at = read_value(field, at, &first);
        last = first;
        if (at != NULL && *at == '-')
            at = read_value(field, at + 1, &last);
        else if (at != NULL && *at == '/')
            last = ROWS[field].max;
        if (at != NULL && field == WEEKDAY && last == 0 && first > 0)
            last = 7; /* SAT-SUN */
    }
    if (at != NULL && *at == '/') {
        for (step = 0, at++; g_ascii_isdigit(*at) && step < 100; at++)
            step = step * 10 + (unsigned)(*at - '0');
    }
    if (at == NULL || *at != '\0' || step == 0 || last < first)
        return complain(field, item, error);
    for (unsigned value = first; value <= last; value += step)
        *set |= UINT64_C(1) << value;
    *any = *any || (open && step == 1);
    return true;
}

/* What days of the month have beside: L, L-2, LW, 15W. True: it is one, and taken. */
static bool read_day_word(Cron *self, const char *item)
{
    unsigned number = 0;
    const char *end;

    if (g_ascii_strcasecmp(item, "LW") == 0) {
        self->last_working = true;
        return true;
    }
    if (g_ascii_toupper(item[0]) == 'L' && item[1] == '\0') {
        self->from_last |= 1u;
        return true;
    }
    if (g_ascii_toupper(item[0]) == 'L' && item[1] == '-') {
        end = read_value(DAY, item + 2, &number);
        if (end == NULL || *end != '\0' || number > 30)
            return false;
        self->from_last |= 1u << number;
        return true;
    }
    end = read_value(DAY, item, &number);
    if (end == NULL || g_ascii_toupper(*end) != 'W' || end[1] != '\0')
        return false;
    self->nearest |= 1u << number;
    return true;
}

/* What weekdays have beside: FRIL, FRI#2. */
static bool read_weekday_word(Cron *self, const char *item)
{
    unsigned weekday = 0;
    const char *end = read_value(WEEKDAY, item, &weekday);

    if (end == NULL)
        return false;
    weekday = weekday == 0 ? 7 : weekday;
    if (g_ascii_toupper(*end) == 'L' && end[1] == '\0') {
        self->ordinals[weekday] |= 1u << FIRST_HALF;
        return true;
    }
    if (*end != '#' || end[1] < '1' || end[1] > '5' || end[2] != '\0')
        return false;
    self->ordinals[weekday] = (uint8_t)(self->ordinals[weekday] | 1u << (end[1] - '0'));
    return true;
}

static bool read_field(Cron *self, unsigned field, const char *text, uint64_t *ret_set,
                       bool *ret_any, GError **error)
{
    g_auto(GStrv) items = g_strsplit(text, ",", -1);

    for (size_t i = 0; items[i] != NULL; i++) {
        bool taken = (field == DAY && read_day_word(self, items[i])) ||
                     (field == WEEKDAY && read_weekday_word(self, items[i]));

        if (!taken && !read_span(field, items[i], ret_set, ret_any, error))
            return false;
    }
    return true;
}

static uint8_t iso_weekdays(uint64_t set)
{
    bool sunday = (set & (1u | 1u << 7)) != 0;

    return (uint8_t)((set & 0x7E) | (sunday ? 1u << 7 : 0));
}

/* Words apart by blanks. Returns new, of not more than one too many. */
static GPtrArray *split(const char *text)
{
    GPtrArray *words = g_ptr_array_new_with_free_func(g_free);

    while (words->len <= FIELDS) {
        size_t length;

        text += strspn(text, " \t");
        length = strcspn(text, " \t");
        if (length == 0)
            break;
        g_ptr_array_add(words, g_strndup(text, length));
        text += length;
    }
    return words;
}

static bool parse(const char *text, Cron *self, GError **error)
{
    g_autoptr(GPtrArray) words = split(text);
    uint64_t sets[FIELDS] = {1};
    bool any[FIELDS] = {false};
    unsigned missing = FIELDS - words->len;

    if (words->len != FIELDS && words->len != FIELDS - 1) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "it has 5 fields (minute hour day month weekday), or 6 with the second first");
        return false;
    }
    if (missing == 0)
        sets[SECOND] = 0;
    for (unsigned i = 0; i < words->len; i++) {
        unsigned field = i + missing;

        if (!read_field(self, field, g_ptr_array_index(words, i), &sets[field], &any[field], error))
            return false;
    }
    self->seconds = sets[SECOND];
    self->minutes = sets[MINUTE];
    self->hours = (uint32_t)sets[HOUR];
    self->days = (uint32_t)sets[DAY];
    self->months = (uint32_t)sets[MONTH];
    self->weekdays = iso_weekdays(sets[WEEKDAY]);
    self->any_day = any[DAY];
    self->any_weekday = any[WEEKDAY];
    self->both = missing == 0;
    return true;
}

bool cron_parse(const char *text, Cron *ret_cron, GError **error)
{
    Cron cron = {0};

    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++) {
        if (strcmp(WORDS[i].word, text) == 0)
            text = WORDS[i].meaning;
    }
    if (strlen(text) > CRON_LENGTH_MAX) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "it has more than %d characters",
                    CRON_LENGTH_MAX);
        return false;
    }
    if (!parse(text, &cron, error))
        return false;
    *ret_cron = cron;
    return true;
}

/* days */

/* The day of Monday to Friday next to one, in its month. */
static unsigned nearest_working(int64_t first, unsigned length, unsigned wanted)
{
    unsigned weekday = local_time_weekday(first + wanted - 1);

    if (weekday == 6)
        return wanted > 1 ? wanted - 1 : wanted + 2;
    if (weekday == 7)
        return wanted < length ? wanted + 1 : wanted - 2;
    return wanted;
}

static bool is_day_of_month(const Cron *self, int64_t day, CivilDate date)
{
    unsigned length = local_time_month_length(date.year, date.month);
    int64_t first = day - date.day + 1;

    if ((self->days & 1u << date.day) != 0 ||
        (self->clamp && date.day == length && self->days >> length >> 1 != 0))
        return true;
    if (length - date.day < 32 && (self->from_last & 1u << (length - date.day)) != 0)
        return true;
    if (self->last_working && nearest_working(first, length, length) == date.day)
        return true;
    for (unsigned wanted = 1; self->nearest >> wanted != 0 && wanted <= length; wanted++) {
        if ((self->nearest & 1u << wanted) != 0 &&
            nearest_working(first, length, wanted) == date.day)
            return true;
    }
    return false;
}

static bool is_weekday(const Cron *self, int64_t day, CivilDate date)
{
    unsigned weekday = local_time_weekday(day);
    unsigned which = (date.day - 1) / 7 + 1;
    bool last = date.day + 7 > local_time_month_length(date.year, date.month);

    return (self->weekdays & 1u << weekday) != 0 || (self->ordinals[weekday] & 1u << which) != 0 ||
           (last && (self->ordinals[weekday] & 1u << FIRST_HALF) != 0);
}

bool cron_has_day(const Cron *self, int64_t day)
{
    CivilDate date = local_time_date(day);

    if ((self->months & 1u << date.month) == 0)
        return false;
    if (!self->both && !self->any_day && !self->any_weekday)
        return is_day_of_month(self, day, date) || is_weekday(self, day, date);
    return (self->any_day || is_day_of_month(self, day, date)) &&
           (self->any_weekday || is_weekday(self, day, date));
}

bool cron_is_of_every_hour(const Cron *self)
{
    return (self->hours & EVERY_HOUR) == EVERY_HOUR;
}
