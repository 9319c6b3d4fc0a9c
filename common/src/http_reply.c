/* Answers to requests, and what a handler may ask of a request. An answer may come from any thread, before or after its handler
 * returned, or after the server gave the request up; the request's lock sorts these out. */
#include "http_internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <rw/encoding.h>

static const char problem_type[] = "application/problem+json";
static const char json_type[] = "application/json";

/* ---- what a handler may ask ---- */

const char *rw_http_param(const struct rw_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_params; i++) {
        const struct http_param *param = &request->params[i];
        if (strlen(name) == param->name_len && strncmp(name, param->name, param->name_len) == 0) {
            return param->value;
        }
    }
    return NULL;
}

const char *rw_http_query(const struct rw_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_values; i++) {
        if (!request->values[i].is_header && strcmp(request->values[i].name, name) == 0) {
            return request->values[i].value;
        }
    }
    return NULL;
}

const char *rw_http_header(const struct rw_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_values; i++) {
        if (request->values[i].is_header && strcasecmp(request->values[i].name, name) == 0) {
            return request->values[i].value;
        }
    }
    return NULL;
}

struct rw_bytes rw_http_body(const struct rw_http_request *request)
{
    return rw_buffer_view(&request->body);
}

const struct rw_trace *rw_http_trace(const struct rw_http_request *request)
{
    return &request->trace;
}

bool rw_http_client_left(struct rw_http_request *request)
{
    char byte;
    (void)pthread_mutex_lock(&request->lock);
    /* Only a suspended connection is nobody else's to read from, and cannot be closed meanwhile. */
    ssize_t n = request->state == HTTP_SUSPENDED ? recv(request->connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) : 1;
    bool has_left = n == 0 || (n < 0 && errno == ECONNRESET);
    (void)pthread_mutex_unlock(&request->lock);
    return has_left;
}

/* ---- answering ---- */

static bool has_control_character(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return true;
        }
    }
    return false;
}

void rw_http_set_header(struct rw_http_request *request, const char *name, const char *value)
{
    if (request->n_reply_headers == HTTP_REPLY_HEADERS_MAX || has_control_character(value)) {
        return;
    }
    request->reply_headers[request->n_reply_headers].name = rw_xstrdup(name);
    request->reply_headers[request->n_reply_headers++].value = rw_xstrdup(value);
}

static bool has_reply_header(const struct rw_http_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_reply_headers; i++) {
        if (strcasecmp(request->reply_headers[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- contents that answers share ---- */

struct rw_http_content {
    atomic_size_t references;
    void *data;
    size_t len;
    atomic_size_t *alive;
};

struct rw_http_content *rw_http_content_new(void *data, size_t len, atomic_size_t *alive)
{
    struct rw_http_content *content = rw_xcalloc(1, sizeof(*content));
    atomic_init(&content->references, 1);
    content->data = data;
    content->len = len;
    content->alive = alive;
    if (alive) {
        (void)atomic_fetch_add(alive, len);
    }
    return content;
}

void rw_http_content_unref(struct rw_http_content *content)
{
    if (atomic_fetch_sub(&content->references, 1) > 1) {
        return;
    }
    if (content->alive) {
        (void)atomic_fetch_sub(content->alive, content->len);
    }
    free(content->data);
    free(content);
}

static void release_content(void *content)
{
    rw_http_content_unref(content);
}

/* ---- responses ---- */

/* The headers of every answer. Reads only what no owner changes. */
static struct MHD_Response *add_headers(struct MHD_Response *response, const struct rw_http_request *request,
                                        const char *content_type)
{
    char trace_id[RW_TRACE_ID_BYTES];
    if (!response) {
        abort(); /* out of memory, as in rw_xmalloc */
    }
    if (content_type) {
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    }
    rw_trace_id(&request->trace, trace_id);
    (void)MHD_add_response_header(response, "X-Request-Id", trace_id);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    return response;
}

/* Those that the owner has set. */
static struct MHD_Response *add_own_headers(struct MHD_Response *response, const struct rw_http_request *request)
{
    for (size_t i = 0; i < request->n_reply_headers; i++) {
        (void)MHD_add_response_header(response, request->reply_headers[i].name, request->reply_headers[i].value);
    }
    return response;
}

/* body: from malloc, taken. The response itself belongs to the caller. */
static struct MHD_Response *plain_response(const struct rw_http_request *request, const char *content_type, void *body, size_t len)
{
    return add_headers(MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE), request, content_type);
}

static struct MHD_Response *new_response(const struct rw_http_request *request, const char *content_type, void *body, size_t len)
{
    return add_own_headers(plain_response(request, content_type, body, len), request);
}

/* Text that may repeat a stranger's bytes, cut anywhere: as far as it is UTF-8. */
static void add_cut_text(cJSON *json, const char *key, const char *text)
{
    size_t len = strlen(text);
    while (len > 0 && !rw_utf8_is_valid(rw_bytes_of(text, len))) {
        len--;
    }
    rw_json_add_text(json, key, rw_bytes_of(text, len));
}

static cJSON *fields_json(const struct rw_field_errors *fields)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < fields->count && i < RW_FIELD_ERRORS_MAX; i++) {
        cJSON *item = cJSON_CreateObject();
        add_cut_text(item, "field", fields->items[i].field);
        add_cut_text(item, "message", fields->items[i].message);
        cJSON_AddItemToArray(list, item);
    }
    return list;
}

static char *problem_text(const struct rw_http_request *request, const struct rw_error *err, const struct rw_field_errors *fields,
                          size_t *ret_len)
{
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    RW_AUTO_FREE char *type = rw_xasprintf("urn:runwave:problem:%s", rw_err_name(err->code));
    char trace_id[RW_TRACE_ID_BYTES];
    int status = rw_err_http_status(err->code);

    rw_trace_id(&request->trace, trace_id);
    rw_json_add_string(json, "type", type);
    rw_json_add_string(json, "title", rw_err_text(err->code));
    rw_json_add_int(json, "status", status);
    if (status != MHD_HTTP_INTERNAL_SERVER_ERROR) { /* what went wrong inside is for the log, found by the request's id */
        add_cut_text(json, "detail", err->message);
    }
    if (fields && fields->count > 0) {
        cJSON_AddItemToObject(json, "errors", fields_json(fields));
    }
    rw_json_add_string(json, "request_id", trace_id);
    return rw_json_print(json, ret_len);
}

struct MHD_Response *http_problem_new(struct rw_http_request *request, const struct rw_error *err,
                                      const struct rw_field_errors *fields)
{
    size_t len = 0;
    int status = rw_err_http_status(err->code);
    char *text = problem_text(request, err, fields, &len);

    if ((status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS) &&
        !has_reply_header(request, MHD_HTTP_HEADER_RETRY_AFTER)) {
        rw_http_set_header(request, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    }
    return new_response(request, problem_type, text, len);
}

void http_answer(struct rw_http_request *request, unsigned status, struct MHD_Response *response)
{
    (void)pthread_mutex_lock(&request->lock);
    bool is_first = request->state != HTTP_ANSWERED;
    if (is_first) {
        bool is_suspended = request->state == HTTP_SUSPENDED;
        request->state = HTTP_ANSWERED;
        request->status = status;
        request->response = response;
        if (is_suspended) {
            MHD_resume_connection(request->mhd);
        }
    }
    (void)pthread_mutex_unlock(&request->lock);
    if (!is_first) {
        MHD_destroy_response(response);
    }
}

void http_abandon(struct rw_http_request *request)
{
    struct rw_error err = {0};
    size_t len = 0;

    (void)rw_error_set(&err, RW_ERR_CANCELLED, 0, __func__, "the server is being stopped");
    char *text = problem_text(request, &err, NULL, &len);
    struct MHD_Response *response = plain_response(request, problem_type, text, len);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    http_answer(request, (unsigned)rw_err_http_status(err.code), response);
}

static void request_free(struct rw_http_request *request)
{
    for (size_t i = 0; i < HTTP_PARAMS_MAX; i++) {
        free(request->params[i].value);
    }
    for (size_t i = 0; i < request->n_reply_headers; i++) {
        free(request->reply_headers[i].name);
        free(request->reply_headers[i].value);
    }
    if (request->response) {
        MHD_destroy_response(request->response);
    }
    rw_buffer_done(&request->body);
    free(request->values);
    free(request->target);
    (void)pthread_mutex_destroy(&request->lock);
    free(request);
}

void http_request_unref(struct rw_http_request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    bool is_last = --request->references == 0;
    (void)pthread_mutex_unlock(&request->lock);
    if (is_last) {
        request_free(request);
    }
}

static void answer_and_release(struct rw_http_request *request, int status, struct MHD_Response *response)
{
    http_answer(request, (unsigned)status, response);
    http_request_unref(request);
}

void rw_http_reply(struct rw_http_request *request, int status, const char *content_type, struct rw_bytes body)
{
    void *copy = rw_xmalloc(body.len + 1);
    if (body.len > 0) {
        memcpy(copy, body.data, body.len);
    }
    answer_and_release(request, status, new_response(request, content_type, copy, body.len));
}

void rw_http_reply_content(struct rw_http_request *request, int status, const char *content_type, struct rw_http_content *content)
{
    (void)atomic_fetch_add(&content->references, 1);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(content->len, content->data,
                                                                                           release_content, content);
    answer_and_release(request, status, add_own_headers(add_headers(response, request, content_type), request));
}

void rw_http_reply_json(struct rw_http_request *request, int status, cJSON *json)
{
    size_t len = 0;
    char *text = rw_json_print(json, &len);
    cJSON_Delete(json);
    answer_and_release(request, status, new_response(request, json_type, text, len));
}

void rw_http_reply_error(struct rw_http_request *request, const struct rw_error *err, const struct rw_field_errors *fields)
{
    answer_and_release(request, rw_err_http_status(err->code), http_problem_new(request, err, fields));
}
