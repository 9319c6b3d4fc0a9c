/* Clients that post one body again and again, each on a connection it keeps, through libcurl's multi interface on an epoll. */
#include "load.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <rw/auto.h>
#include <rw/clock.h>

enum { ANSWER_BYTES_MAX = 65536, TIMEOUT_S = 120 };

struct client {
    CURL *easy;
    int64_t start_us;
    int64_t start_monotonic_us;
    size_t answer_len;
    char message[CURL_ERROR_SIZE];
    char answer[ANSWER_BYTES_MAX + 1];
};

struct load {
    const struct load_options *options;
    struct load_samples *samples;
    uv_loop_t loop;
    uv_timer_t timer;
    CURLM *multi;
    struct client *clients;
    uint64_t n_begun;
    unsigned n_running;
    int64_t began_us;
};

static size_t take_answer(char *data, size_t size, size_t count, void *arg)
{
    struct client *client = arg;
    size_t len = size * count;
    size_t room = ANSWER_BYTES_MAX - client->answer_len;
    memcpy(client->answer + client->answer_len, data, len < room ? len : room);
    client->answer_len += len < room ? len : room;
    return len;
}

static void begin(struct load *load, struct client *client)
{
    client->answer_len = 0;
    client->message[0] = '\0';
    client->start_us = rw_realtime_us();
    client->start_monotonic_us = rw_monotonic_us();
    load->n_begun++;
    load->n_running++;
    (void)curl_multi_add_handle(load->multi, client->easy);
}

static void end(struct load *load, struct client *client, CURLcode code)
{
    int64_t took_us = rw_monotonic_us() - client->start_monotonic_us;
    long status = 0;
    (void)curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_multi_remove_handle(load->multi, client->easy);
    load->n_running--;
    client->answer[client->answer_len] = '\0';
    bool is_right = code == CURLE_OK && status >= 200 && status < 300 &&
                    (!load->options->match || strstr(client->answer, load->options->match));
    if (is_right) {
        load_add(load->samples, client->start_us, took_us);
    } else {
        char text[256];
        (void)snprintf(text, sizeof(text), "%ld %.60s %.160s", status, client->message, client->answer);
        load_wrong(load->samples, text);
    }
    if (load_goes_on(load->options, load->n_begun, load->began_us)) {
        begin(load, client);
    }
}

static void take_ended(struct load *load)
{
    int n_left = 0;
    const CURLMsg *message = NULL;
    while ((message = curl_multi_info_read(load->multi, &n_left))) {
        struct client *client = NULL;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&client);
        end(load, client, code);
    }
    if (load->n_running == 0) {
        uv_stop(&load->loop);
    }
}

static void on_timeout(uv_timer_t *timer)
{
    struct load *load = timer->data;
    int n_running = 0;
    (void)curl_multi_socket_action(load->multi, CURL_SOCKET_TIMEOUT, 0, &n_running);
    take_ended(load);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct load *load = arg;
    (void)multi;
    if (timeout_ms < 0) {
        return uv_timer_stop(&load->timer);
    }
    uv_update_time(&load->loop);
    return uv_timer_start(&load->timer, on_timeout, (uint64_t)timeout_ms, 0);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct load *load = uv_loop_get_data(poll->loop);
    uv_os_fd_t fd = -1;
    int n_running = 0;
    (void)uv_fileno((const uv_handle_t *)poll, &fd);
    int flags = (status < 0 ? CURL_CSELECT_ERR : 0) | (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
                (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
    (void)curl_multi_socket_action(load->multi, fd, flags, &n_running);
    take_ended(load);
}

static void free_poll(uv_handle_t *handle)
{
    free(handle);
}

static int set_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct load *load = arg;
    uv_poll_t *poll = socket_arg;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (poll) {
            uv_close((uv_handle_t *)poll, free_poll);
        }
        return 0;
    }
    if (!poll) {
        poll = rw_xcalloc(1, sizeof(*poll));
        (void)uv_poll_init_socket(&load->loop, poll, fd);
        (void)curl_multi_assign(load->multi, fd, poll);
    }
    return uv_poll_start(poll, (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0), on_socket);
}

static CURL *new_easy(struct client *client, const struct load_options *options, struct curl_slist *headers)
{
    CURL *easy = curl_easy_init();
    (void)curl_easy_setopt(easy, CURLOPT_URL, options->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body_len);
    (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, options->body);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->message);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, client);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, client);
    return easy;
}

static void open_load(struct load *load)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)uv_loop_init(&load->loop);
    uv_loop_set_data(&load->loop, load);
    (void)uv_timer_init(&load->loop, &load->timer);
    load->timer.data = load;
    load->multi = curl_multi_init();
    (void)curl_multi_setopt(load->multi, CURLMOPT_MAXCONNECTS, (long)load->options->clients);
    (void)curl_multi_setopt(load->multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)curl_multi_setopt(load->multi, CURLMOPT_SOCKETDATA, load);
    (void)curl_multi_setopt(load->multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl_multi_setopt(load->multi, CURLMOPT_TIMERDATA, load);
}

void load_http(const struct load_options *options, struct load_samples *samples)
{
    struct load load = {.options = options, .samples = samples, .began_us = rw_monotonic_us()};
    struct curl_slist *headers = curl_slist_append(curl_slist_append(NULL, "Content-Type: application/json"), "Expect:");
    open_load(&load);
    load.clients = rw_xcalloc(options->clients, sizeof(*load.clients));
    for (unsigned i = 0; i < options->clients; i++) {
        load.clients[i].easy = new_easy(&load.clients[i], options, headers);
    }
    for (unsigned i = 0; i < options->clients && load_goes_on(options, load.n_begun, load.began_us); i++) {
        begin(&load, &load.clients[i]);
    }
    (void)uv_run(&load.loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < options->clients; i++) {
        curl_easy_cleanup(load.clients[i].easy);
    }
    (void)curl_multi_cleanup(load.multi);
    uv_close((uv_handle_t *)&load.timer, NULL);
    (void)uv_run(&load.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&load.loop);
    curl_slist_free_all(headers);
    free(load.clients);
}
