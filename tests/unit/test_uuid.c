/* UUIDs of version 7 and their text. */
#include "support.h"

#include <rw/clock.h>
#include <rw/uuid.h>
#include <time.h>

static void test_version_and_variant(void **state)
{
    (void)state;
    for (size_t i = 0; i < 200; i++) {
        char text[RW_UUID_TEXT_BYTES];
        struct rw_uuid uuid = rw_uuid_v7();
        assert_ptr_equal(rw_uuid_format(&uuid, text), text);
        assert_int_equal(strlen(text), 36);
        assert_int_equal(text[14], '7');
        assert_non_null(strchr("89ab", text[19]));
    }
}

static void test_ids_carry_the_time_of_their_birth(void **state)
{
    (void)state;
    int64_t before_ms = rw_realtime_us() / 1000;
    struct rw_uuid uuid = rw_uuid_v7();
    int64_t after_ms = rw_realtime_us() / 1000;
    int64_t born_ms = 0;
    for (size_t i = 0; i < 6; i++) {
        born_ms = born_ms << 8 | uuid.bytes[i];
    }
    assert_in_range(born_ms, before_ms, after_ms);
    struct timespec pause = {.tv_nsec = 2000000};
    (void)nanosleep(&pause, NULL);
    struct rw_uuid later = rw_uuid_v7();
    assert_true(memcmp(uuid.bytes, later.bytes, 16) < 0);
}

static void test_random_bits_differ(void **state)
{
    (void)state;
    uint8_t any[16] = {0};
    uint8_t all[16];
    memset(all, 0xFF, sizeof(all));
    for (size_t i = 0; i < 200; i++) {
        struct rw_uuid uuid = rw_uuid_v7();
        for (size_t k = 0; k < 16; k++) {
            any[k] = (uint8_t)(any[k] | uuid.bytes[k]);
            all[k] = (uint8_t)(all[k] & uuid.bytes[k]);
        }
    }
    for (size_t k = 9; k < 16; k++) {
        assert_int_equal(any[k], 0xFF);
        assert_int_equal(all[k], 0);
    }
    assert_int_equal(any[6], 0x7F);
    assert_int_equal(all[6], 0x70);
    assert_int_equal(any[8], 0xBF);
    assert_int_equal(all[8], 0x80);
}

static void test_text_goes_both_ways(void **state)
{
    (void)state;
    struct rw_error err = {0};
    struct rw_uuid uuid, again;
    char text[RW_UUID_TEXT_BYTES];
    static const uint8_t wanted[16] = {0x01, 0x7F, 0x22, 0xE2, 0x79, 0xB0, 0x7C, 0xC3,
                                       0x98, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F};
    assert_ok(rw_uuid_parse("017F22E2-79B0-7cc3-98C4-DC0C0C07398F", &uuid, &err), &err);
    assert_memory_equal(uuid.bytes, wanted, 16);
    assert_string_equal(rw_uuid_format(&uuid, text), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    assert_ok(rw_uuid_parse(text, &again, &err), &err);
    assert_memory_equal(again.bytes, wanted, 16);
}

static void test_what_is_no_uuid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",   /* short */
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff", /* long */
        "017f22e279b07cc398c4dc0c0c07398f",      /* no hyphens */
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",  /* digit */
        "017f22e27-9b0-7cc3-98c4-dc0c0c07398f",  /* hyphen elsewhere */
        "017f22e2079b0-7cc3-98c4-dc0c0c07398f",  /* digit for a hyphen */
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398 ",  /* space */
        "{17f22e2-79b0-7cc3-98c4-dc0c0c0739}",   /* braces */
        "017f22e2-79b0-7cc3-98c4-dc0c0c0739\xC3\xA9",
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        struct rw_error err = {0};
        struct rw_uuid uuid = {{42}};
        assert_fails(rw_uuid_parse(bad[i], &uuid, &err), &err, INVALID, "UUID");
        assert_int_equal(uuid.bytes[0], 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_and_variant), cmocka_unit_test(test_ids_carry_the_time_of_their_birth),
        cmocka_unit_test(test_random_bits_differ),  cmocka_unit_test(test_text_goes_both_ways),
        cmocka_unit_test(test_what_is_no_uuid),
    };
    return cmocka_run_group_tests_name("uuid", tests, NULL, NULL);
}
