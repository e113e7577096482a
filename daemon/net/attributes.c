/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a local file is described to a partner, the same for a file we send by CREATE and for one that the
 * partner selects. Chapters 3.6.3 d and e, 4.7.3.
 */
#include "daemon/net/attributes.h"

#include "base/clock.h"
#include "base/error.h"

#define LABEL_MAX_BYTES         80
#define AUTOMATIC_ARTICLE_BYTES 65529u
#define AUTOMATIC_TEXT_BYTES    4096u
#define FORMAT_FIXED            0x00
#define FORMAT_VARIABLE         0x80
#define SEQUENTIAL              0
#define UNIT_KB                 0

void attributes_clear(Attributes *attributes)
{
    g_free(attributes->label);
    g_free(attributes->free_text);
}

bool attributes_is_text(const VirtualFile *file)
{
    return file->format == RECORD_TEXT || file->format == RECORD_TEXT_FIXED;
}

bool attributes_is_fixed(const VirtualFile *file)
{
    return file->format == RECORD_BINARY_FIXED || file->format == RECORD_TEXT_FIXED;
}

uint16_t attributes_article_bytes(const VirtualFile *file, unsigned entity_bytes,
                                  unsigned interval_kb)
{
    uint32_t bytes = attributes_is_text(file) ? AUTOMATIC_TEXT_BYTES : AUTOMATIC_ARTICLE_BYTES;

    if (file->record_length != 0)
        return file->record_length;
    bytes = MIN(bytes, entity_bytes - PESIT_HEADER_BYTES);
    if (interval_kb > 0)
        bytes = MIN(bytes, interval_kb * ATTRIBUTES_KB);
    return (uint16_t)bytes;
}

PesitTextRules attributes_text_rules(const VirtualFile *file, uint16_t article_bytes)
{
    return (PesitTextRules){
            .format = file->format == RECORD_TEXT_FIXED ? PESIT_TEXT_FIXED : PESIT_TEXT_VARIABLE,
            .article_bytes = article_bytes,
            .empty_line = file->empty_line,
            .long_line = file->long_line,
            .line_end = file->line_end,
            .trim = file->trim,
    };
}

bool attributes_check_size(const VirtualFile *file, uint64_t size_bytes, GError **error)
{
    if (file->format != RECORD_BINARY_FIXED || file->record_length == 0 ||
        size_bytes % file->record_length == 0)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "size %" G_GUINT64_FORMAT " is not a multiple of the record length %u", size_bytes,
                file->record_length);
    return false;
}

RuleContext attributes_rule_context(const Partner *partner, const char *name, int64_t wall_s)
{
    return (RuleContext){
            .name = name, .partner = partner->name, .wall_s = wall_s, .zone = partner->zone};
}

RuleContext attributes_transfer_context(const Partner *partner, const char *name,
                                        const Transfer *transfer)
{
    RuleContext context =
            attributes_rule_context(partner, name, transfer->created_us / USEC_PER_SEC);

    context.counter = transfer->name_counter;
    return context;
}

bool attributes_check_texts(const Partner *partner, const VirtualFile *file,
                            const RuleContext *context, GError **error)
{
    g_autofree char *label = NULL;
    g_autofree char *free_text = NULL;

    if (file->label != NULL)
        label = rule_expand(file->label, context, LABEL_MAX_BYTES, error);
    if (file->free_text != NULL && (file->label == NULL || label != NULL))
        free_text = rule_expand(file->free_text, context, partner->profile.free_text_max, error);
    return (file->label == NULL || label != NULL) && (file->free_text == NULL || free_text != NULL);
}

static void format_date(int64_t wall_us, GTimeZone *zone, char date[13])
{
    g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(wall_us / USEC_PER_SEC);
    g_autoptr(GDateTime) local = utc != NULL ? g_date_time_to_timezone(utc, zone) : NULL;
    g_autofree char *text = local != NULL ? g_date_time_format(local, "%y%m%d%H%M%S") : NULL;

    g_strlcpy(date, text != NULL ? text : "", 13);
}

void attributes_fill(PesitFpdu *fpdu, const Partner *partner, const VirtualFile *file,
                     const Transfer *transfer, uint16_t article_bytes, uint64_t size_bytes,
                     const RuleContext *context, Attributes *attributes)
{
    if (file->label !=
        NULL) /* checked when the file was staged: what does not expand is left out */
        attributes->label = rule_expand(file->label, context, LABEL_MAX_BYTES, NULL);
    if (file->free_text != NULL)
        attributes->free_text =
                rule_expand(file->free_text, context, partner->profile.free_text_max, NULL);
    format_date(transfer->mtime_us, partner->zone, attributes->created);
    pesit_fpdu_set_number(fpdu, PESIT_PI_FILE_TYPE, transfer->file_type);
    pesit_fpdu_set_text(fpdu, PESIT_PI_FILE_NAME, transfer->file_name);
    pesit_fpdu_set_number(fpdu, PESIT_PI_TRANSFER_ID, transfer->transfer_id);
    pesit_fpdu_set_number(fpdu, PESIT_PI_DATA_CODE, file->data_code);
    pesit_fpdu_set_number(fpdu, PESIT_PI_ARTICLE_FORMAT,
                          attributes_is_fixed(file) ? FORMAT_FIXED : FORMAT_VARIABLE);
    pesit_fpdu_set_number(fpdu, PESIT_PI_ARTICLE_LENGTH, article_bytes);
    pesit_fpdu_set_number(fpdu, PESIT_PI_ORGANISATION, SEQUENTIAL);
    pesit_fpdu_set_number(fpdu, PESIT_PI_SPACE_UNIT, UNIT_KB);
    pesit_fpdu_set_number(
            fpdu, PESIT_PI_SPACE_MAX,
            MIN((size_bytes + ATTRIBUTES_KB - 1) / ATTRIBUTES_KB, (uint64_t)UINT32_MAX));
    pesit_fpdu_set_text(fpdu, PESIT_PI_CREATED, attributes->created);
    pesit_fpdu_set_text(fpdu, PESIT_PI_LABEL, attributes->label);
    pesit_fpdu_set_text(fpdu, PESIT_PI_FREE_TEXT, attributes->free_text);
}
