/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names between the mount and the wire. Templates are expanded forwards to send and read backwards, as
 * regular expressions, to find out which virtual file a partner means. Pure; any thread.
 */
#include "daemon/transfer/rule.h"

#include "base/error.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES    255
#define COUNTER_WIDTH_MAX 18

void virtual_file_free(VirtualFile *file)
{
    if (file == NULL)
        return;
    g_free(file->pattern);
    g_free(file->description);
    g_free(file->file_name);
    g_free(file->label);
    g_free(file->free_text);
    g_free(file->client);
    g_free(file->bank);
    g_free(file);
}

/* words of templates */

typedef enum {
    WORD_NAME,
    WORD_STEM,
    WORD_EXT,
    WORD_PARTNER,
    WORD_DATE,
    WORD_TIME,
    WORD_COUNTER
} Word;

/* clang-format off */
static const struct {
    const char *text;
    bool argument;          /* may carry ":…" */
    const char *backwards;  /* what it may have been, when a name is read; NULL: by its argument */
} WORDS[] = {
    [WORD_NAME] = { "name", false, "(?P<name>.+)" },
    [WORD_STEM] = { "stem", false, ".+?" },
    [WORD_EXT] = { "ext", false, "[^.]*" },
    [WORD_PARTNER] = { "partner", false, ".+?" },
    [WORD_DATE] = { "date", true, NULL },
    [WORD_TIME] = { "time", true, NULL },
    [WORD_COUNTER] = { "counter", true, NULL },
};
/* clang-format on */

/* One part of a template: literal text, or a word with its argument. */
typedef struct {
    const char *literal;
    size_t length;
    Word word;
    char *argument; /* new, or NULL */
} Part;

static bool parse_word(const char *text, size_t length, Part *ret_part, GError **error)
{
    g_autofree char *inside = g_strndup(text, length);
    char *colon = strchr(inside, ':');

    if (colon != NULL)
        *colon = '\0';
    for (size_t i = 0; i < G_N_ELEMENTS(WORDS); i++) {
        if (strcmp(inside, WORDS[i].text) == 0 && (colon == NULL || WORDS[i].argument)) {
            *ret_part =
                    (Part){.word = (Word)i, .argument = colon != NULL ? g_strdup(colon + 1) : NULL};
            return true;
        }
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "unknown word '{%.*s}' in a template",
                (int)length, text);
    return false;
}

/* The next part of a template. False at its end, or with an error. */
static bool next_part(const char **at, Part *ret_part, GError **error)
{
    const char *text = *at;
    const char *end;

    if (*text == '\0')
        return false;
    if (*text != '{') {
        size_t length = strcspn(text, "{}");

        if (length == 0) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'}' without '{' in a template");
            return false;
        }
        *ret_part = (Part){.literal = text, .length = length};
        *at = text + length;
        return true;
    }
    end = strchr(text, '}');
    if (end == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'{' without '}' in a template");
        return false;
    }
    *at = end + 1;
    return parse_word(text + 1, (size_t)(end - text - 1), ret_part, error);
}

static char *format_time(const RuleContext *context, const char *format)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(context->wall_s);
    g_autoptr(GDateTime) local = context->zone != NULL ? g_date_time_to_timezone(utc, context->zone)
                                                       : g_date_time_ref(utc);

    return g_date_time_format(local, format);
}

static const char *time_format(const Part *part)
{
    if (part->argument != NULL)
        return part->argument;
    return part->word == WORD_DATE ? "%Y%m%d" : "%H%M%S";
}

static unsigned counter_width(const char *argument)
{
    guint64 width = 0;

    if (argument != NULL &&
        !g_ascii_string_to_unsigned(argument, 10, 1, COUNTER_WIDTH_MAX, &width, NULL))
        return 0;
    return (unsigned)width;
}

static bool check_argument(const Part *part, GError **error)
{
    RuleContext context = {0};
    g_autofree char *text = NULL;

    if (part->argument == NULL)
        return true;
    if (part->word == WORD_COUNTER && counter_width(part->argument) == 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'{counter:%s}': the width is 1 to %d",
                    part->argument, COUNTER_WIDTH_MAX);
        return false;
    }
    if (part->word == WORD_COUNTER)
        return true;
    text = format_time(&context, part->argument);
    if (text != NULL && text[0] != '\0')
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no format of a date",
                part->argument);
    return false;
}

static bool check_literal(const Part *part, GError **error)
{
    for (size_t i = 0; i < part->length; i++) {
        if (part->literal[i] < 0x20 || part->literal[i] > 0x7E) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "'%.*s' in a template has a character outside of PeSIT's alphabet (plain "
                        "ASCII)",
                        (int)part->length, part->literal);
            return false;
        }
    }
    return true;
}

bool rule_check_template(const char *text, GError **error)
{
    g_autoptr(GError) failure = NULL;
    const char *at = text;
    Part part;
    bool valid = true;

    while (valid && next_part(&at, &part, &failure)) {
        valid = part.literal != NULL ? check_literal(&part, &failure)
                                     : check_argument(&part, &failure);
        if (part.literal == NULL)
            g_free(part.argument);
    }
    if (failure == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

bool rule_uses_counter(const VirtualFile *file)
{
    return strstr(file->file_name, "{counter") != NULL ||
           (file->label != NULL && strstr(file->label, "{counter") != NULL) ||
           (file->free_text != NULL && strstr(file->free_text, "{counter") != NULL);
}

/* expanding */

static void append_word(GString *value, const Part *part, const RuleContext *context)
{
    const char *name = context->name != NULL ? context->name : "";
    const char *dot = strrchr(name, '.');
    g_autofree char *text = NULL;

    switch (part->word) {
    case WORD_NAME:
        g_string_append(value, name);
        break;
    case WORD_STEM:
        g_string_append_len(value, name, dot != NULL ? dot - name : (gssize)strlen(name));
        break;
    case WORD_EXT:
        g_string_append(value, dot != NULL ? dot + 1 : "");
        break;
    case WORD_PARTNER:
        g_string_append(value, context->partner != NULL ? context->partner : "");
        break;
    case WORD_DATE:
    case WORD_TIME:
        text = format_time(context, time_format(part));
        g_string_append(value, text != NULL ? text : "");
        break;
    case WORD_COUNTER:
        g_string_append_printf(value, "%0*" G_GUINT64_FORMAT, (int)counter_width(part->argument),
                               context->counter);
        break;
    }
}

static bool check_value(const GString *value, size_t max_bytes, GError **error)
{
    if (value->len == 0 || value->len > max_bytes) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "'%s' has %zu characters: PeSIT takes 1 to %zu", value->str, value->len,
                    max_bytes);
        return false;
    }
    for (size_t i = 0; i < value->len; i++) {
        if (value->str[i] < 0x20 || value->str[i] > 0x7E) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "'%s' has a character outside of PeSIT's alphabet (plain ASCII) at "
                        "position %zu",
                        value->str, i + 1);
            return false;
        }
    }
    if (value->str[0] != ' ' && value->str[value->len - 1] != ' ')
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "'%s' begins or ends with a blank: it would be lost", value->str);
    return false;
}

char *rule_expand(const char *text, const RuleContext *context, size_t max_bytes, GError **error)
{
    g_autoptr(GString) value = g_string_new(NULL);
    g_autoptr(GError) failure = NULL;
    const char *at = text;
    Part part;

    while (next_part(&at, &part, &failure)) {
        if (part.literal != NULL) {
            g_string_append_len(value, part.literal, (gssize)part.length);
        } else {
            append_word(value, &part, context);
            g_free(part.argument);
        }
    }
    if (failure != NULL) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    return check_value(value, max_bytes, error) ? g_string_free(g_steal_pointer(&value), FALSE)
                                                : NULL;
}

/* paths */

static bool is_for_writing(VirtualFileMode mode)
{
    return mode == VIRTUAL_FILE_SEND || mode == VIRTUAL_FILE_OFFER;
}

const VirtualFile *rule_find_by_path(GPtrArray *files, const char *path, bool for_writing)
{
    for (int exact = 1; exact >= 0; exact--) {
        for (guint i = 0; i < files->len; i++) {
            const VirtualFile *file = g_ptr_array_index(files, i);

            if (is_for_writing(file->mode) != for_writing)
                continue;
            if (exact ? strcmp(file->pattern, path) == 0
                      : fnmatch(file->pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0)
                return file;
        }
    }
    return NULL;
}

/* Noon of a day some days away, so that no change of the clock moves the date. */
static bool shift_day(RuleContext *context, int days)
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(context->wall_s);
    g_autoptr(GDateTime) local = g_date_time_to_timezone(utc, context->zone);
    g_autoptr(GDateTime) noon = g_date_time_new(context->zone, g_date_time_get_year(local),
                                                g_date_time_get_month(local),
                                                g_date_time_get_day_of_month(local), 12, 0, 0);
    g_autoptr(GDateTime) day = noon != NULL ? g_date_time_add_days(noon, days) : NULL;

    if (day == NULL)
        return false;
    context->wall_s = g_date_time_to_unix(day);
    return true;
}

/* "YYYY-MM-DD", digits where digits belong; whether there is such a day is not looked at. */
static bool parse_day(const char *name, int *ret_year, int *ret_month, int *ret_day)
{
    static const char FORM[] = "dddd-dd-dd";

    for (size_t i = 0; i < sizeof FORM; i++) { /* its end too */
        if (FORM[i] == 'd' ? !g_ascii_isdigit(name[i]) : name[i] != FORM[i])
            return false;
    }
    return sscanf(name, "%4d-%2d-%2d", ret_year, ret_month, ret_day) == 3;
}

static bool set_day(RuleContext *context, const char *name, bool *ret_is_day, GError **error)
{
    int year, month, day;
    g_autoptr(GDateTime) noon = NULL;

    *ret_is_day = true;
    if (strcmp(name, "today") == 0 || strcmp(name, "latest") == 0)
        return shift_day(context, 0);
    if (strcmp(name, "yesterday") == 0)
        return shift_day(context, -1);
    *ret_is_day = parse_day(name, &year, &month, &day);
    if (!*ret_is_day)
        return true;
    noon = g_date_time_new(context->zone, year, month, day, 12, 0, 0);
    if (noon == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "'%s' is no date", name);
        return false;
    }
    context->wall_s = g_date_time_to_unix(noon);
    return true;
}

/* Else no day can be said with it, and every name is a name. */
static bool has_day(const VirtualFile *file)
{
    return strstr(file->file_name, "{date") != NULL || strstr(file->file_name, "{time") != NULL;
}

bool rule_resolve_fetch(const VirtualFile *file, const char *path, RuleContext *context,
                        char **ret_path, GError **error)
{
    g_autofree char *name = g_path_get_basename(path);
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *date = NULL;
    bool is_day = false;

    if (has_day(file) && !set_day(context, name, &is_day, error))
        return false;
    if (!is_day) {
        *ret_path = g_strdup(path);
        return true;
    }
    date = format_time(context, "%Y-%m-%d");
    *ret_path = strcmp(folder, ".") == 0 ? g_strdup(date) : g_build_filename(folder, date, NULL);
    context->name = *ret_path + strlen(*ret_path) - strlen(date);
    return true;
}

/* names on the wire */

static bool is_safe_name(const char *name)
{
    size_t length = strlen(name);

    if (length == 0 || length > NAME_MAX_BYTES || name[0] == '.' ||
        !g_utf8_validate(name, (gssize)length, NULL))
        return false;
    for (const char *at = name; *at != '\0'; at = g_utf8_find_next_char(at, NULL)) {
        if (g_unichar_iscntrl(g_utf8_get_char(at)) || *at == '/' || *at == '\\')
            return false;
    }
    return true;
}

/* What one conversion of a date may have been: the fixed widths are known, else anything. */
static const char *find_conversion(char letter)
{
    switch (letter) {
    case 'Y':
    case 'G':
        return "[0-9]{4}";
    case 'y':
    case 'g':
    case 'C':
    case 'm':
    case 'd':
    case 'H':
    case 'I':
    case 'M':
    case 'S':
    case 'V':
        return "[0-9]{2}";
    case 'j':
        return "[0-9]{3}";
    case 'u':
    case 'w':
        return "[0-9]";
    case 'F':
        return "[0-9]{4}-[0-9]{2}-[0-9]{2}";
    case 'T':
        return "[0-9]{2}:[0-9]{2}:[0-9]{2}";
    case 'R':
        return "[0-9]{2}:[0-9]{2}";
    case '%':
        return "%";
    default:
        return ".+?";
    }
}

static void append_time_backwards(GString *pattern, const char *format)
{
    for (const char *at = format; *at != '\0'; at++) {
        g_autofree char *literal = NULL;

        if (*at == '%' && at[1] != '\0') {
            at++;
            g_string_append(pattern, find_conversion(*at));
            if (strchr("-_0^#EO:", *at) != NULL && at[1] != '\0')
                at++; /* the letter behind a modifier: anything too */
            continue;
        }
        literal = g_regex_escape_string(at, 1);
        g_string_append(pattern, literal);
    }
}

static void append_backwards(GString *pattern, const Part *part)
{
    if (WORDS[part->word].backwards != NULL)
        g_string_append(pattern, WORDS[part->word].backwards);
    else if (part->word == WORD_COUNTER)
        g_string_append_printf(pattern, "[0-9]{%u,}", MAX(counter_width(part->argument), 1u));
    else
        append_time_backwards(pattern, time_format(part));
}

/* Reads a value by its template. ret_name: what {name} stood for, NULL when it is not used. */
static bool read_backwards(const char *text, const char *value, char **ret_name)
{
    g_autoptr(GString) pattern = g_string_new("^");
    g_autoptr(GRegex) regex = NULL;
    g_autoptr(GMatchInfo) match = NULL;
    const char *at = text;
    Part part;

    while (next_part(&at, &part, NULL)) {
        if (part.literal != NULL) {
            g_autofree char *literal = g_regex_escape_string(part.literal, (gint)part.length);

            g_string_append(pattern, literal);
        } else {
            append_backwards(pattern, &part);
            g_free(part.argument);
        }
    }
    g_string_append_c(pattern, '$');
    regex = g_regex_new(pattern->str, G_REGEX_RAW | G_REGEX_DOLLAR_ENDONLY, 0, NULL);
    if (regex == NULL || !g_regex_match(regex, value, 0, &match))
        return false;
    *ret_name = g_match_info_fetch_named(match, "name");
    return true;
}

/* The path of a name: what the pattern leaves open is filled with it. */
static char *fill_pattern(const char *pattern, const char *name)
{
    const char *open = strpbrk(pattern, "*?[");
    const char *slash = strrchr(pattern, '/');
    g_autofree char *folder = NULL;
    g_autofree char *path = NULL;

    if (open == NULL)
        return g_strdup(pattern);
    folder = slash != NULL ? g_strndup(pattern, (gsize)(slash - pattern)) : NULL;
    path = folder != NULL ? g_build_filename(folder, name, NULL) : g_strdup(name);
    return fnmatch(pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0 ? g_steal_pointer(&path) : NULL;
}

/* The path that a partner's names mean for one virtual file, NULL when they do not mean it. Returns new. */
static char *match_wire(const VirtualFile *file, const char *file_name, const char *label)
{
    g_autofree char *name = NULL;
    g_autofree char *label_name = NULL;

    if (!read_backwards(file->file_name, file_name, &name))
        return NULL;
    if (file->label != NULL && label != NULL && read_backwards(file->label, label, &label_name) &&
        label_name != NULL && label_name[0] != '\0')
        return is_safe_name(label_name) ? fill_pattern(file->pattern, label_name) : NULL;
    if (name != NULL && name[0] != '\0')
        return is_safe_name(name) ? fill_pattern(file->pattern, name) : NULL;
    return is_safe_name(file_name) ? fill_pattern(file->pattern, file_name) : NULL;
}

const VirtualFile *rule_find_by_wire(GPtrArray *files, unsigned file_type, const char *file_name,
                                     const char *label, const RuleContext *context, bool for_create,
                                     char **ret_path, GError **error)
{
    VirtualFileMode mode = for_create ? VIRTUAL_FILE_RECEIVE : VIRTUAL_FILE_OFFER;

    (void)context;
    for (guint i = 0; i < files->len; i++) {
        const VirtualFile *file = g_ptr_array_index(files, i);
        char *path;

        if (file->mode != mode || file->file_type != file_type)
            continue;
        path = match_wire(file, file_name, label);
        if (path == NULL)
            continue;
        *ret_path = path;
        return file;
    }
    if (!is_safe_name(file_name))
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no safe name", file_name);
    return NULL;
}
