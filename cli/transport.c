/* HTTP by libcurl's easy interface. One handle, used again for every call; nothing is followed, nothing but HTTP(S) is spoken. */
#include "transport.h"

#include <curl/curl.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 10000 };
#define UNIX_PREFIX "unix:"

struct transport {
    CURL *curl;
    struct curl_slist *headers;
    char *base_url;
    char *unix_path; /* NULL: TCP */
};

struct sink {
    struct rw_buffer *body;
    bool is_too_large;
};

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct sink *sink = arg;
    if (rw_buffer_append(sink->body, data, size * count, NULL) < 0) {
        sink->is_too_large = true;
        return 0;
    }
    return size * count;
}

static void add_header(struct transport *transport, const char *header)
{
    struct curl_slist *headers = curl_slist_append(transport->headers, header);
    if (!headers) {
        abort(); /* out of memory, as in rw_xmalloc */
    }
    transport->headers = headers;
}

int transport_open(const char *server, const char *token, struct transport **ret_transport, struct rw_error *err)
{
    bool is_unix = strncmp(server, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
    if (!is_unix && strncmp(server, "http://", 7) != 0 && strncmp(server, "https://", 8) != 0) {
        return rw_fail(err, INVALID, "the server must be http://HOST:PORT, https://HOST:PORT or unix:PATH, not '%s'", server);
    }
    RW_AUTO(transport_close) struct transport *transport = rw_xcalloc(1, sizeof(*transport));
    transport->base_url = rw_xstrdup(is_unix ? "http://localhost" : server);
    transport->unix_path = is_unix ? rw_xstrdup(server + strlen(UNIX_PREFIX)) : NULL;
    size_t len = strlen(transport->base_url);
    while (len > 0 && transport->base_url[len - 1] == '/') {
        transport->base_url[--len] = '\0';
    }
    transport->curl = curl_easy_init();
    if (!transport->curl) {
        return rw_fail(err, INTERNAL, "libcurl could not be started");
    }
    add_header(transport, "Content-Type: application/json");
    if (token) {
        RW_AUTO_FREE char *header = rw_xasprintf("Authorization: Bearer %s", token);
        add_header(transport, header);
    }
    *ret_transport = rw_take(transport);
    return 0;
}

void transport_close(struct transport *transport)
{
    if (!transport) {
        return;
    }
    curl_easy_cleanup(transport->curl);
    curl_slist_free_all(transport->headers);
    free(transport->base_url);
    free(transport->unix_path);
    free(transport);
}

static int fail_curl(CURLcode code, const char *detail, struct rw_error *err)
{
    static const struct {
        CURLcode curl;
        enum rw_err code;
    } meanings[] = {
        {CURLE_COULDNT_RESOLVE_HOST, RW_ERR_UNAVAILABLE},
        {CURLE_COULDNT_RESOLVE_PROXY, RW_ERR_UNAVAILABLE},
        {CURLE_COULDNT_CONNECT, RW_ERR_UNAVAILABLE},
        {CURLE_OPERATION_TIMEDOUT, RW_ERR_TIMEOUT},
        {CURLE_URL_MALFORMAT, RW_ERR_INVALID},
        {CURLE_UNSUPPORTED_PROTOCOL, RW_ERR_INVALID},
    };
    enum rw_err meaning = RW_ERR_IO;
    for (size_t i = 0; i < RW_ARRAY_SIZE(meanings); i++) {
        if (meanings[i].curl == code) {
            meaning = meanings[i].code;
        }
    }
    return rw_error_set(err, meaning, 0, __func__, "%s", detail[0] != '\0' ? detail : curl_easy_strerror(code));
}

int transport_call(struct transport *transport, const char *path, const char *body, uint32_t timeout_ms,
                   struct transport_reply *reply, struct rw_error *err)
{
    RW_AUTO_FREE char *url = rw_xasprintf("%s%s", transport->base_url, path);
    struct sink sink = {.body = &reply->body};
    char detail[CURL_ERROR_SIZE] = "";
    CURL *curl = transport->curl;
    rw_buffer_clear(&reply->body);
    curl_easy_reset(curl); /* options only: the connection stays */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, transport->unix_path);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "runwave/" RUNWAVE_VERSION);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, transport->headers);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    CURLcode code = curl_easy_perform(curl);
    if (sink.is_too_large) {
        return rw_fail(err, TOO_LARGE, "the answer has more than %zu bytes", reply->body.len_max);
    }
    if (code != CURLE_OK) {
        return fail_curl(code, detail, err);
    }
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    reply->status = (int)status;
    return 0;
}
