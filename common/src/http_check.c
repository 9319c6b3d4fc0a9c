/* What is checked of a request before its body is read: target, headers, framing, route, token.
 *
 * libmicrohttpd 0.9.75 accepts what RFC 9112 calls request smuggling (both framing headers, doubled Content-Length, a blank before
 * the colon), and cuts decoded paths at a NUL, so all of that is checked here on what was sent; such a connection is closed with
 * its answer. */
#include "http_internal.h"

#include <string.h>
#include <strings.h>

#include "hex.h"

/* ---- the request line ---- */

/* The target as sent, before anything is decoded: origin form, visible ASCII, and no encoded control character anywhere nor an
 * encoded slash in the path (decoded as C strings, a NUL would cut them). */
static int check_target(const char *target, struct rw_error *err)
{
    bool is_path = true;

    if (target[0] != '/') {
        return rw_fail(err, INVALID, "the request target must begin with '/'");
    }
    for (const char *at = target; *at; at++) {
        if (*at < 0x21 || *at > 0x7e || *at == '#') {
            return rw_fail(err, INVALID, "the request target holds a character that must be percent-encoded");
        }
        is_path = is_path && *at != '?';
        if (*at != '%') {
            continue;
        }
        int high = rw_hex_value(at[1]);
        int low = high < 0 ? -1 : rw_hex_value(at[2]);
        if (low < 0) {
            return rw_fail(err, INVALID, "the request target holds a malformed percent-encoding");
        }
        int decoded = high * 16 + low;
        if (decoded < 0x20 || decoded == 0x7f || (is_path && decoded == '/')) {
            return rw_fail(err, INVALID, "the request target holds an encoded control character or slash");
        }
        at += 2;
    }
    return 0;
}

/* ---- headers and query ---- */

struct copying {
    struct rw_http_request *request;
    size_t n;
    size_t bytes;
    char *at; /* NULL in the first pass, which only counts */
    bool is_bad_name;
    bool is_too_many;
};

static enum MHD_Result copy_value(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    struct copying *copying = cls;
    bool is_header = kind == MHD_HEADER_KIND;
    size_t name_bytes = strlen(name) + 1;
    size_t value_bytes = (value ? strlen(value) : 0) + 1;

    if (!copying->at) {
        copying->is_bad_name = copying->is_bad_name || (is_header && (name_bytes == 1 || strspn(name, token) + 1 != name_bytes));
        copying->bytes += name_bytes + value_bytes;
        copying->is_too_many = ++copying->n > HTTP_VALUES_MAX;
        return copying->is_too_many ? MHD_NO : MHD_YES;
    }
    struct http_value *copied = &copying->request->values[copying->request->n_values++];
    copied->is_header = is_header;
    copied->name = memcpy(copying->at, name, name_bytes);
    copied->value = memcpy(copying->at + name_bytes, value ? value : "", value_bytes);
    copying->at += name_bytes + value_bytes;
    return MHD_YES;
}

/* Copy them, because the owner may look at them after the server has given the request up. The memory is bounded by libmicrohttpd's
 * own for one connection. */
static int copy_values(struct rw_http_request *request, struct rw_error *err)
{
    struct copying copying = {.request = request};

    (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, copy_value, &copying);
    (void)MHD_get_connection_values(request->mhd, MHD_GET_ARGUMENT_KIND, copy_value, &copying);
    if (copying.is_too_many) {
        return rw_fail(err, INVALID, "more than %d header lines and query arguments", HTTP_VALUES_MAX);
    }
    if (copying.is_bad_name) {
        return rw_fail(err, INVALID, "a header line's name is not a token");
    }
    size_t table_bytes = copying.n * sizeof(struct http_value);
    request->values = rw_xmalloc(table_bytes + copying.bytes + 1);
    copying.at = (char *)request->values + table_bytes;
    (void)MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, copy_value, &copying);
    (void)MHD_get_connection_values(request->mhd, MHD_GET_ARGUMENT_KIND, copy_value, &copying);
    return 0;
}

static size_t count_headers(const struct rw_http_request *request, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->n_values; i++) {
        count += request->values[i].is_header && strcasecmp(request->values[i].name, name) == 0;
    }
    return count;
}

/* How long the body says it is: 0 for none, UINT64_MAX for chunked. */
static int check_framing(struct rw_http_request *request, uint64_t *ret_len, struct rw_error *err)
{
    const char *length = rw_http_header(request, "Content-Length");
    const char *encoding = rw_http_header(request, "Transfer-Encoding");

    if (count_headers(request, "Content-Length") + count_headers(request, "Transfer-Encoding") > 1) {
        return rw_fail(err, INVALID, "the body's length is given more than once");
    }
    if (encoding && strcasecmp(encoding, "chunked") != 0) {
        return rw_fail(err, INVALID, "the only transfer encoding accepted is chunked");
    }
    if (length && (length[0] == '\0' || strlen(length) > 18 || strspn(length, "0123456789") != strlen(length))) {
        return rw_fail(err, INVALID, "Content-Length is not a number");
    }
    if (count_headers(request, "Host") > 1) {
        return rw_fail(err, INVALID, "several Host headers");
    }
    *ret_len = encoding ? UINT64_MAX : length ? strtoull(length, NULL, 10) : 0;
    return 0;
}

/* ---- routing ---- */

/* Whether path (no query) matches the pattern; params are filled in. */
static bool match_path(const char *pattern, const char *path, struct rw_http_request *request)
{
    size_t n_params = 0;
    while (*pattern && *path) {
        size_t pattern_len = strcspn(pattern + 1, "/") + 1;
        size_t path_len = strcspn(path + 1, "/") + 1;
        if (pattern[0] != '/' || path[0] != '/') {
            return false;
        }
        if (pattern[1] == ':') {
            if (path_len == 1 || n_params == HTTP_PARAMS_MAX) {
                return false;
            }
            free(request->params[n_params].value);
            request->params[n_params] = (struct http_param){
                .name = pattern + 2, .name_len = pattern_len - 2, .value = rw_xstrndup(path + 1, path_len - 1)};
            (void)MHD_http_unescape(request->params[n_params++].value);
        } else if (pattern_len != path_len || memcmp(pattern, path, path_len) != 0) {
            return false;
        }
        pattern += pattern_len;
        path += path_len;
    }
    request->n_params = n_params;
    return !*pattern && !*path;
}

static void set_allow(struct rw_http_request *request, const bool *allowed)
{
    const struct rw_http_server_options *options = &request->server->options;
    char allow[64] = "";
    size_t len = 0;
    for (size_t i = 0; i < options->n_routes && len < sizeof(allow); i++) {
        if (allowed[i]) {
            const char *method = options->routes[i].method;
            const char *head = strcmp(method, "GET") == 0 ? ", HEAD" : "";
            len += (size_t)snprintf(allow + len, sizeof(allow) - len, "%s%s%s", len ? ", " : "", method, head);
        }
    }
    rw_http_set_header(request, "Allow", allow);
}

static int find_route(struct rw_http_request *request, const char *method, struct rw_error *err)
{
    const struct rw_http_server_options *options = &request->server->options;
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    RW_AUTO_FREE bool *allowed = rw_xcalloc(options->n_routes + 1, sizeof(*allowed));
    bool is_path_known = false;

    for (size_t i = 0; i < options->n_routes; i++) {
        allowed[i] = match_path(options->routes[i].path, request->target, request);
        is_path_known = is_path_known || allowed[i];
        if (allowed[i] && strcmp(options->routes[i].method, wanted) == 0) {
            request->route = i;
            return 0;
        }
    }
    if (!is_path_known) {
        return rw_fail(err, NOT_FOUND, "there is nothing at this path");
    }
    set_allow(request, allowed);
    return rw_fail(err, METHOD, "this path does not know the method");
}

/* ---- authentication ---- */

static bool is_open_route(const char *path)
{
    return strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0 || strcmp(path, "/metrics") == 0;
}

/* Hashes are compared, so that neither contents nor length of the token show in the time it takes. */
static int check_token(struct rw_http_request *request, struct rw_error *err)
{
    static const char scheme[] = "Bearer ";
    const struct rw_http_server *server = request->server;
    const char *given = rw_http_header(request, "Authorization");
    uint8_t hash[crypto_generichash_BYTES];

    if (!server->wants_token || is_open_route(server->options.routes[request->route].path)) {
        return 0;
    }
    bool has_scheme = given && strncasecmp(given, scheme, sizeof(scheme) - 1) == 0;
    const char *token = has_scheme ? given + sizeof(scheme) - 1 : "";
    (void)crypto_generichash(hash, sizeof(hash), (const uint8_t *)token, strlen(token), NULL, 0);
    if (!has_scheme || sodium_memcmp(hash, server->token_hash, sizeof(hash)) != 0) {
        rw_http_set_header(request, "WWW-Authenticate", "Bearer");
        return rw_fail(err, UNAUTHORIZED, "a valid bearer token is needed");
    }
    return 0;
}

/* ---- all of it ---- */

static void begin_trace(struct rw_http_request *request)
{
    struct rw_trace parent = {0};
    const char *text = rw_http_header(request, "traceparent");
    if (text && rw_trace_parse(text, &parent, NULL) == 0) {
        rw_trace_child(&parent, &request->trace);
    } else {
        rw_trace_new(&request->trace);
    }
}

int http_check_head(struct rw_http_request *request, const char *method, uint64_t *ret_len, struct rw_error *err)
{
    int failed = copy_values(request, err);
    begin_trace(request);
    if (failed || check_framing(request, ret_len, err) || check_target(request->target, err)) {
        request->must_close = true;
        return -1;
    }
    request->target[strcspn(request->target, "?")] = '\0';
    if (find_route(request, method, err) || check_token(request, err)) {
        return -1;
    }
    size_t bound = request->server->options.routes[request->route].body_bytes_max;
    request->body.len_max = bound;
    if (*ret_len != UINT64_MAX && *ret_len > bound) {
        request->must_close = true;
        return rw_fail(err, TOO_LARGE, "the body may have at most %zu bytes", bound);
    }
    return 0;
}
