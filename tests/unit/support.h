/* What the unit tests share: cmocka with the headers it needs, assertions on struct rw_error, and files to load. */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <rw/auto.h>
#include <rw/error.h>

/* expression must succeed; on failure the error's message is shown. */
#define assert_ok(expression, err)                                                                                                 \
    do {                                                                                                                           \
        if ((expression) < 0) {                                                                                                    \
            fail_msg("%s: %s", #expression, (err)->message);                                                                       \
        }                                                                                                                          \
    } while (0)

/* expression must fail with that code and a message that holds part. */
#define assert_fails(expression, err, wanted_code, part)                                                                           \
    do {                                                                                                                           \
        assert_int_equal((expression), -1);                                                                                        \
        assert_string_equal(rw_err_name((err)->code), rw_err_name(RW_ERR_##wanted_code));                                          \
        if (!strstr((err)->message, (part))) {                                                                                     \
            fail_msg("\"%s\" does not hold \"%s\"", (err)->message, (part));                                                       \
        }                                                                                                                          \
    } while (0)

/* A fresh folder in the test's working folder; owned by the caller. */
static inline char *make_folder(void)
{
    char *path = rw_xstrdup("test-folder-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static inline void write_file(const char *path, const void *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static inline void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

/* A number below `below` from a generator that begins with a known seed, so that a run can be repeated. */
static inline uint32_t random_below(uint64_t *random, uint32_t below)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33) % below;
}

#endif
