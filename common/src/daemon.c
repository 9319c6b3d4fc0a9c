/* The life of a daemon's process: arguments, configuration, loop, signals, drain, end.
 *
 * The loop's data pointer belongs to this file while the daemon runs. Everything happens on the loop's thread; the second signal
 * ends the process at once, so it needs nothing but the handler. */
#include <rw/daemon.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <rw/auto.h>
#include <rw/log.h>

enum { CLOSE_DEADLINE_MS = 10000, EXIT_USAGE = 64, EXIT_SOFTWARE = 70 };

enum mode { MODE_RUN, MODE_CHECK, MODE_PRINT, MODE_HELP, MODE_VERSION, MODE_WRONG };

struct arguments {
    enum mode mode;
    const char *config_path;
};

struct run {
    const struct rw_daemon *daemon;
    void *self; /* what the daemon's start returned */
    uv_loop_t loop;
    uv_signal_t sigterm;
    uv_signal_t sigint;
    uv_timer_t close_deadline;
    bool is_draining;
    bool is_drained;
    int exit_status;
};

static struct arguments parse_arguments(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},        {"check-config", no_argument, NULL, MODE_CHECK},
        {"print-config", no_argument, NULL, MODE_PRINT}, {"help", no_argument, NULL, MODE_HELP},
        {"version", no_argument, NULL, MODE_VERSION},    {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.mode = MODE_RUN};
    int option = 0;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'c') {
            arguments.config_path = optarg;
        } else if (option == '?') {
            arguments.mode = MODE_WRONG;
            return arguments;
        } else {
            arguments.mode = (enum mode)option;
        }
    }
    bool needs_config = arguments.mode == MODE_RUN || arguments.mode == MODE_CHECK || arguments.mode == MODE_PRINT;
    if (optind < argc || (needs_config && !arguments.config_path)) {
        arguments.mode = MODE_WRONG;
    }
    return arguments;
}

static void print_usage(FILE *out, const char *name)
{
    (void)fprintf(out,
                  "usage: %s --config FILE [--check-config | --print-config]\n"
                  "       %s --help | --version\n"
                  "\n"
                  "  -c, --config FILE   configuration (YAML)\n"
                  "  --check-config      say whether the configuration is right, and stop\n"
                  "  --print-config      print the configuration in force, defaults filled in, and stop\n"
                  "\n"
                  "SIGTERM or SIGINT drains; a second one ends the program at once.\n",
                  name, name);
}

/* Secrets never stand in a configuration, only the names of the files that hold them, so all of it can be shown. */
static int print_config(const struct rw_daemon *daemon, void *config, struct rw_error *err)
{
    const cyaml_config_t yaml = {.mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_STYLE_BLOCK};
    RW_AUTO_FREE char *text = NULL;
    size_t len = 0;
    cyaml_err_t failed = cyaml_save_data(&text, &len, &yaml, daemon->schema, config, 0);

    if (failed != CYAML_OK) {
        return rw_fail(err, INTERNAL, "write the configuration: %s", cyaml_strerror(failed));
    }
    if (fwrite(text, 1, len, stdout) != len || fflush(stdout)) {
        return rw_fail(err, IO, "write the configuration to standard output");
    }
    return 0;
}

/* As many descriptors as the system lets us have: every client connection is one. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    if (run->is_draining) {
        rw_log(RW_LOG_WARNING, "second signal: exiting at once", RW_LOG_STR("signal", strsignal(number)));
        _exit(1);
    }
    run->is_draining = true;
    rw_log(RW_LOG_INFO, "draining", RW_LOG_STR("signal", strsignal(number)));
    run->daemon->drain(run->self);
}

void rw_daemon_drained(uv_loop_t *loop)
{
    struct run *run = loop->data;
    run->is_drained = true;
    uv_stop(loop);
}

static void name_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle) && uv_has_ref(handle)) {
        rw_log(RW_LOG_ERROR, "a handle was not closed", RW_LOG_STR("type", uv_handle_type_name(handle->type)));
    }
}

static void on_close_deadline(uv_timer_t *timer)
{
    struct run *run = timer->data;
    rw_log(RW_LOG_ERROR, "stopping took too long", RW_LOG_INT("limit_ms", CLOSE_DEADLINE_MS));
    uv_walk(&run->loop, name_handle, NULL);
    _exit(EXIT_SOFTWARE);
}

static int watch_signals(struct run *run, struct rw_error *err)
{
    run->sigterm.data = run;
    run->sigint.data = run;
    run->close_deadline.data = run;
    int failed = uv_signal_init(&run->loop, &run->sigterm);
    failed = failed ? failed : uv_signal_init(&run->loop, &run->sigint);
    failed = failed ? failed : uv_timer_init(&run->loop, &run->close_deadline);
    failed = failed ? failed : uv_signal_start(&run->sigterm, on_signal, SIGTERM);
    failed = failed ? failed : uv_signal_start(&run->sigint, on_signal, SIGINT);
    return failed ? rw_fail_sys(err, INTERNAL, -failed, "watch signals") : 0;
}

/* The daemon's handles first, with the signals still heard; then the signals' own. */
static void close_all(struct run *run)
{
    uv_unref((uv_handle_t *)&run->sigterm);
    uv_unref((uv_handle_t *)&run->sigint);
    run->is_draining = true;
    (void)uv_timer_start(&run->close_deadline, on_close_deadline, CLOSE_DEADLINE_MS, 0);
    uv_unref((uv_handle_t *)&run->close_deadline);
    run->daemon->close(run->self);
    (void)uv_run(&run->loop, UV_RUN_DEFAULT);

    uv_close((uv_handle_t *)&run->close_deadline, NULL);
    uv_close((uv_handle_t *)&run->sigterm, NULL);
    uv_close((uv_handle_t *)&run->sigint, NULL);
    (void)uv_run(&run->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&run->loop)) {
        rw_log(RW_LOG_ERROR, "the loop was not empty at the end");
        run->exit_status = EXIT_SOFTWARE;
    }
    run->daemon->free_daemon(run->self);
}

static int run_daemon(const struct rw_daemon *daemon, void *config, struct rw_error *err)
{
    struct run run = {.daemon = daemon};
    int failed = uv_loop_init(&run.loop);
    if (failed) {
        return rw_fail_sys(err, INTERNAL, -failed, "make the event loop");
    }
    run.loop.data = &run;
    if (watch_signals(&run, err) || daemon->start(&run.loop, config, &run.self, err)) {
        return -1;
    }
    rw_log(RW_LOG_INFO, "started", RW_LOG_STR("version", RUNWAVE_VERSION));
    while (!run.is_drained) {
        (void)uv_run(&run.loop, UV_RUN_DEFAULT);
    }
    close_all(&run);
    rw_log(RW_LOG_INFO, "stopped");
    return run.exit_status;
}

static int set_up_log(const struct rw_daemon *daemon, const void *config, struct rw_error *err)
{
    const struct rw_config_log *log = (const void *)((const char *)config + daemon->log_offset);
    enum rw_log_level level = RW_LOG_INFO;
    if (log->level && rw_log_level_parse(log->level, &level, err)) {
        return -1;
    }
    rw_log_setup(daemon->name, level);
    return 0;
}

/* Exit status, with the error told. */
static int run_mode(const struct rw_daemon *daemon, const struct arguments *arguments, void *config)
{
    struct rw_error err = {0};

    if (daemon->prepare(config, &err) || set_up_log(daemon, config, &err)) {
        (void)fprintf(stderr, "%s: %s: %s\n", daemon->name, arguments->config_path, err.message);
        return rw_err_exit_code(err.code);
    }
    if (arguments->mode == MODE_CHECK) {
        (void)printf("%s: right\n", arguments->config_path);
        return EXIT_SUCCESS;
    }
    if (arguments->mode == MODE_PRINT) {
        if (print_config(daemon, config, &err) == 0) {
            return EXIT_SUCCESS;
        }
        (void)fprintf(stderr, "%s: %s\n", daemon->name, err.message);
        return rw_err_exit_code(err.code);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    int status = run_daemon(daemon, config, &err);
    if (status < 0) {
        rw_log_error(RW_LOG_ERROR, "cannot start", &err);
        _exit(rw_err_exit_code(err.code)); /* threads of what start left half-made may still run on the configuration */
    }
    return status;
}

int rw_daemon_main(const struct rw_daemon *daemon, int argc, char **argv)
{
    struct arguments arguments = parse_arguments(argc, argv);
    struct rw_error err = {0};
    void *config = NULL;

    if (arguments.mode == MODE_HELP || arguments.mode == MODE_WRONG) {
        bool is_help = arguments.mode == MODE_HELP;
        print_usage(is_help ? stdout : stderr, argv[0]);
        return is_help ? EXIT_SUCCESS : EXIT_USAGE;
    }
    if (arguments.mode == MODE_VERSION) {
        (void)printf("%s %s\n", daemon->name, RUNWAVE_VERSION);
        return EXIT_SUCCESS;
    }
    rw_log_setup(daemon->name, RW_LOG_INFO);
    if (rw_config_load(arguments.config_path, daemon->schema, &config, &err)) {
        (void)fprintf(stderr, "%s: %s\n", daemon->name, err.message);
        return rw_err_exit_code(err.code);
    }
    int status = run_mode(daemon, &arguments, config);
    rw_config_free(daemon->schema, config);
    return status;
}
