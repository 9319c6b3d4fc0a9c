/* The layers' words, and what is lacking. */
#include "support.h"

#include "layers.h"

static struct layers parsed(const char *text)
{
    struct layers layers;
    struct rw_error err = {0};
    assert_int_equal(layers_parse(text, &layers, &err), 0);
    return layers;
}

static void words_are_numbers_and_back(void **state)
{
    char text[LAYERS_TEXT_BYTES];
    struct layers layers = parsed("cgroup,landlock=3,namespaces,own_uid,seccomp");
    (void)state;
    assert_int_equal(layers.values[LAYER_LANDLOCK], 3);
    assert_string_equal(layers_format(&layers, text), "namespaces,own_uid,seccomp,landlock=3,cgroup=1");
    layers = parsed("");
    assert_string_equal(layers_format(&layers, text), "");
}

static void other_words_are_refused(void **state)
{
    static const char *const wrong[] = {"namespace", "landlock", "landlock=", "landlock=0", "landlock=100", "landlock=3x",
                                        "cgroup=2",  "seccomp ", "=",         "own_uid=1",  "landlock=-1"};
    struct layers layers;
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(wrong); i++) {
        struct rw_error err = {0};
        assert_int_equal(layers_parse(wrong[i], &layers, &err), -1);
        assert_int_equal(err.code, RW_ERR_CONFIG);
    }
}

static void what_is_required_is_there(void **state)
{
    struct layers all = parsed("namespaces,own_uid,seccomp,landlock=7,cgroup");
    struct layers none = parsed("");
    struct layers some = parsed("landlock=3,cgroup");
    struct rw_error err = {0};
    (void)state;
    assert_int_equal(layers_check(&all, &all, &err), 0);
    assert_int_equal(layers_check(&all, &some, &err), 0);
    assert_int_equal(layers_check(&none, &none, &err), 0);
}

static void what_is_lacking_is_named_with_its_remedy(void **state)
{
    struct layers required = parsed("own_uid,landlock=7");
    struct layers in_force = parsed("namespaces,landlock=7");
    struct rw_error err = {0};
    (void)state;
    assert_int_equal(layers_check(&in_force, &required, &err), -1);
    assert_int_equal(err.code, RW_ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "own_uid"));
    assert_non_null(strstr(err.message, "as root"));
    in_force = parsed("namespaces,own_uid,landlock=3");
    assert_int_equal(layers_check(&in_force, &required, &err), -1);
    assert_non_null(strstr(err.message, "landlock 7, here is 3"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_numbers_and_back),
        cmocka_unit_test(other_words_are_refused),
        cmocka_unit_test(what_is_required_is_there),
        cmocka_unit_test(what_is_lacking_is_named_with_its_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
