/* Short-lived runs of the runner program, with a deadline, and what they write to standard output and error. The call back comes
 * from the loop. */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include <rw/auto.h>
#include <rw/log.h>

#include "local.h"

enum { TEXT_BYTES = 1024, ARGUMENTS_MAX = 6, N_STREAMS = 2, PROBE_TIMEOUT_MS = 10000, SWEEP_TIMEOUT_MS = 10000 };

struct helper_stream {
    struct local_helper *helper;
    uv_pipe_t pipe;
    bool has_all; /* end of file */
    char text[TEXT_BYTES];
    size_t text_len;
};

struct local_helper {
    struct local_helper *prev, *next;
    struct local *local;
    uv_process_t process;
    struct helper_stream streams[N_STREAMS]; /* standard output, standard error */
    uv_timer_t deadline;
    unsigned n_handles;
    bool has_exited;
    int exit_status;
    char cgroup[LOCAL_CGROUP_BYTES]; /* of a sweep */
    local_helped done;               /* NULL: nobody wants to know any more */
    void *arg;
};

static void closed_one(struct local_helper *helper)
{
    if (--helper->n_handles == 0) {
        struct local *local = helper->local;
        free(helper);
        local_closed_one(local);
    }
}

static void on_closed(uv_handle_t *handle)
{
    closed_one(handle->data);
}

static void on_stream_closed(uv_handle_t *handle)
{
    const struct helper_stream *stream = handle->data;
    closed_one(stream->helper);
}

static void finish(struct local_helper *helper)
{
    struct helper_stream *streams = helper->streams;
    if (!helper->has_exited || !streams[0].has_all || !streams[1].has_all) {
        return;
    }
    DL_DELETE(helper->local->helpers, helper);
    uv_close((uv_handle_t *)&helper->process, on_closed);
    uv_close((uv_handle_t *)&helper->deadline, on_closed);
    for (int i = 0; i < N_STREAMS; i++) {
        uv_close((uv_handle_t *)&streams[i].pipe, on_stream_closed);
        streams[i].text[strcspn(streams[i].text, "\r\n")] = '\0';
    }
    const struct local_said said = {.exit_status = helper->exit_status, .output = streams[0].text, .errors = streams[1].text};
    if (helper->cgroup[0] && helper->exit_status != 0 && !helper->local->is_closing) {
        rw_log(RW_LOG_WARNING, "a control group could not be swept", RW_LOG_STR("cgroup", helper->cgroup),
               RW_LOG_STR("detail", said.errors));
    }
    if (helper->done) {
        helper->done(helper->arg, &said);
    }
}

static void on_exit_of_helper(uv_process_t *process, int64_t exit_status, int signal)
{
    struct local_helper *helper = process->data;
    helper->has_exited = true;
    helper->exit_status = signal ? -1 : (int)exit_status;
    finish(helper);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct helper_stream *stream = handle->data;
    /* Past the end of the text the last bytes are overwritten: they are read only to let the writer go on. */
    size_t at = stream->text_len < TEXT_BYTES - 2 ? stream->text_len : TEXT_BYTES - 2;
    *buf = uv_buf_init(stream->text + at, (unsigned)(TEXT_BYTES - 1 - at));
}

static void end_stream(struct helper_stream *stream)
{
    (void)uv_read_stop((uv_stream_t *)&stream->pipe);
    stream->text[stream->text_len] = '\0';
    stream->has_all = true;
}

static void on_text(uv_stream_t *pipe, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct helper_stream *stream = pipe->data;
    if (n > 0) {
        size_t len = stream->text_len + (size_t)n;
        stream->text_len = len < TEXT_BYTES - 1 ? len : TEXT_BYTES - 1;
    } else if (n < 0) {
        end_stream(stream);
        finish(stream->helper);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct local_helper *helper = timer->data;
    if (!helper->has_exited) {
        (void)uv_process_kill(&helper->process, SIGKILL);
        for (int i = 0; i < N_STREAMS; i++) {
            end_stream(&helper->streams[i]); /* whoever else holds the other end must not keep us */
        }
    }
    finish(helper);
}

static int start(struct local_helper *helper, const char *const *arguments)
{
    char *argv[ARGUMENTS_MAX + 2] = {helper->local->config->runner};
    for (size_t i = 0; i < ARGUMENTS_MAX && arguments[i]; i++) {
        argv[i + 1] = rw_xstrdup(arguments[i]);
    }
    char path[] = "PATH=/usr/bin:/bin";
    char *env[] = {path, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&helper->streams[0].pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&helper->streams[1].pipe},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_of_helper,
        .file = argv[0],
        .args = argv,
        .env = env,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = (int)RW_ARRAY_SIZE(stdio),
        .stdio = stdio,
    };
    int failed = uv_spawn(helper->local->loop, &helper->process, &options);
    for (size_t i = 1; argv[i]; i++) {
        free(argv[i]);
    }
    return failed;
}

static struct local_helper *run(struct local *local, const char *const *arguments, uint32_t timeout_ms, local_helped done,
                                void *arg)
{
    struct local_helper *helper = rw_xcalloc(1, sizeof(*helper));
    *helper = (struct local_helper){.local = local, .done = done, .arg = arg, .n_handles = 2 + N_STREAMS, .exit_status = -1};
    helper->process.data = helper;
    helper->deadline.data = helper;
    for (int i = 0; i < N_STREAMS; i++) {
        helper->streams[i].helper = helper;
        helper->streams[i].pipe.data = &helper->streams[i];
        (void)uv_pipe_init(local->loop, &helper->streams[i].pipe, 0);
    }
    (void)uv_timer_init(local->loop, &helper->deadline);
    int failed = start(helper, arguments);
    for (int i = 0; i < N_STREAMS; i++) {
        struct helper_stream *stream = &helper->streams[i];
        stream->has_all = failed || uv_read_start((uv_stream_t *)&stream->pipe, give_room, on_text);
    }
    if (failed) {
        (void)snprintf(helper->streams[1].text, TEXT_BYTES, "cannot run %s: %s", local->config->runner, uv_strerror(failed));
        helper->has_exited = true;
        timeout_ms = 0; /* told by the timer: never from inside this call */
    }
    (void)uv_timer_start(&helper->deadline, on_deadline, timeout_ms, 0);
    local->n_open++;
    DL_APPEND(local->helpers, helper);
    return helper;
}

void local_helper_probe(struct local *local, local_helped done, void *arg)
{
    const char *required = local->required;
    const char *const arguments[] = {"--probe", "--sandbox", local->config->sandbox, required[0] ? "--require" : NULL,
                                     required,  NULL};
    (void)run(local, arguments, PROBE_TIMEOUT_MS, done, arg);
}

void local_helper_sweep(struct local *local, const char *cgroup, local_helped done, void *arg)
{
    const char *const arguments[] = {"--sweep-cgroup", cgroup, NULL};
    struct local_helper *helper = run(local, arguments, SWEEP_TIMEOUT_MS, done, arg);
    (void)snprintf(helper->cgroup, sizeof(helper->cgroup), "%s", cgroup);
}

void local_helper_close(struct local *local)
{
    struct local_helper *helper = NULL;
    DL_FOREACH(local->helpers, helper)
    {
        if (!helper->cgroup[0] && !helper->has_exited) {
            (void)uv_process_kill(&helper->process, SIGKILL);
        }
    }
}
