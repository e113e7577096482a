/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of a local file as CREATE and ACK(SELECT) carry it: PI 16, 31, 32, 33, 37, 41, 42, 51,
 * 61, 62, 99. Chapters 3.6.3 d and e, 4.7.3. Pure; any thread.
 */
#pragma once

#include "daemon/store.h"
#include "daemon/transfer/partner.h"
#include "protocol/article.h"
#include "protocol/fpdu.h"

#define ATTRIBUTES_KB              1024u
#define ATTRIBUTES_FILE_NAME_BYTES 76

/* Texts that the FPDU borrows: keep them until it is encoded. */
typedef struct {
    char *label;
    char *free_text;
    char created[13];
} Attributes;

void attributes_clear(Attributes *attributes);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Attributes, attributes_clear)

bool attributes_is_text(const VirtualFile *file);
/* PI 31 = 00h. */
bool attributes_is_fixed(const VirtualFile *file);
/* PI 32: what the virtual file says, else the longest article that one entity (PI 25) and one interval
 * (PI 7, KB, 0: none) hold. */
uint16_t attributes_article_bytes(const VirtualFile *file, unsigned entity_bytes,
                                  unsigned interval_kb);
/* How lines become articles and back. article_bytes: as agreed. */
PesitTextRules attributes_text_rules(const VirtualFile *file, uint16_t article_bytes);
/* Checks that the file's size suits fixed records. INVALID. */
bool attributes_check_size(const VirtualFile *file, uint64_t size_bytes, GError **error);
/* Names for templates. name: last component of its path in the mount, kept by the caller. */
RuleContext attributes_rule_context(const Partner *partner, const char *name, int64_t wall_s);
/* The same of a transfer: its counter, and the time at which it was ordered, in all attempts. */
RuleContext attributes_transfer_context(const Partner *partner, const char *name,
                                        const Transfer *transfer);
/* Checks that PI 37 and PI 99 can be made of their templates. INVALID. */
bool attributes_check_texts(const Partner *partner, const VirtualFile *file,
                            const RuleContext *context, GError **error);
/* Sets the parameters. attributes: zeroed by the caller, filled. */
void attributes_fill(PesitFpdu *fpdu, const Partner *partner, const VirtualFile *file,
                     const Transfer *transfer, uint16_t article_bytes, uint64_t size_bytes,
                     const RuleContext *context, Attributes *attributes);
