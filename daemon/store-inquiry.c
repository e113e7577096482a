/* SPDX-License-Identifier: Apache-2.0 */
/* What a console or another daemon left in the schema: taken by one daemon, once, and answered there. */
#include "daemon/store-private.h"

#include "base/clock.h"
#include "base/error.h"

enum { COLUMN_ACTOR, COLUMN_METHOD, COLUMN_PATH, COLUMN_BODY, COLUMN_IF_MATCH };

void inquiry_free(Inquiry *inquiry)
{
    if (inquiry == NULL)
        return;
    g_free(inquiry->id);
    g_free(inquiry->actor);
    g_free(inquiry->method);
    g_free(inquiry->path);
    g_free(inquiry->body);
    g_free(inquiry->if_match);
    g_free(inquiry->owner);
    g_free(inquiry->answer);
    g_free(inquiry);
}

static bool start_take(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_INQUIRY_TAKE, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_text(db, 2, self->owner);
    return true;
}

static void finish_take(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step = db_step(db, &result->error);

    if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "another daemon took it");
    if (step != DB_ROW)
        return;
    result->inquiry = g_new0(Inquiry, 1);
    result->inquiry->id = g_strdup(self->texts[0]);
    result->inquiry->actor = g_strdup(db_text(db, COLUMN_ACTOR));
    result->inquiry->method = g_strdup(db_text(db, COLUMN_METHOD));
    result->inquiry->path = g_strdup(db_text(db, COLUMN_PATH));
    result->inquiry->body = g_strdup(db_text(db, COLUMN_BODY));
    result->inquiry->if_match = g_strdup(db_text(db, COLUMN_IF_MATCH));
}

StoreRequest *store_request_take_inquiry(const char *id)
{
    StoreRequest *self = store_request_new_writing(start_take, finish_take);

    self->texts[0] = g_strdup(id);
    return self;
}

static bool start_answer(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_INQUIRY_ANSWER, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_number(db, 2, self->numbers[0]);
    db_bind_text(db, 3, self->texts[1]);
    return true;
}

/* Who asked may have gone, and taken it along. */
static void finish_answer(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    (void)db_step(db, &result->error); /* the error says */
}

StoreRequest *store_request_answer_inquiry(const char *id, unsigned status, const char *answer)
{
    StoreRequest *self = store_request_new_writing(start_answer, finish_answer);

    self->texts[0] = g_strdup(id);
    self->texts[1] = g_strdup(answer);
    self->numbers[0] = status;
    return self;
}

static bool start_leave(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_INQUIRY_LEAVE, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_number(db, 2, clock_wall_us());
    for (unsigned i = 1; i < G_N_ELEMENTS(self->texts) && self->texts[i] != NULL; i++)
        db_bind_text(db, i + 2, self->texts[i]);
    return true;
}

StoreRequest *store_request_leave_inquiry(const Inquiry *inquiry)
{
    const char *const texts[] = {inquiry->id,   inquiry->actor, inquiry->method,
                                 inquiry->path, inquiry->body,  inquiry->owner};
    StoreRequest *self = store_request_new_writing(start_leave, finish_answer);

    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        self->texts[i] = g_strdup(texts[i]);
    return self;
}

static bool start_answered(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_INQUIRY_ANSWERED, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    return true;
}

static void finish_answered(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step = db_step(db, &result->error);

    (void)self;
    if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "not answered");
    if (step != DB_ROW)
        return;
    result->inquiry = g_new0(Inquiry, 1);
    result->inquiry->status = (unsigned)db_number(db, 0);
    result->inquiry->answer = g_strdup(db_text(db, 1));
}

StoreRequest *store_request_answered_inquiry(const char *id)
{
    StoreRequest *self = store_request_new(start_answered, finish_answered);

    self->texts[0] = g_strdup(id);
    return self;
}

static bool start_retract(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_INQUIRY_RETRACT, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    return true;
}

static void finish_retract(const StoreRequest *self, Db *db, StoreResult *result)
{
    (void)self;
    if (db_step(db, &result->error) == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "it was taken");
}

StoreRequest *store_request_retract_inquiry(const char *id)
{
    StoreRequest *self = store_request_new_writing(start_retract, finish_retract);

    self->texts[0] = g_strdup(id);
    return self;
}

static bool start_forget(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_INQUIRY_FORGET, error))
        return false;
    db_bind_text(db, 1, self->texts[0]);
    db_bind_number(db, 2, self->numbers[0]);
    return true;
}

StoreRequest *store_request_forget_inquiry(const char *id, int64_t before_us)
{
    StoreRequest *self = store_request_new_writing(start_forget, finish_answer);

    self->texts[0] = g_strdup(id);
    self->numbers[0] = before_us;
    return self;
}
