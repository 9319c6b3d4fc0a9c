/* Short-lived runs of the runner program, with a deadline, and what they write to standard error. The call back comes from the loop. */
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/log.h>

#include "local.h"

enum { TEXT_BYTES = 512, ARGUMENTS_MAX = 4, PROBE_TIMEOUT_MS = 10000, SWEEP_TIMEOUT_MS = 10000 };

struct local_helper {
    struct local_helper *prev, *next;
    struct local *local;
    uv_process_t process;
    uv_pipe_t errors;
    unsigned n_handles;
    bool has_exited;
    bool has_all; /* end of file on errors */
    int exit_status;
    int64_t kill_at_ms;
    char cgroup[LOCAL_CGROUP_BYTES]; /* of a sweep */
    char text[TEXT_BYTES];
    size_t text_len;
    local_helped done; /* NULL: nobody wants to know any more */
    void *arg;
};

static void on_closed(uv_handle_t *handle)
{
    struct local_helper *helper = handle->data;
    if (--helper->n_handles == 0) {
        struct local *local = helper->local;
        free(helper);
        local_closed_one(local);
    }
}

static void finish(struct local_helper *helper)
{
    if (!helper->has_exited || !helper->has_all) {
        return;
    }
    DL_DELETE(helper->local->helpers, helper);
    uv_close((uv_handle_t *)&helper->process, on_closed);
    uv_close((uv_handle_t *)&helper->errors, on_closed);
    helper->text[strcspn(helper->text, "\r\n")] = '\0';
    if (helper->cgroup[0] && helper->exit_status != 0 && !helper->local->is_closing) {
        rw_log(RW_LOG_WARNING, "a control group could not be swept", RW_LOG_STR("cgroup", helper->cgroup),
               RW_LOG_STR("detail", helper->text));
    }
    if (helper->done) {
        helper->done(helper->arg, helper->exit_status, helper->text);
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
    struct local_helper *helper = handle->data;
    /* Past the end of the text the last bytes are overwritten: they are read only to let the writer go on. */
    size_t at = helper->text_len < TEXT_BYTES - 2 ? helper->text_len : TEXT_BYTES - 2;
    *buf = uv_buf_init(helper->text + at, (unsigned)(TEXT_BYTES - 1 - at));
}

static void on_text(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    struct local_helper *helper = stream->data;
    if (n > 0) {
        size_t len = helper->text_len + (size_t)n;
        helper->text_len = len < TEXT_BYTES - 1 ? len : TEXT_BYTES - 1;
    } else if (n < 0) {
        (void)uv_read_stop(stream);
        helper->text[helper->text_len] = '\0';
        helper->has_all = true;
        finish(helper);
    }
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
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&helper->errors},
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
    *helper = (struct local_helper){
        .local = local, .done = done, .arg = arg, .kill_at_ms = rw_monotonic_ms() + timeout_ms, .n_handles = 2, .exit_status = -1};
    helper->process.data = helper;
    helper->errors.data = helper;
    (void)uv_pipe_init(local->loop, &helper->errors, 0);
    int failed = start(helper, arguments);
    if (!failed) {
        failed = uv_read_start((uv_stream_t *)&helper->errors, give_room, on_text);
        helper->has_all = failed != 0;
    } else {
        (void)snprintf(helper->text, sizeof(helper->text), "cannot run %s: %s", local->config->runner, uv_strerror(failed));
        helper->has_all = true;
        helper->has_exited = true; /* finished by the next tick: never from inside this call */
    }
    local->n_open++;
    DL_APPEND(local->helpers, helper);
    return helper;
}

void local_helper_probe(struct local *local, local_helped done, void *arg)
{
    const char *const arguments[] = {"--probe", NULL};
    (void)run(local, arguments, PROBE_TIMEOUT_MS, done, arg);
}

void local_helper_sweep(struct local *local, const char *cgroup, local_helped done, void *arg)
{
    const char *const arguments[] = {"--sweep-cgroup", cgroup, NULL};
    struct local_helper *helper = run(local, arguments, SWEEP_TIMEOUT_MS, done, arg);
    (void)snprintf(helper->cgroup, sizeof(helper->cgroup), "%s", cgroup);
}

void local_helper_tick(struct local *local, int64_t now_ms)
{
    struct local_helper *helper = NULL;
    struct local_helper *next = NULL;
    DL_FOREACH_SAFE(local->helpers, helper, next)
    {
        if (!helper->has_exited && now_ms >= helper->kill_at_ms) {
            (void)uv_process_kill(&helper->process, SIGKILL);
            (void)uv_read_stop((uv_stream_t *)&helper->errors); /* whoever else holds the other end must not keep us */
            helper->has_all = true;
        }
        finish(helper);
    }
}

void local_helper_close_all(struct local *local)
{
    struct local_helper *helper = NULL;
    struct local_helper *next = NULL;
    DL_FOREACH_SAFE(local->helpers, helper, next)
    {
        if (!helper->has_exited) {
            (void)uv_process_kill(&helper->process, SIGKILL);
        }
        helper->done = NULL; /* whoever waits is being closed as well */
        helper->has_all = true;
        helper->has_exited = true;
        finish(helper);
    }
}
