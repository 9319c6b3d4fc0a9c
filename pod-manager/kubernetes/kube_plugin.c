/* One run of an exec plugin: its standard output is read whole, up to a bound and a deadline; both its exit and the end of its output
 * are waited for. Memory goes when the loop has closed the three handles. */
#include "kube_plugin.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rw/json.h>

#include "kube_stream.h"

enum { ANSWER_BYTES_MAX = 512 * 1024, DEADLINE_MS = 30000, CHUNK_BYTES = 16 * 1024, HANDLES = 3 };

struct kube_plugin {
    uv_process_t process;
    uv_pipe_t output;
    uv_timer_t deadline;
    struct rw_buffer text;
    kube_plugin_answered done; /* NULL once told or cancelled */
    void *arg;
    bool has_exited;
    bool has_ended;
    int64_t exit_status;
    int n_open; /* handles not closed yet */
    char chunk[CHUNK_BYTES];
};

void kube_plugin_answer_done(struct kube_plugin_answer *answer)
{
    free(answer->token);
    free(answer->cert_pem);
    free(answer->key_pem);
    *answer = (struct kube_plugin_answer){.expires_us = -1};
}

/* "2026-01-31T12:00:00Z"; -1 when it is anything else. */
static int64_t parse_expiry(const char *text)
{
    struct tm tm = {.tm_sec = 0};
    const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
    return end ? (int64_t)timegm(&tm) * 1000000 : -1;
}

static char *copy(const char *text)
{
    return text ? rw_xstrdup(text) : NULL;
}

int kube_plugin_parse(struct rw_bytes text, struct kube_plugin_answer *ret_answer, struct rw_error *err)
{
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    if (kube_json_parse(text, &json, err) < 0) {
        err->code = RW_ERR_PROTOCOL;
        return rw_error_wrap(err, "credential plugin");
    }
    const char *kind = rw_json_string(json, "kind", NULL);
    const char *token = rw_json_string(json, "status", "token", NULL);
    const char *cert = rw_json_string(json, "status", "clientCertificateData", NULL);
    const char *key = rw_json_string(json, "status", "clientKeyData", NULL);
    if (!kind || strcmp(kind, "ExecCredential") != 0 || (!token && !(cert && key))) {
        return rw_fail(err, PROTOCOL, "credential plugin: no ExecCredential with a token or a certificate");
    }
    *ret_answer = (struct kube_plugin_answer){
        .token = copy(token),
        .cert_pem = copy(cert),
        .key_pem = copy(key),
        .expires_us = parse_expiry(rw_json_string(json, "status", "expirationTimestamp", NULL)),
    };
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct kube_plugin *plugin = handle->data;
    if (--plugin->n_open == 0) {
        rw_buffer_done(&plugin->text);
        free(plugin);
    }
}

/* The process's handle stays until the process has been reaped: libuv reaps nobody whose handle is closed. */
static void close_handles(struct kube_plugin *plugin)
{
    uv_handle_t *handles[HANDLES] = {(uv_handle_t *)&plugin->output, (uv_handle_t *)&plugin->deadline,
                                     (uv_handle_t *)&plugin->process};
    int n_closable = plugin->has_exited ? HANDLES : HANDLES - 1;
    for (int i = 0; i < n_closable; i++) {
        if (!uv_is_closing(handles[i])) {
            uv_close(handles[i], on_closed);
        }
    }
}

static void finish(struct kube_plugin *plugin, const struct rw_error *fault)
{
    kube_plugin_answered done = plugin->done;
    plugin->done = NULL;
    if (!plugin->has_exited) {
        (void)uv_process_kill(&plugin->process, SIGKILL);
    }
    close_handles(plugin);
    if (!done) {
        return;
    }
    struct rw_error err;
    struct kube_plugin_answer answer = {.expires_us = -1};
    if (!fault && kube_plugin_parse(rw_buffer_view(&plugin->text), &answer, &err) < 0) {
        fault = &err;
    }
    done(plugin->arg, fault ? NULL : &answer, fault);
}

static void finish_when_over(struct kube_plugin *plugin)
{
    if (!plugin->done) { /* told before: killed at its deadline, or cancelled */
        close_handles(plugin);
        return;
    }
    if (!plugin->has_exited || !plugin->has_ended) {
        return;
    }
    struct rw_error err;
    if (plugin->exit_status != 0) {
        (void)rw_fail(&err, UNAVAILABLE, "credential plugin exited with %lld", (long long)plugin->exit_status);
    }
    finish(plugin, plugin->exit_status != 0 ? &err : NULL);
}

static void process_exited(uv_process_t *process, int64_t exit_status, int term_signal)
{
    struct kube_plugin *plugin = process->data;
    plugin->has_exited = true;
    plugin->exit_status = term_signal ? 128 + term_signal : exit_status;
    finish_when_over(plugin);
}

static void on_deadline(uv_timer_t *timer)
{
    struct rw_error err;
    (void)rw_fail(&err, TIMEOUT, "credential plugin gave no answer in %d s", DEADLINE_MS / 1000);
    finish(timer->data, &err);
}

static void give_chunk(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    (void)wanted;
    struct kube_plugin *plugin = handle->data;
    *buf = uv_buf_init(plugin->chunk, CHUNK_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct kube_plugin *plugin = stream->data;
    struct rw_error err;
    if (got > 0 && rw_buffer_append(&plugin->text, buf->base, (size_t)got, &err) < 0) {
        finish(plugin, &err);
    } else if (got < 0) {
        (void)uv_read_stop(stream);
        plugin->has_ended = true;
        finish_when_over(plugin);
    }
}

/* The environment of this program and the plugin's own on top. NULL-terminated, owned by the caller. */
static char **make_environment(const struct kubeconfig_exec *program)
{
    size_t n_ours = 0;
    while (environ[n_ours]) {
        n_ours++;
    }
    char **env = rw_xcalloc(n_ours + program->n_env + 1, sizeof(*env));
    size_t n = 0;
    for (unsigned i = 0; i < program->n_env; i++) {
        if (program->env[i].name && program->env[i].value) {
            env[n++] = rw_xasprintf("%s=%s", program->env[i].name, program->env[i].value);
        }
    }
    for (size_t i = 0; i < n_ours; i++) {
        if (strncmp(environ[i], "RUNWAVE_", strlen("RUNWAVE_")) != 0) { /* our secrets are not for other programs */
            env[n++] = rw_xstrdup(environ[i]);
        }
    }
    return env;
}

static void free_environment(char **env)
{
    for (char **at = env; *at; at++) {
        free(*at);
    }
    free(env);
}

static int spawn(struct kube_plugin *plugin, uv_loop_t *loop, const struct kubeconfig_exec *program)
{
    char **argv = rw_xcalloc(program->n_args + 2, sizeof(*argv));
    argv[0] = program->command;
    for (unsigned i = 0; i < program->n_args; i++) {
        argv[i + 1] = program->args[i];
    }
    char **env = make_environment(program);
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&plugin->output},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    const uv_process_options_t options = {
        .exit_cb = process_exited,
        .file = program->command,
        .args = argv,
        .env = env,
        .stdio = stdio,
        .stdio_count = (int)RW_ARRAY_SIZE(stdio),
    };
    int outcome = uv_spawn(loop, &plugin->process, &options);
    free_environment(env);
    free(argv);
    return outcome;
}

int kube_plugin_run(uv_loop_t *loop, const struct kubeconfig_exec *program, kube_plugin_answered done, void *arg,
                    struct kube_plugin **ret_plugin, struct rw_error *err)
{
    if (!program->command) {
        return rw_fail(err, CONFIG, "kubeconfig: exec without a command");
    }
    struct kube_plugin *plugin = rw_xcalloc(1, sizeof(*plugin));
    rw_buffer_init(&plugin->text, ANSWER_BYTES_MAX);
    plugin->n_open = HANDLES;
    (void)uv_pipe_init(loop, &plugin->output, 0);
    (void)uv_timer_init(loop, &plugin->deadline);
    plugin->process.data = plugin->output.data = plugin->deadline.data = plugin;
    int outcome = spawn(plugin, loop, program);
    if (outcome != 0) {
        plugin->has_exited = true;
        finish(plugin, NULL);
        return rw_fail(err, UNAVAILABLE, "credential plugin %s: %s", program->command, uv_strerror(outcome));
    }
    plugin->done = done;
    plugin->arg = arg;
    (void)uv_timer_start(&plugin->deadline, on_deadline, DEADLINE_MS, 0);
    (void)uv_read_start((uv_stream_t *)&plugin->output, give_chunk, on_read);
    *ret_plugin = plugin;
    return 0;
}

void kube_plugin_cancel(struct kube_plugin *plugin)
{
    if (plugin && plugin->done) {
        plugin->done = NULL;
        finish(plugin, NULL);
    }
}
