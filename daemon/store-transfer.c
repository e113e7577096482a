/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transfers as values, and between values and columns: one table of fields, in the order of the columns of
 * sql/statements.c. Any thread.
 */
#include "daemon/store-private.h"

#include <stddef.h>
#include <string.h>

typedef enum {
    FIELD_ENUM,
    FIELD_I64,
    FIELD_U64,
    FIELD_U32,
    FIELD_U16,
    FIELD_U8,
    FIELD_BOOL,
    FIELD_TEXT
} FieldKind;

typedef struct {
    FieldKind kind;
    size_t offset;
} Field;

#define FIELD(kind, name)                                                                          \
    {                                                                                              \
        FIELD_##kind, offsetof(Transfer, name)                                                     \
    }

/* clang-format off */
static const Field FIELDS[TRANSFER_COLUMNS] = {
    FIELD(I64, id), FIELD(ENUM, direction), FIELD(ENUM, state), FIELD(TEXT, partner), FIELD(TEXT, path),
    FIELD(TEXT, file_name), FIELD(U16, file_type), FIELD(U32, transfer_id), FIELD(TEXT, peer), FIELD(TEXT, client),
    FIELD(TEXT, bank), FIELD(U64, size_bytes), FIELD(U64, wire_bytes), FIELD(U64, articles), FIELD(U32, mode),
    FIELD(I64, mtime_us), FIELD(I64, created_us), FIELD(I64, updated_us), FIELD(I64, finished_us),
    FIELD(U32, attempts), FIELD(I64, next_retry_us), FIELD(U8, diag_type), FIELD(U16, diag_code), FIELD(U8, cause),
    FIELD(TEXT, error), FIELD(TEXT, sha256), FIELD(TEXT, spool_name), FIELD(TEXT, offer_path), FIELD(I64, offer_id),
    FIELD(BOOL, hidden), FIELD(BOOL, data_kept), FIELD(BOOL, end_sent), FIELD(U64, name_counter),
    FIELD(TEXT, actor), FIELD(TEXT, origin), FIELD(TEXT, correlation), FIELD(TEXT, session), FIELD(TEXT, listener),
};

static const char *const STATES[] = {
    [TRANSFER_STAGED] = "staged", [TRANSFER_QUEUED] = "queued", [TRANSFER_RUNNING] = "running",
    [TRANSFER_WAITING] = "waiting", [TRANSFER_DONE] = "done", [TRANSFER_FAILED] = "failed",
    [TRANSFER_CANCELLED] = "cancelled",
};

static const char *const DIRECTIONS[] = {
    [DIRECTION_SEND] = "send", [DIRECTION_FETCH] = "fetch", [DIRECTION_RECEIVE] = "receive",
    [DIRECTION_OFFER] = "offer", [DIRECTION_SERVE] = "serve",
};
/* clang-format on */

Transfer *transfer_new(void)
{
    return g_new0(Transfer, 1);
}

static void *field_at(const Transfer *transfer, const Field *field)
{
    return (char *)(uintptr_t)transfer + field->offset;
}

Transfer *transfer_copy(const Transfer *transfer)
{
    Transfer *copy = g_new(Transfer, 1);

    *copy = *transfer;
    for (size_t i = 0; i < TRANSFER_COLUMNS; i++) {
        if (FIELDS[i].kind == FIELD_TEXT)
            *(char **)field_at(copy, &FIELDS[i]) =
                    g_strdup(*(char **)field_at(transfer, &FIELDS[i]));
    }
    return copy;
}

void transfer_free(Transfer *transfer)
{
    if (transfer == NULL)
        return;
    for (size_t i = 0; i < TRANSFER_COLUMNS; i++) {
        if (FIELDS[i].kind == FIELD_TEXT)
            g_free(*(char **)field_at(transfer, &FIELDS[i]));
    }
    g_free(transfer);
}

const char *transfer_state_name(TransferState state)
{
    return STATES[state];
}

const char *transfer_direction_name(TransferDirection direction)
{
    return DIRECTIONS[direction];
}

bool transfer_state_parse(const char *text, TransferState *ret_state)
{
    for (size_t i = 0; i < G_N_ELEMENTS(STATES); i++) {
        if (strcmp(text, STATES[i]) == 0) {
            *ret_state = (TransferState)i;
            return true;
        }
    }
    return false;
}

bool transfer_direction_parse(const char *text, TransferDirection *ret_direction)
{
    for (size_t i = 0; i < G_N_ELEMENTS(DIRECTIONS); i++) {
        if (strcmp(text, DIRECTIONS[i]) == 0) {
            *ret_direction = (TransferDirection)i;
            return true;
        }
    }
    return false;
}

bool transfer_state_is_final(TransferState state)
{
    return state == TRANSFER_DONE || state == TRANSFER_FAILED || state == TRANSFER_CANCELLED;
}

static int64_t get_number(const Transfer *transfer, const Field *field)
{
    const void *at = field_at(transfer, field);

    switch (field->kind) {
    case FIELD_ENUM:
        return *(const int *)at;
    case FIELD_I64:
        return *(const int64_t *)at;
    case FIELD_U64:
        return (int64_t) * (const uint64_t *)at;
    case FIELD_U32:
        return *(const uint32_t *)at;
    case FIELD_U16:
        return *(const uint16_t *)at;
    case FIELD_U8:
        return *(const uint8_t *)at;
    case FIELD_BOOL:
        return *(const bool *)at ? 1 : 0;
    case FIELD_TEXT:
        break;
    }
    return 0;
}

static void set_number(Transfer *transfer, const Field *field, int64_t number)
{
    void *at = field_at(transfer, field);

    switch (field->kind) {
    case FIELD_ENUM:
        *(int *)at = (int)number;
        break;
    case FIELD_I64:
        *(int64_t *)at = number;
        break;
    case FIELD_U64:
        *(uint64_t *)at = (uint64_t)number;
        break;
    case FIELD_U32:
        *(uint32_t *)at = (uint32_t)number;
        break;
    case FIELD_U16:
        *(uint16_t *)at = (uint16_t)number;
        break;
    case FIELD_U8:
        *(uint8_t *)at = (uint8_t)number;
        break;
    case FIELD_BOOL:
        *(bool *)at = number != 0;
        break;
    case FIELD_TEXT:
        break;
    }
}

static void bind_from(Db *db, const Transfer *transfer, unsigned first)
{
    for (unsigned i = first; i < TRANSFER_COLUMNS; i++) {
        if (FIELDS[i].kind == FIELD_TEXT)
            db_bind_text(db, i - first + 1, *(char **)field_at(transfer, &FIELDS[i]));
        else
            db_bind_number(db, i - first + 1, get_number(transfer, &FIELDS[i]));
    }
}

void transfer_bind(Db *db, const Transfer *transfer)
{
    bind_from(db, transfer, 0);
}

void transfer_bind_values(Db *db, const Transfer *transfer)
{
    bind_from(db, transfer, 1);
}

Transfer *transfer_read(Db *db)
{
    Transfer *transfer = transfer_new();

    for (unsigned i = 0; i < TRANSFER_COLUMNS; i++) {
        if (FIELDS[i].kind == FIELD_TEXT)
            *(char **)field_at(transfer, &FIELDS[i]) = g_strdup(db_text(db, i));
        else
            set_number(transfer, &FIELDS[i], db_number(db, i));
    }
    return transfer;
}
