/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of a file as CREATE and ACK(SELECT) carry it: PI 32 that fits, sizes in KB rounded up, dates in the
 * partner's zone, names that stay the same in all attempts, texts that cannot be made.
 */
#include "base/error.h"
#include "daemon/net/attributes.h"

#include <string.h>

#define NOON INT64_C(1795608000) /* 2026-11-25T12:00:00Z */

static void test_article_length(void)
{
    static const struct {
        RecordFormat format;
        uint16_t record;
        unsigned entity, interval_kb;
        uint16_t expected;
    } CASES[] = {
            {RECORD_BINARY, 0, 65535, 0, 65529},     {RECORD_BINARY, 0, 32750, 0, 32744},
            {RECORD_BINARY, 0, 128, 0, 122},         {RECORD_BINARY, 0, 65535, 1, 1024},
            {RECORD_BINARY, 0, 65535, 64, 65529},    {RECORD_BINARY, 0, 65535, 63, 64512},
            {RECORD_BINARY, 0, 65535, 65535, 65529}, {RECORD_BINARY, 1000, 128, 1, 1000},
            {RECORD_TEXT, 0, 65535, 0, 4096},        {RECORD_TEXT, 0, 1000, 0, 994},
            {RECORD_TEXT, 0, 65535, 2, 2048},        {RECORD_TEXT, 80, 65535, 0, 80},
            {RECORD_BINARY_FIXED, 1, 4096, 32, 1},   {RECORD_TEXT_FIXED, 65535, 4096, 32, 65535},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        VirtualFile file = {.format = CASES[i].format, .record_length = CASES[i].record};

        g_assert_cmpuint(attributes_article_bytes(&file, CASES[i].entity, CASES[i].interval_kb), ==,
                         CASES[i].expected);
    }
}

static void test_sizes(void)
{
    VirtualFile fixed = {.format = RECORD_BINARY_FIXED, .record_length = 80};
    VirtualFile text = {.format = RECORD_TEXT_FIXED, .record_length = 80};
    g_autoptr(GError) error = NULL;

    g_assert_true(attributes_check_size(&fixed, 0, NULL));
    g_assert_true(attributes_check_size(&fixed, 80, NULL));
    g_assert_true(attributes_check_size(&fixed, UINT64_C(80) << 40, NULL));
    g_assert_false(attributes_check_size(&fixed, 79, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "not a multiple of the record length 80"));
    g_assert_true(attributes_check_size(&text, 79, NULL)); /* its lines are padded */
}

typedef struct {
    Partner partner;
    VirtualFile file;
    Transfer transfer;
} Scene;

static Scene scene_of(const char *zone)
{
    return (Scene){.partner = {.name = (char *)(uintptr_t) "B",
                               .zone = g_time_zone_new_identifier(zone),
                               .profile = {.free_text_max = 254}},
                   .file = {.label = (char *)(uintptr_t) "{name} {counter}",
                            .free_text = (char *)(uintptr_t) "{date}{time}",
                            .data_code = 2},
                   .transfer = {.file_name = (char *)(uintptr_t) "PAIE",
                                .file_type = 7,
                                .transfer_id = 99,
                                .mtime_us = (NOON - 60) * G_USEC_PER_SEC,
                                .created_us = NOON * G_USEC_PER_SEC + 999999,
                                .name_counter = 42}};
}

static void fill(Scene *scene, uint64_t size, PesitFpdu *fpdu, Attributes *attributes)
{
    RuleContext context = attributes_transfer_context(&scene->partner, "a.xml", &scene->transfer);

    pesit_fpdu_init(fpdu, PESIT_FPDU_CREATE);
    attributes_fill(fpdu, &scene->partner, &scene->file, &scene->transfer, 1024, size, &context,
                    attributes);
}

static void assert_text(const PesitFpdu *fpdu, PesitPi pi, const char *expected)
{
    size_t length;
    const uint8_t *bytes = pesit_fpdu_bytes(fpdu, pi, &length);

    g_assert_cmpmem(bytes, length, expected, strlen(expected));
}

static void test_values(void)
{
    Scene scene = scene_of("Europe/Paris");
    g_auto(Attributes) attributes = {0};
    PesitFpdu fpdu;

    fill(&scene, 1, &fpdu, &attributes);
    assert_text(&fpdu, PESIT_PI_FILE_NAME, "PAIE");
    assert_text(&fpdu, PESIT_PI_LABEL, "a.xml 42");
    assert_text(&fpdu, PESIT_PI_FREE_TEXT, "20261125130000"); /* as ordered, in Paris */
    assert_text(&fpdu, PESIT_PI_CREATED, "261125125900");     /* the file's own */
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_FILE_TYPE, 0), ==, 7);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_TRANSFER_ID, 0), ==, 99);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_DATA_CODE, 9), ==, 2);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_ARTICLE_FORMAT, 9), ==, 0x80);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_ARTICLE_LENGTH, 9), ==, 1024);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_ORGANISATION, 9), ==, 0);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_SPACE_UNIT, 9), ==, 0);
    g_time_zone_unref(scene.partner.zone);
}

/* PI 42 in KB, rounded up; what it cannot say is said as the most it can. */
static void test_space(void)
{
    static const struct {
        uint64_t size, kb;
    } CASES[] = {{0, 0},
                 {1, 1},
                 {1024, 1},
                 {1025, 2},
                 {UINT64_C(1) << 32, UINT64_C(1) << 22},
                 {(uint64_t)UINT32_MAX * 1024, UINT32_MAX},
                 {UINT64_C(1) << 60, UINT32_MAX}};

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        Scene scene = scene_of("UTC");
        g_auto(Attributes) attributes = {0};
        PesitFpdu fpdu;

        fill(&scene, CASES[i].size, &fpdu, &attributes);
        g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_SPACE_MAX, 7), ==, CASES[i].kb);
        g_time_zone_unref(scene.partner.zone);
    }
}

static void test_formats(void)
{
    static const struct {
        RecordFormat format;
        uint64_t pi31;
        bool text;
    } CASES[] = {{RECORD_BINARY, 0x80, false},
                 {RECORD_BINARY_FIXED, 0, false},
                 {RECORD_TEXT, 0x80, true},
                 {RECORD_TEXT_FIXED, 0, true}};

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        Scene scene = scene_of("UTC");
        g_auto(Attributes) attributes = {0};
        PesitFpdu fpdu;

        scene.file.format = CASES[i].format;
        fill(&scene, 80, &fpdu, &attributes);
        g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_ARTICLE_FORMAT, 9), ==, CASES[i].pi31);
        g_assert_cmpint(attributes_is_text(&scene.file), ==, CASES[i].text);
        g_assert_cmpint(attributes_is_fixed(&scene.file), ==, CASES[i].pi31 == 0);
        g_time_zone_unref(scene.partner.zone);
    }
}

static bool texts_fit(const char *label, const char *free_text, const char *name, const char *words)
{
    Scene scene = scene_of("UTC");
    RuleContext context;
    g_autoptr(GError) error = NULL;
    bool fit;

    scene.file.label = (char *)(uintptr_t)label;
    scene.file.free_text = (char *)(uintptr_t)free_text;
    context = attributes_transfer_context(&scene.partner, name, &scene.transfer);
    fit = attributes_check_texts(&scene.partner, &scene.file, &context, &error);
    g_time_zone_unref(scene.partner.zone);
    g_assert_cmpint(fit, ==, error == NULL);
    if (!fit)
        g_assert_nonnull(strstr(error->message, words));
    return fit;
}

static void test_texts(void)
{
    g_autofree char *n80 = g_strnfill(80, 'n');
    g_autofree char *n81 = g_strnfill(81, 'n');
    g_autofree char *n254 = g_strnfill(254, 'n');
    g_autofree char *n255 = g_strnfill(255, 'n');

    g_assert_true(texts_fit(NULL, NULL, "caf\xC3\xA9", ""));
    g_assert_true(texts_fit("{name}", "{name}", n80, ""));
    g_assert_false(texts_fit("{name}", "{name}", n81, "81 characters: PeSIT takes 1 to 80"));
    g_assert_true(texts_fit(NULL, "{name}", n254, ""));
    g_assert_false(texts_fit(NULL, "{name}", n255, "255 characters: PeSIT takes 1 to 254"));
    g_assert_false(texts_fit("{name}", NULL, "caf\xC3\xA9", "alphabet"));
    g_assert_false(texts_fit("L", "{name}", "caf\xC3\xA9", "alphabet"));
    g_assert_false(texts_fit("{ext}", NULL, "noext", "0 characters"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/attributes/article-length", test_article_length);
    g_test_add_func("/attributes/sizes", test_sizes);
    g_test_add_func("/attributes/values", test_values);
    g_test_add_func("/attributes/space", test_space);
    g_test_add_func("/attributes/formats", test_formats);
    g_test_add_func("/attributes/texts", test_texts);
    return g_test_run();
}
