/* A stream cut into lines: in one piece, byte by byte, and too long. */
#include "support.h"

#include <rw/lines.h>

enum { LINE_BYTES_MAX = 8 };

struct heard {
    char text[64]; /* each line with a '|' behind it */
    unsigned patience;
};

static int on_line(void *arg, struct rw_bytes line, struct rw_error *err)
{
    struct heard *heard = arg;
    size_t len = strlen(heard->text);
    (void)snprintf(heard->text + len, sizeof(heard->text) - len, "%.*s|", (int)line.len, (const char *)line.data);
    if (line.len == 3 && memcmp(line.data, "bad", 3) == 0) {
        return rw_fail(err, PROTOCOL, "bad");
    }
    return --heard->patience > 0;
}

static int feed(const char *text, size_t step, unsigned patience, struct heard *heard, struct rw_error *err)
{
    struct rw_lines lines;
    int status = 0;
    *heard = (struct heard){.patience = patience};
    rw_lines_init(&lines, LINE_BYTES_MAX);
    for (size_t at = 0; at < strlen(text) && status == 0; at += step) {
        size_t left = strlen(text) - at;
        status = rw_lines_feed(&lines, rw_bytes_of(text + at, left < step ? left : step), on_line, heard, err);
    }
    rw_lines_done(&lines);
    return status;
}

static void however_it_was_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step < 20; step++) {
        struct heard heard;
        struct rw_error err = {0};
        assert_ok(feed("one\n\n12345678\nthree\nrest", step, 100, &heard, &err), &err);
        assert_string_equal(heard.text, "one|12345678|three|");
    }
}

static void a_line_past_the_bound_is_refused_in_one_piece_and_in_many(void **state)
{
    (void)state;
    for (size_t step = 1; step < 20; step++) {
        struct heard heard;
        struct rw_error err = {0};
        assert_fails(feed("one\n123456789\n", step, 100, &heard, &err), &err, TOO_LARGE, "8");
        assert_string_equal(heard.text, "one|");
    }
}

static void the_receiver_may_fail_or_have_enough(void **state)
{
    (void)state;
    struct heard heard;
    struct rw_error err = {0};
    assert_fails(feed("one\nbad\nthree\n", 20, 100, &heard, &err), &err, PROTOCOL, "bad");
    assert_string_equal(heard.text, "one|bad|");
    assert_ok(feed("one\ntwo\nthree\n", 20, 2, &heard, &err), &err);
    assert_string_equal(heard.text, "one|two|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_it_was_cut),
        cmocka_unit_test(a_line_past_the_bound_is_refused_in_one_piece_and_in_many),
        cmocka_unit_test(the_receiver_may_fail_or_have_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
