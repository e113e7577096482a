/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP by libmicrohttpd: one thread that parses, limits, and moves bytes; everything that may take time is given to a
 * worker while the connection is suspended. Connections come from outside (server_add), so this thread knows no
 * address to listen on and no TLS. What it remembers of callers is its own: no locks.
 */
#include "admin/form.h"
#include "admin/lockout.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metric.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MEMORY_PER_CONNECTION (64u << 10)
#define TIMEOUT_S             15
#define URL_MAX               4096
#define CALLERS_MAX           10000
#define BURST_S               2
#define DISCARD_MAX           (16u << 20) /* so that a client in the middle of its body hears the answer */
#define POST_BUFFER           4096
#define STREAM_BLOCK          4096
#define REQUEST_US            (20 * USEC_PER_SEC) /* from the answer before it until it is read; no upload's */

/* A connection, as the front told of it. */
typedef struct {
    int fd;
    unsigned families;
    char *address, *certificate;
    _Atomic int64_t since_us; /* monotonic: we wait for a request; 0: we do not */
} Peer;

/* How much an address may ask now. */
typedef struct {
    double tokens;
    int64_t filled_us;
} Caller;

struct Server {
    Admin *admin;
    struct MHD_Daemon *daemon;
    Mailbox *arrivals; /* Peer * */
    pthread_mutex_t lock;
    GHashTable *met; /* set of Peer: those that are connected */
    /* the thread's */
    GHashTable *peers;   /* fd → Peer, not yet met */
    GHashTable *callers; /* text → Caller */
    Caller crowd;        /* of those that have none because there are too many */
    int64_t swept_us;
    uint32_t requests_per_s;
};

typedef enum { PHASE_BEGIN, PHASE_AUTHORIZING, PHASE_BODY, PHASE_FLUSHING, PHASE_RUNNING } Phase;

typedef struct {
    Server *server;
    struct MHD_Connection *connection;
    Peer *peer;
    Request *request;
    struct MHD_PostProcessor *post;
    Phase phase;
    uint64_t discarded;
    _Atomic bool worked; /* what the worker wrote before it is seen after it */
} Exchange;

typedef struct {
    struct MHD_Connection *connection;
    Feed *feed;
} Stream;

/* callers */

/* Has all it may have: nothing is lost when it goes. */
static gboolean is_full(gpointer key, gpointer value, gpointer data)
{
    (void)key;
    return *(const int64_t *)data - ((const Caller *)value)->filled_us >= BURST_S * USEC_PER_SEC;
}

static void sweep(Server *self)
{
    int64_t now_us = clock_now_us();

    if (g_hash_table_size(self->callers) < CALLERS_MAX ||
        now_us - self->swept_us < BURST_S * USEC_PER_SEC)
        return;
    self->swept_us = now_us;
    (void)g_hash_table_foreach_remove(self->callers, is_full, &now_us);
}

static Caller *find_caller(Server *self, const char *key)
{
    Caller *caller = g_hash_table_lookup(self->callers, key);

    if (caller != NULL)
        return caller;
    sweep(self);
    if (g_hash_table_size(self->callers) >= CALLERS_MAX)
        return &self->crowd; /* an attack from everywhere */
    caller = g_new0(Caller, 1);
    caller->tokens = (double)self->requests_per_s * BURST_S;
    caller->filled_us = clock_now_us();
    g_hash_table_insert(self->callers, g_strdup(key), caller);
    return caller;
}

static bool take_token(Server *self, Caller *caller)
{
    int64_t now_us = clock_now_us();
    double most = (double)self->requests_per_s * BURST_S;

    caller->tokens += (double)(now_us - caller->filled_us) * (double)self->requests_per_s / 1e6;
    caller->tokens = MIN(caller->tokens, most);
    caller->filled_us = now_us;
    if (caller->tokens < 1)
        return false;
    caller->tokens -= 1;
    return true;
}

static bool is_too_fast(Exchange *self)
{
    const Route *route = self->request->route;
    g_autofree char *place = lockout_dup_place(self->request->address);

    if (route->role == ROLE_PUBLIC || route->handler == health_metrics ||
        take_token(self->server, find_caller(self->server, place)))
        return false;
    metric_add(METRIC_HTTP_REFUSED, 1);
    request_problem(self->request, 429, "rate", NULL, "more than %u requests per second",
                    self->server->requests_per_s);
    request_add_header(self->request, "Retry-After", "1");
    return true;
}

/* whose request is waited for */

static void meet(Server *self, Peer *peer)
{
    atomic_store(&peer->since_us, clock_now_us());
    (void)pthread_mutex_lock(&self->lock);
    (void)g_hash_table_add(self->met, peer); /* it is new */
    (void)pthread_mutex_unlock(&self->lock);
}

static void forget(Server *self, Peer *peer)
{
    (void)pthread_mutex_lock(&self->lock);
    g_hash_table_remove(self->met, peer);
    (void)pthread_mutex_unlock(&self->lock);
}

void server_cut_slow(Server *self)
{
    int64_t limit_us = clock_now_us() - REQUEST_US;
    GHashTableIter iterator;
    gpointer key;

    (void)pthread_mutex_lock(&self->lock); /* its socket is not closed before it is forgotten */
    g_hash_table_iter_init(&iterator, self->met);
    while (g_hash_table_iter_next(&iterator, &key, NULL)) {
        const Peer *peer = key;
        int64_t since_us = atomic_load(&peer->since_us);

        if (since_us != 0 && since_us <= limit_us)
            (void)shutdown(peer->fd, SHUT_RDWR); /* it may have gone */
    }
    (void)pthread_mutex_unlock(&self->lock);
}

/* answers */

static ssize_t read_stream(void *data, uint64_t position, char *buffer, size_t capacity)
{
    Stream *self = data;
    ssize_t length = feed_read(self->feed, buffer, capacity);

    (void)position;
    return length >= 0 ? length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_stream(void *data)
{
    Stream *self = data;

    feed_free(self->feed);
    g_free(self);
}

static void stream_sleep(gpointer data)
{
    MHD_suspend_connection(((Stream *)data)->connection);
}

static void stream_wake(gpointer data)
{
    MHD_resume_connection(((Stream *)data)->connection);
}

/* NULL: too many streams. */
static struct MHD_Response *respond_stream(Exchange *self)
{
    const Request *request = self->request;
    Stream *stream = g_new0(Stream, 1);
    FeedOwner owner = {stream_sleep, stream_wake, stream};
    uint64_t after =
            request->last_event_id != NULL ? g_ascii_strtoull(request->last_event_id, NULL, 10) : 0;

    stream->connection = self->connection;
    stream->feed = feed_new(self->server->admin->events, after, request->identity.partner, &owner);
    if (stream->feed == NULL) {
        g_free(stream);
        return NULL;
    }
    (void)MHD_set_connection_option(self->connection, MHD_CONNECTION_OPTION_TIMEOUT,
                                    0u); /* it may be quiet for long */
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, stream,
                                             free_stream);
}

static struct MHD_Response *respond(Exchange *self)
{
    Request *request = self->request;
    struct MHD_Response *response = NULL;

    if (request->events) {
        response = respond_stream(self);
        if (response == NULL)
            request_problem(request, 503, "busy", NULL, "too many streams of events");
    }
    if (request->file_fd >= 0) {
        response = MHD_create_response_from_fd_at_offset64(request->file_length, request->file_fd,
                                                           request->file_offset);
        request->file_fd = -1; /* taken */
    }
    if (response != NULL)
        return response;
    return MHD_create_response_from_buffer(request->answer->len, request->answer->str,
                                           MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result answer(Exchange *self, bool close)
{
    Request *request = self->request;
    struct MHD_Response *response = respond(self);
    enum MHD_Result result;

    atomic_store(&self->peer->since_us, 0);
    if (request->type != NULL && request->status != 204 && request->status != 304)
        (void)MHD_add_response_header(response, "Content-Type", request->type);
    for (guint i = 0; i + 1 < request->headers->len; i += 2)
        (void)MHD_add_response_header(response, g_ptr_array_index(request->headers, i),
                                      g_ptr_array_index(request->headers, i + 1));
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (close)
        (void)MHD_add_response_header(response, "Connection", "close");
    metric_add(METRIC_HTTP_REQUESTS, 1);
    result = MHD_queue_response(self->connection, request->status, response);
    MHD_destroy_response(response);
    return result;
}

/* work */

static void work_authorize(gpointer data)
{
    Exchange *self = data;

    (void)request_authorize(self->request); /* the answer says */
    atomic_store(&self->worked, true);
    MHD_resume_connection(self->connection);
}

static void work_flush(gpointer data)
{
    Exchange *self = data;

    (void)upload_flush(self->request->upload); /* same */
    atomic_store(&self->worked, true);
    MHD_resume_connection(self->connection);
}

static void work_run(gpointer data)
{
    Exchange *self = data;

    request_run(self->request);
    atomic_store(&self->worked, true);
    MHD_resume_connection(self->connection);
}

/* What nobody has to be known for and nothing waited for: no thread is woken. */
static bool run_at_once(const Exchange *self)
{
    const Route *route = self->request->route;

    return route->at_once != NULL && route->role == ROLE_PUBLIC && route->at_once(self->request);
}

/* The connection sleeps until the work is done. */
static enum MHD_Result dispatch(Exchange *self, Phase phase, void (*work)(gpointer data))
{
    const Route *route = self->request->route;
    bool (*push)(Admin *, void (*)(gpointer), gpointer) =
            route != NULL && route->role == ROLE_PUBLIC ? admin_push_health : admin_push;

    self->phase = phase;
    MHD_suspend_connection(self->connection);
    if (push(self->server->admin, work, self))
        return MHD_YES;
    request_problem(self->request, 503, "busy", NULL, "too much to do, or stopping");
    MHD_resume_connection(self->connection);
    return MHD_YES;
}

/* beginnings */

typedef struct {
    unsigned hosts, lengths, encodings;
} HeaderCounts;

static enum MHD_Result count_header(void *data, enum MHD_ValueKind kind, const char *name,
                                    const char *value)
{
    HeaderCounts *counts = data;

    (void)kind, (void)value;
    counts->hosts += g_ascii_strcasecmp(name, "Host") == 0;
    counts->lengths += g_ascii_strcasecmp(name, "Content-Length") == 0;
    counts->encodings += g_ascii_strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

static enum MHD_Result take_query(void *data, enum MHD_ValueKind kind, const char *name,
                                  const char *value)
{
    (void)kind;
    request_take_query(data, name, value);
    return MHD_YES;
}

static char *dup_header(struct MHD_Connection *connection, const char *name)
{
    return g_strdup(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name));
}

static void take_headers(Exchange *self)
{
    Request *request = self->request;
    struct MHD_Connection *connection = self->connection;
    const char *key = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "X-API-Key");

    request->authorization = key != NULL ? g_strconcat("ApiKey ", key, NULL)
                                         : dup_header(connection, "Authorization");
    request->content_type = dup_header(connection, "Content-Type");
    request->range = dup_header(connection, "Range");
    request->if_match = dup_header(connection, "If-Match");
    request->if_range = dup_header(connection, "If-Range");
    request->if_none_match = dup_header(connection, "If-None-Match");
    request->last_event_id = dup_header(connection, "Last-Event-ID");
    request->idempotency_key = dup_header(connection, "Idempotency-Key");
    (void)MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, take_query, request);
}

/* What two readers could understand differently is refused. */
static bool check_framing(Exchange *self)
{
    HeaderCounts counts = {0};

    (void)MHD_get_connection_values(self->connection, MHD_HEADER_KIND, count_header, &counts);
    if (counts.hosts <= 1 && counts.lengths <= 1 && counts.encodings <= 1 &&
        counts.lengths + counts.encodings <= 1)
        return true;
    request_problem(self->request, 400, "framing", NULL,
                    "Host, Content-Length or Transfer-Encoding is there twice, or both of them");
    return false;
}

static bool has_query(const Request *request, const char *const *names)
{
    while (*names != NULL && request_query(request, *names) == NULL)
        names++;
    return *names != NULL;
}

/* Of a route that takes uploads: not when a body of JSON names a file. Where the query says what it is for, the body is the
 * file, whatever it has in it. */
static bool is_upload(const Request *request)
{
    if (request->route->body != BODY_UPLOAD)
        return false;
    if (request->content_type == NULL ||
        g_ascii_strncasecmp(request->content_type, "application/json", 16) != 0)
        return true;
    return has_query(request, REQUEST_PARTNER) || has_query(request, REQUEST_PATH);
}

/* A body that is not read ends the connection. */
static bool has_body(const Exchange *self)
{
    const char *length =
            MHD_lookup_connection_value(self->connection, MHD_HEADER_KIND, "Content-Length");

    return (length != NULL && strcmp(length, "0") != 0) ||
           MHD_lookup_connection_value(self->connection, MHD_HEADER_KIND, "Transfer-Encoding") !=
                   NULL;
}

static unsigned body_max(const Request *request)
{
    return request->route->body == BODY_FORM ? FORM_BODY_MAX : REQUEST_BODY_MAX;
}

static bool check_length(Exchange *self)
{
    Request *request = self->request;
    const char *text =
            MHD_lookup_connection_value(self->connection, MHD_HEADER_KIND, "Content-Length");
    guint64 length = 0;

    if (text == NULL || is_upload(request))
        return true;
    if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &length, NULL) &&
        length <= body_max(request))
        return true;
    request_problem(request, 413, "too-large", NULL, "the body may have %u bytes",
                    body_max(request));
    return false;
}

static enum MHD_Result take_part(void *data, enum MHD_ValueKind kind, const char *name,
                                 const char *file_name, const char *content_type,
                                 const char *encoding, const char *bytes, uint64_t offset,
                                 size_t length)
{
    const UploadPart part = {name, bytes, offset, length};

    (void)kind, (void)content_type, (void)encoding;
    if (name == NULL)
        return MHD_NO;
    if (file_name != NULL || strcmp(name, "file") == 0)
        return upload_add_file(data, &part) ? MHD_YES : MHD_NO;
    upload_add_part(data, &part);
    return MHD_YES;
}

static enum MHD_Result take_field(void *data, enum MHD_ValueKind kind, const char *name,
                                  const char *file_name, const char *content_type,
                                  const char *encoding, const char *bytes, uint64_t offset,
                                  size_t length)
{
    const UploadPart part = {name, bytes, offset, length};

    (void)kind, (void)file_name, (void)content_type, (void)encoding;
    return name != NULL && form_add_part(data, &part) ? MHD_YES : MHD_NO;
}

static bool is_of_type(const Request *request, const char *type)
{
    return request->content_type != NULL &&
           g_ascii_strncasecmp(request->content_type, type, strlen(type)) == 0;
}

static void begin_form(Exchange *self)
{
    Request *request = self->request;

    if (!is_of_type(request, "multipart/form-data") &&
        !is_of_type(request, "application/x-www-form-urlencoded"))
        return;
    request->form = form_new();
    self->post =
            MHD_create_post_processor(self->connection, POST_BUFFER, take_field, request->form);
}

static void begin_upload(Exchange *self)
{
    Request *request = self->request;

    request->upload = upload_new(request);
    if (is_of_type(request, "multipart/form-data"))
        self->post = MHD_create_post_processor(self->connection, POST_BUFFER, take_part,
                                               request->upload);
}

static void begin(Exchange *self, const Peer *peer)
{
    Request *request = self->request;

    request->address = g_strdup(peer->address);
    request->certificate = g_strdup(peer->certificate);
    request->families = peer->families;
    take_headers(self);
    if (strlen(request->path) > URL_MAX || !g_utf8_validate(request->path, -1, NULL))
        request_problem(request, 414, "url", NULL, "the path is too long, or no UTF-8");
    else if (check_framing(self) && routes_match(request) && !is_too_fast(self) &&
             (request->route->role == ROLE_PUBLIC || logins_admit(request)) && check_length(self)) {
        if (is_upload(request))
            begin_upload(self);
        else if (request->route->body == BODY_FORM)
            begin_form(self);
    }
}

/* bodies */

static bool take_body(Exchange *self, const char *bytes, size_t length)
{
    Request *request = self->request;

    if (self->post != NULL)
        return MHD_post_process(self->post, bytes, length) == MHD_YES;
    if (request->upload != NULL)
        return upload_append(request->upload, bytes, length);
    if (request->body->len + length > body_max(request))
        return false;
    g_string_append_len(request->body, bytes, (gssize)length);
    return true;
}

static enum MHD_Result on_body(Exchange *self, const char *bytes, size_t *length)
{
    size_t taken = *length;

    /* nothing is taken before it sleeps: MHD would go on with the next chunk, asleep or not */
    if (self->request->status == 0 && self->request->upload != NULL &&
        upload_is_full(self->request->upload))
        return dispatch(self, PHASE_FLUSHING, work_flush);
    *length = 0;
    if (self->request->status != 0) { /* failed: the rest is let go, within reason */
        self->discarded += taken;
        return self->discarded <= DISCARD_MAX ? MHD_YES : MHD_NO;
    }
    if (take_body(self, bytes, taken))
        return MHD_YES;
    if (self->post != NULL)
        request_problem(self->request, 400, "invalid", "body",
                        "body: it is no form of parts that have a name each");
    else
        request_problem(self->request, 413, "too-large", NULL, "the body is too long");
    return MHD_YES;
}

/* What stands at the end of an encoded form is told when the form is over. */
static void end_form(Exchange *self)
{
    if (self->request->form == NULL || self->post == NULL)
        return;
    if (MHD_destroy_post_processor(self->post) != MHD_YES)
        request_problem(self->request, 400, "invalid", "body", "body: the form has no end");
    self->post = NULL;
}

static Exchange *exchange_new(Server *server, struct MHD_Connection *connection, const char *method,
                              const char *url)
{
    Exchange *self = g_new0(Exchange, 1);

    self->server = server;
    self->connection = connection;
    self->request = request_new(server->admin, method, url);
    return self;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *bytes,
                                  size_t *length, void **state)
{
    Server *server = data;
    Exchange *self = *state;

    (void)version;
    if (self == NULL) {
        const union MHD_ConnectionInfo *info =
                MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        Peer *peer = info != NULL ? info->socket_context : NULL;

        if (peer == NULL)
            return MHD_NO;
        self = exchange_new(server, connection, method, url);
        *state = self;
        self->peer = peer;
        begin(self, peer);
        if (self->request->status != 0)
            return answer(self, has_body(self));
        self->phase = PHASE_BODY;
        if (self->request->upload != NULL || !has_body(self))
            atomic_store(&peer->since_us, 0);
        if (self->request->upload != NULL || self->request->route->body == BODY_FORM)
            return dispatch(self, PHASE_AUTHORIZING, work_authorize);
        return MHD_YES;
    }
    (void)atomic_load(&self->worked);
    if (self->phase == PHASE_AUTHORIZING) {
        self->phase = PHASE_BODY;
        if (self->request->status != 0)
            return answer(self, true);
        if (*length == 0)
            return MHD_YES;
    }
    if (*length > 0)
        return on_body(self, bytes, length);
    if (self->request->status != 0)
        return answer(self, self->phase != PHASE_RUNNING);
    if (run_at_once(self))
        return answer(self, false);
    end_form(self);
    if (self->request->status != 0)
        return answer(self, false);
    atomic_store(&self->peer->since_us, 0);
    return dispatch(self, PHASE_RUNNING, work_run);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    Exchange *self = *state;

    (void)data, (void)connection, (void)code;
    if (self == NULL)
        return;
    if (self->post != NULL)
        (void)MHD_destroy_post_processor(
                self->post); /* unfinished forms are told by missing fields */
    atomic_store(&self->peer->since_us, clock_now_us());
    request_free(self->request);
    g_free(self);
    *state = NULL;
}

/* connections */

static void peer_free(gpointer data)
{
    Peer *peer = data;

    g_free(peer->address);
    g_free(peer->certificate);
    g_free(peer);
}

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    Server *self = data;
    const union MHD_ConnectionInfo *info;
    gpointer key = NULL, value = NULL;
    Peer *peer;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context != NULL) {
            forget(self, *context);
            peer_free(*context);
        }
        *context = NULL;
        return;
    }
    while ((peer = mailbox_take(self->arrivals)) != NULL)
        g_hash_table_replace(self->peers, GINT_TO_POINTER(peer->fd), peer);
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info != NULL &&
        g_hash_table_steal_extended(self->peers, GINT_TO_POINTER(info->connect_fd), &key, &value))
        meet(self, *context = value);
}

void server_add(Server *self, int fd, unsigned families, const char *address,
                const char *certificate)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
    Peer *peer = g_new0(Peer, 1);

    (void)inet_pton(AF_INET6, address, &v6.sin6_addr); /* else :: */
    peer->fd = fd;
    peer->families = families;
    peer->address = g_strdup(address);
    peer->certificate = g_strdup(certificate);
    if (!mailbox_post(self->arrivals, peer)) {
        fd_clear(&fd);
        return;
    }
    /* refused: it closed the socket */
    (void)MHD_add_connection(self->daemon, fd,
                             is_v4 ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
                             is_v4 ? sizeof v4 : sizeof v6);
}

/* Paths and queries stay as they came: an escaped slash is no end of a segment. */
static size_t keep_escapes(void *data, struct MHD_Connection *connection, char *text)
{
    (void)data, (void)connection;
    return strlen(text);
}

static void ignore_log(void *data, const char *format, va_list arguments)
{
    (void)data, (void)format, (void)arguments; /* what peers do is counted, not logged */
}

Server *server_new(Admin *admin, const AdminHost *limits, GError **error)
{
    Server *self = g_new0(Server, 1);

    self->admin = admin;
    self->requests_per_s = limits->requests_per_s;
    self->arrivals = mailbox_new(peer_free);
    self->peers = g_hash_table_new_full(NULL, NULL, NULL, peer_free);
    self->crowd.filled_us = clock_now_us();
    self->callers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    (void)pthread_mutex_init(&self->lock, NULL); /* cannot fail */
    self->met = g_hash_table_new(NULL, NULL);
    self->daemon = MHD_start_daemon(
            MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
                    MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG,
            0, NULL, NULL, on_request, self, MHD_OPTION_EXTERNAL_LOGGER, ignore_log, NULL,
            MHD_OPTION_NOTIFY_COMPLETED, on_completed, self, MHD_OPTION_NOTIFY_CONNECTION,
            on_connection, self, MHD_OPTION_CONNECTION_LIMIT, (unsigned)limits->connections,
            MHD_OPTION_PER_IP_CONNECTION_LIMIT,
            (unsigned)MIN(limits->connections, limits->connections_per_address),
            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
            (size_t)MEMORY_PER_CONNECTION, MHD_OPTION_STRICT_FOR_CLIENT, 1,
            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    if (self->daemon != NULL)
        return self;
    g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "the HTTP server cannot start");
    server_free(self);
    return NULL;
}

void server_stop(Server *self)
{
    mailbox_close(self->arrivals);
}

void server_free(Server *self)
{
    if (self == NULL)
        return;
    mailbox_close(self->arrivals);
    if (self->daemon != NULL)
        MHD_stop_daemon(self->daemon);
    mailbox_unref(self->arrivals);
    g_hash_table_unref(self->peers);
    g_hash_table_unref(self->callers);
    g_hash_table_unref(self->met);
    (void)pthread_mutex_destroy(&self->lock); /* same */
    g_free(self);
}
