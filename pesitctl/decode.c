/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pesitctl decode: the FPDUs of a capture, one a line or one an object. It only finds where they begin; what they
 * are and whether they are right, the codec says. Each FPDU tells its own length, so both directions may follow
 * each other in one capture. Chapters 4.5 and 4.7.
 */
#include "base/error.h"
#include "pesitctl/capture.h"
#include "pesitctl/output.h"
#include "pesitctl/verb.h"
#include "protocol/fpdu.h"

#include <string.h>

#define PREFIX_BYTES 2 /* the length of an entity, in front of it */

typedef struct {
    const Capture *capture;
    const uint8_t *bytes;
    size_t length;
    bool framed;   /* entities have their length in front */
    json_t *json;  /* array, or NULL: lines */
    GError *wrong; /* the first FPDU that the codec refuses; the walk goes on */
} Walk;

static size_t number_at(const Walk *self, size_t at)
{
    return self->bytes[at] * 256u + self->bytes[at + 1];
}

static bool header_at(const Walk *self, size_t at, size_t *ret_length)
{
    PesitFpduType type;
    PesitDiag diag;
    uint8_t dst, src;

    return self->length - at >= PESIT_HEADER_BYTES &&
           pesit_header_decode(self->bytes + at, &type, ret_length, &dst, &src, &diag) == PESIT_OK;
}

/* "offset 12 (line 3)", new. */
static char *describe_place(const Walk *self, size_t at)
{
    const CaptureLine *line = capture_find_line(self->capture, at);

    return line != NULL ? g_strdup_printf("offset %zu (line %u)", at, line->number)
                        : g_strdup_printf("offset %zu", at);
}

static bool complain(const Walk *self, size_t at, const char *what, GError **error)
{
    g_autofree char *place = describe_place(self, at);

    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s", place, what);
    return false;
}

/* one FPDU */

/* "2-226": as everywhere in these programs. */
static json_t *diag_to_json(PesitDiag diag)
{
    g_autofree char *text = g_strdup_printf("%u-%03u", diag.type, diag.code);

    return json_string(text);
}

static json_t *hex_to_json(const uint8_t *bytes, size_t length)
{
    g_autoptr(GString) hex = g_string_sized_new(2 * length);

    for (size_t i = 0; i < length; i++)
        g_string_append_printf(hex, "%02x", bytes[i]);
    return json_string(hex->str);
}

static bool is_readable(unsigned pi, const PesitPiRow *row)
{
    return row->kind != PESIT_KIND_BYTES || pi == PESIT_PI_DIAGNOSTIC_TEXT ||
           pi == PESIT_PI_MESSAGE;
}

/* "value": null of a secret, a number, a text; "hex" of what is neither. */
static json_t *parameter_to_json(const PesitFpdu *fpdu, unsigned pi, const PesitPiRow *row)
{
    json_t *json = json_pack("{si ss}", "pi", (int)pi, "name", row->name);
    size_t length = 0;
    const uint8_t *bytes = pesit_fpdu_bytes(fpdu, (PesitPi)pi, &length);
    json_t *value = NULL;

    if (row->secret)
        value = json_null();
    else if (pi == PESIT_PI_DIAGNOSTIC)
        value = diag_to_json(pesit_fpdu_diag(fpdu));
    else if (bytes == NULL)
        value = json_integer((json_int_t)pesit_fpdu_number(fpdu, (PesitPi)pi, 0));
    else if (is_readable(pi, row))
        value = json_stringn((const char *)bytes, length); /* NULL: no UTF-8 */
    (void)(value != NULL ? json_object_set_new(json, "value", value)
                         : json_object_set_new(json, "hex", hex_to_json(bytes, length)));
    return json;
}

static json_t *parameters_to_json(const PesitFpdu *fpdu)
{
    json_t *list = json_array();

    for (unsigned pi = 0; pi < PESIT_PI_COUNT; pi++) {
        const PesitPiRow *row = pesit_pi_find(pi);

        if (row != NULL && pesit_fpdu_has(fpdu, (PesitPi)pi))
            (void)json_array_append_new(list, parameter_to_json(fpdu, pi, row));
    }
    return list;
}

static json_t *remarks_to_json(const PesitRemarks *remarks)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < remarks->count; i++)
        (void)json_array_append_new(list, json_pack("{si ss}", "pi", (int)remarks->rows[i].pi,
                                                    "what", remarks->rows[i].what));
    return list;
}

/* "PI 12 is …; …": new, "" without remarks. */
static char *describe_remarks(const PesitRemarks *remarks)
{
    GString *text = g_string_new(NULL);

    for (unsigned i = 0; i < remarks->count; i++) {
        const PesitRemark *row = &remarks->rows[i];

        if (i > 0)
            g_string_append(text, "; ");
        if (row->pi != 0)
            g_string_append_printf(text, "PI %u: ", row->pi);
        g_string_append(text, row->what);
    }
    return g_string_free(text, FALSE);
}

static char *format_fpdu(const uint8_t *bytes, size_t length)
{
    size_t needed = pesit_fpdu_format(bytes, length, NULL, 0);
    char *text = g_malloc(needed + 1);

    (void)pesit_fpdu_format(bytes, length, text, needed + 1);
    return text;
}

static char direction_at(const Walk *self, size_t at)
{
    const CaptureLine *line = capture_find_line(self->capture, at);

    return line != NULL ? line->direction : ' ';
}

static void print_line(const Walk *self, size_t at, const char *text, const char *remarks)
{
    printf("%8zu %c %s%s%s\n", at, direction_at(self, at), text, remarks[0] != '\0' ? " ! " : "",
           remarks);
}

static void add_object(Walk *self, size_t at, size_t length, const char *name, json_t *rest)
{
    const char direction[] = {direction_at(self, at), '\0'};
    json_t *json = json_pack("{sI sI ss}", "offset", (json_int_t)at, "length", (json_int_t)length,
                             "fpdu", name);

    (void)json_object_set_new(json, "direction",
                              direction[0] != ' ' ? json_string(direction) : json_null());
    (void)json_object_update(json, rest);
    (void)json_array_append_new(self->json, json);
    json_decref(rest);
}

/* A whole FPDU, whose header is good: printed, right or not. */
static void take_fpdu(Walk *self, size_t at, size_t length)
{
    const uint8_t *bytes = self->bytes + at;
    PesitFpduType type = pesit_fpdu_from_wire(bytes[2], bytes[3]);
    g_autofree char *text = format_fpdu(bytes, length);
    g_autofree char *remarked = NULL;
    PesitRemarks remarks = {.count = 0};
    PesitDiag diag = PESIT_DIAG_OK;
    PesitFpdu fpdu;
    bool valid = true;

    pesit_fpdu_init(&fpdu, type);
    if (!pesit_fpdu_is_data(type))
        valid = pesit_fpdu_decode(bytes, length, false, &fpdu, &remarks, &diag) == PESIT_OK;
    remarked = describe_remarks(&remarks);
    if (!valid && self->wrong == NULL) {
        g_autofree char *what = g_strdup_printf("%s is wrong: %s (%u-%03u)", pesit_fpdu_name(type),
                                                remarked, diag.type, diag.code);

        (void)complain(self, at, what, &self->wrong);
    }
    if (self->json == NULL)
        print_line(self, at, text, remarked);
    else
        add_object(self, at, length, pesit_fpdu_name(type),
                   json_pack("{si si sb ss so so}", "dst", bytes[4], "src", bytes[5], "valid",
                             (int)valid, "text", text, "parameters",
                             valid ? parameters_to_json(&fpdu) : json_array(), "remarks",
                             remarks_to_json(&remarks)));
}

/* walking */

static bool take_fpdus(Walk *self, size_t *at, size_t end, GError **error)
{
    while (*at < end) {
        size_t length = 0;
        g_autofree char *what = NULL;

        if (end - *at < PESIT_HEADER_BYTES)
            what = g_strdup_printf("%zu bytes are no FPDU", end - *at);
        else if (!header_at(self, *at, &length))
            what = g_strdup_printf("%02x %02x %02x %02x is the header of no FPDU", self->bytes[*at],
                                   self->bytes[*at + 1], self->bytes[*at + 2],
                                   self->bytes[*at + 3]);
        else if (length > end - *at)
            what = g_strdup_printf("%s of %zu bytes is cut after %zu",
                                   pesit_fpdu_name(pesit_fpdu_from_wire(self->bytes[*at + 2],
                                                                        self->bytes[*at + 3])),
                                   length, end - *at);
        if (what != NULL)
            return complain(self, *at, what, error);
        take_fpdu(self, *at, length);
        *at += length;
        if (!self->framed)
            break; /* the message before CONNECT may be next */
    }
    return true;
}

/* An entity may be the message before CONNECT, or its answer. ret_length: as it lies there, with what is in front. */
static bool take_preconnection(Walk *self, size_t at, size_t *ret_length)
{
    const char *name = NULL;
    size_t prefix = 0;
    size_t length = pesit_preconnection_find(self->bytes + at, self->length - at, &name);

    if (length == 0 && self->length - at > PREFIX_BYTES) {
        prefix = PREFIX_BYTES;
        length = pesit_preconnection_find(self->bytes + at + prefix, self->length - at - prefix,
                                          &name);
        if (length != number_at(self, at))
            return false;
    }
    if (length == 0)
        return false;
    if (self->json == NULL)
        print_line(self, at + prefix, name, "");
    else
        add_object(self, at + prefix, length, name,
                   json_pack("{sn sn sb ss s[] s[]}", "dst", "src", "valid", 1, "text", name,
                             "parameters", "remarks"));
    *ret_length = prefix + length;
    return true;
}

static bool take_entity(Walk *self, size_t *at, GError **error)
{
    g_autofree char *what = NULL;
    size_t length;

    if (self->length - *at <= PREFIX_BYTES)
        return complain(self, *at, "the length of an entity, and no entity", error);
    length = number_at(self, *at);
    if (length < PESIT_HEADER_BYTES || length > self->length - *at - PREFIX_BYTES) {
        what = g_strdup_printf("an entity of %zu bytes, %zu are there", length,
                               self->length - *at - PREFIX_BYTES);
        return complain(self, *at, what, error);
    }
    *at += PREFIX_BYTES;
    return take_fpdus(self, at, *at + length, error);
}

/* Whether lengths stand in front: then the second length is that of the first FPDU, and no phase and type. */
static bool begins_framed(const Walk *self, size_t at)
{
    size_t length = 0;

    return self->length - at > PREFIX_BYTES && header_at(self, at + PREFIX_BYTES, &length) &&
           length <= number_at(self, at);
}

static bool walk(Walk *self, GError **error)
{
    bool decided = false;
    size_t at = 0;

    while (at < self->length) {
        size_t length = 0;

        if (take_preconnection(self, at, &length)) {
            at += length;
            continue;
        }
        if (!decided)
            self->framed = begins_framed(self, at);
        decided = true;
        if (self->framed ? !take_entity(self, &at, error)
                         : !take_fpdus(self, &at, self->length, error))
            return false;
    }
    return true;
}

int run_decode(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_auto(Capture) capture = {NULL};
    Walk self = {.capture = &capture, .json = options->json ? json_array() : NULL};
    bool good = capture_read(&capture, arguments[0], error);

    (void)verb;
    if (good) {
        self.bytes = capture.bytes->data;
        self.length = capture.bytes->len;
        good = walk(&self, error);
    }
    if (self.json != NULL)
        print_json(stdout, self.json);
    if (good && self.wrong != NULL)
        g_propagate_error(error, g_steal_pointer(&self.wrong));
    else
        g_clear_error(&self.wrong);
    return good && *error == NULL ? EXIT_DONE : EXIT_LOCAL;
}
