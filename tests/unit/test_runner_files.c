/* Creating a job's files beneath a folder, and nowhere else. */
#include "support.h"

#include <fcntl.h>
#include <unistd.h>

#include "files.h"

static int write_named(int work_fd, const char *name, const char *content, struct rw_error *err)
{
    RW_AUTO_FREE char *own_name = rw_xstrdup(name);
    RW_AUTO_FREE uint8_t *own_content = rw_xmemdup(content, strlen(content) + 1);
    struct rw_job_file file = {.name = own_name, .content = own_content, .content_len = strlen(content)};
    struct rw_job job = {.files = &file, .n_files = 1};
    return files_write(work_fd, &job, err);
}

static void folders_are_made(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_FREE char *folder = make_folder();
    RW_AUTO_FD int work_fd = open(folder, O_RDONLY | O_DIRECTORY);
    char content[16] = "";
    assert_ok(write_named(work_fd, "a/b/c.txt", "deep", &err), &err);
    assert_ok(write_named(work_fd, "a/b/d.txt", "", &err), &err);
    assert_ok(write_named(work_fd, "e", "flat", &err), &err);
    RW_AUTO_FD int fd = openat(work_fd, "a/b/c.txt", O_RDONLY);
    assert_int_equal(read(fd, content, sizeof(content)), 4);
    assert_string_equal(content, "deep");
}

static void bad_names(void **state)
{
    (void)state;
    static const char *const names[] = {"../x", "/x", "", ".", "..", "a/../b", "a//b", "a/", "./a", "a/.."};
    struct rw_error err = {0};
    RW_AUTO_FREE char *folder = make_folder();
    RW_AUTO_FD int work_fd = open(folder, O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < RW_ARRAY_SIZE(names); i++) {
        assert_int_equal(write_named(work_fd, names[i], "x", &err), -1);
    }
}

static void nothing_is_replaced(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_FREE char *folder = make_folder();
    RW_AUTO_FD int work_fd = open(folder, O_RDONLY | O_DIRECTORY);
    assert_ok(write_named(work_fd, "a", "x", &err), &err);
    assert_fails(write_named(work_fd, "a", "y", &err), &err, FIELDS, "a");
    assert_int_equal(write_named(work_fd, "a/b", "y", &err), -1);
}

/* Links that point out of the folder, of the last part and of one on the way, and one back into it. */
static void links_are_not_followed(void **state)
{
    (void)state;
    struct rw_error err = {0};
    RW_AUTO_FREE char *folder = make_folder();
    RW_AUTO_FREE char *outside = make_folder();
    RW_AUTO_FREE char *target = rw_xasprintf("../%s", outside);
    RW_AUTO_FD int work_fd = open(folder, O_RDONLY | O_DIRECTORY);
    RW_AUTO_FD int outside_fd = open(outside, O_RDONLY | O_DIRECTORY);
    assert_int_equal(symlinkat(target, work_fd, "out"), 0);
    assert_int_equal(symlinkat("made", work_fd, "file"), 0);
    assert_int_equal(symlinkat(".", work_fd, "self"), 0);
    assert_int_equal(write_named(work_fd, "out/x", "x", &err), -1);
    assert_int_equal(write_named(work_fd, "file", "x", &err), -1);
    assert_int_equal(write_named(work_fd, "self/x", "x", &err), -1);
    assert_int_equal(faccessat(outside_fd, "x", F_OK, 0), -1);
    assert_int_equal(faccessat(work_fd, "made", F_OK, 0), -1);
    assert_int_equal(faccessat(work_fd, "x", F_OK, 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_made),
        cmocka_unit_test(bad_names),
        cmocka_unit_test(nothing_is_replaced),
        cmocka_unit_test(links_are_not_followed),
    };
    return cmocka_run_group_tests_name("runner_files", tests, NULL, NULL);
}
