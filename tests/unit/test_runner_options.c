/* The runner's command line, its secret, and where it listens. */
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

#include "listener.h"
#include "options.h"

static int parse(const char *const *argv, struct options *options, struct rw_error *err)
{
    char *copy[16] = {NULL};
    int argc = 0;
    for (; argv[argc]; argc++) {
        copy[argc] = rw_xstrdup(argv[argc]);
    }
    int status = options_parse(argc, copy, options, err);
    for (int i = 0; i < argc; i++) {
        free(copy[i]); /* tests look at no text of a parsed one */
    }
    return status;
}

static void good_lines(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct options options;
    const char *const usual[] = {"runner", "--pod",        "p", "--listen",   "fd:3",   "--secret-fd",
                                 "4",      "--control-fd", "5", "--uid-base", "100000", NULL};
    assert_ok(parse(usual, &options, &err), &err);
    assert_int_equal(options.mode, OPTIONS_RUN);
    assert_int_equal(options.secret_fd, 4);
    assert_int_equal(options.control_fd, 5);
    assert_true(options.has_uid_base);
    assert_int_equal(options.uid_base, 100000);
    assert_ptr_equal(options.strategy, &sandbox_namespaces);
    assert_ok(parse((const char *const[]){"runner", "--probe", "--sandbox", "container", NULL}, &options, &err), &err);
    assert_int_equal(options.mode, OPTIONS_PROBE);
    assert_ptr_equal(options.strategy, &sandbox_container);
    assert_false(options.has_uid_base);
    assert_ok(parse((const char *const[]){"runner", "--sweep-cgroup", "a/b", NULL}, &options, &err), &err);
    assert_int_equal(options.mode, OPTIONS_SWEEP);
}

static void bad_lines(void **state)
{
    (void)state;
    static const char *const lines[][4] = {
        {"runner"},
        {"runner", "--listen"},
        {"runner", "--listen", "fd:3", "more"},
        {"runner", "--nonsense"},
        {"runner", "--sandbox", "none", "--probe"},
        {"runner", "--secret-fd", "-1", "--probe"},
        {"runner", "--secret-fd", "3x", "--probe"},
        {"runner", "--uid-base", "4294967295", "--probe"},
        {"runner", "--cgroup", "../up", "--probe"},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(lines); i++) {
        struct rw_error err = {0};
        struct options options;
        const char *const argv[] = {lines[i][0], lines[i][1], lines[i][2], lines[i][3], NULL};
        assert_fails(parse(argv, &options, &err), &err, CONFIG, "");
    }
}

static void secrets(void **state)
{
    (void)state;
    struct rw_error err = {0};
    uint8_t secret[RW_POD_SECRET_BYTES];
    struct options options = {.secret_fd = -1};
    static const char *const bad[] = {"", "x", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE",
                                      "QUFBQQ==", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"};
    (void)unsetenv("RUNWAVE_POD_SECRET");
    assert_fails(options_read_secret(&options, secret, &err), &err, CONFIG, "RUNWAVE_POD_SECRET");
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        (void)setenv("RUNWAVE_POD_SECRET", bad[i], 1);
        assert_fails(options_read_secret(&options, secret, &err), &err, CONFIG, "RUNWAVE_POD_SECRET");
    }
    (void)setenv("RUNWAVE_POD_SECRET", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", 1);
    assert_ok(options_read_secret(&options, secret, &err), &err);
    assert_memory_equal(secret, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", RW_POD_SECRET_BYTES);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", 32), 32);
    options.secret_fd = ends[0];
    assert_ok(options_read_secret(&options, secret, &err), &err);
    assert_memory_equal(secret, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB", RW_POD_SECRET_BYTES);
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[1]);
    options.secret_fd = ends[0];
    assert_fails(options_read_secret(&options, secret, &err), &err, CONFIG, "32 bytes");
}

/* Read once and for all; a link in its place is not followed. */
static void secret_file(void **state)
{
    (void)state;
    struct rw_error err = {0};
    uint8_t secret[RW_POD_SECRET_BYTES];
    RW_AUTO_FREE char *folder = make_folder();
    RW_AUTO_FREE char *path = rw_xasprintf("%s/secret", folder);
    RW_AUTO_FREE char *link = rw_xasprintf("%s/link", folder);
    struct options options = {.secret_fd = -1, .secret_file = path};
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite("CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", 1, RW_POD_SECRET_BYTES, file), RW_POD_SECRET_BYTES);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(symlink("secret", link), 0);
    options.secret_file = link;
    assert_fails(options_read_secret(&options, secret, &err), &err, CONFIG, "--secret-file");
    options.secret_file = path;
    assert_ok(options_read_secret(&options, secret, &err), &err);
    assert_memory_equal(secret, "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", RW_POD_SECRET_BYTES);
    assert_int_equal(access(path, F_OK), -1);
    assert_fails(options_read_secret(&options, secret, &err), &err, CONFIG, "--secret-file");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void addresses(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "x",           "fd:",         "fd:0x",    "fd:999999",       "unix:",
        "tcp:",       "tcp:1.2.3.4", "tcp:host:80", "tcp:::80", "tcp:127.0.0.1:x", "tcp:127.0.0.1:65536",
        "tcp:[::1:80"};
    struct rw_error err = {0};
    char *path = NULL;
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        assert_int_equal(listener_open(bad[i], &path, &err), -1);
        assert_null(path);
    }
    RW_AUTO_FD int tcp = listener_open("tcp:127.0.0.1:0", &path, &err);
    assert_true(tcp >= 0);
    RW_AUTO_FREE char *inherited = rw_xasprintf("fd:%d", tcp);
    assert_int_equal(listener_open(inherited, &path, &err), tcp);
    RW_AUTO_FREE char *folder = make_folder();
    RW_AUTO_FREE char *address = rw_xasprintf("unix:%s/socket", folder);
    RW_AUTO_FD int local = listener_open(address, &path, &err);
    assert_true(local >= 0);
    assert_string_equal(path, address + strlen("unix:"));
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good_lines), cmocka_unit_test(bad_lines), cmocka_unit_test(secrets),
                                       cmocka_unit_test(secret_file), cmocka_unit_test(addresses)};
    return cmocka_run_group_tests_name("runner_options", tests, NULL, NULL);
}
