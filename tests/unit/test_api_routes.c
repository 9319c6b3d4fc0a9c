/* The route table against docs/openapi.yaml, and the example configuration against the defaults. */
#include "support.h"

#include <yaml.h>

#include "handlers.h"

static FILE *open_source(const char *path)
{
    RW_AUTO_FREE char *whole = rw_xasprintf("%s/%s", RUNWAVE_SOURCE_DIR, path);
    FILE *file = fopen(whole, "rb");
    assert_non_null(file);
    return file;
}

static const char *text_of(yaml_document_t *document, int index)
{
    return (const char *)yaml_document_get_node(document, index)->data.scalar.value;
}

/* The value of a key in a mapping; NULL when there is none. */
static yaml_node_t *member(yaml_document_t *document, const yaml_node_t *mapping, const char *key)
{
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top; pair++) {
        if (strcmp(text_of(document, pair->key), key) == 0) {
            return yaml_document_get_node(document, pair->value);
        }
    }
    return NULL;
}

/* "/result/:task_id" is "/result/{task_id}" there. */
static bool is_same_path(const char *route, const char *documented)
{
    for (; *route && *documented; documented++) {
        if (*documented == '{') {
            if (*route++ != ':') {
                return false;
            }
            continue;
        }
        if (*documented == '}') {
            continue;
        }
        if (*route++ != *documented) {
            return false;
        }
    }
    return !*route && (!*documented || strcmp(documented, "}") == 0);
}

static bool is_route(const struct rw_http_route *routes, size_t n_routes, const char *path, const char *method)
{
    for (size_t i = 0; i < n_routes; i++) {
        if (is_same_path(routes[i].path, path) && strcasecmp(routes[i].method, method) == 0) {
            return true;
        }
    }
    return false;
}

static void routes_are_those_documented(void **state)
{
    struct api_config config = {.body_bytes_max = 12345};
    const struct api api = {.config = &config};
    size_t n_routes = 0;
    RW_AUTO_FREE struct rw_http_route *routes = handlers_routes(&api, &n_routes);
    FILE *file = open_source("docs/openapi.yaml");
    yaml_parser_t parser;
    yaml_document_t document;
    size_t n_documented = 0;
    (void)state;

    assert_int_equal(yaml_parser_initialize(&parser), 1);
    yaml_parser_set_input_file(&parser, file);
    assert_int_equal(yaml_parser_load(&parser, &document), 1);
    const yaml_node_t *paths = member(&document, yaml_document_get_root_node(&document), "paths");
    assert_non_null(paths);
    for (const yaml_node_pair_t *path = paths->data.mapping.pairs.start; path < paths->data.mapping.pairs.top; path++) {
        const yaml_node_t *methods = yaml_document_get_node(&document, path->value);
        for (const yaml_node_pair_t *method = methods->data.mapping.pairs.start; method < methods->data.mapping.pairs.top;
             method++) {
            if (!is_route(routes, n_routes, text_of(&document, path->key), text_of(&document, method->key))) {
                fail_msg("%s %s is documented and does not exist", text_of(&document, method->key), text_of(&document, path->key));
            }
            n_documented++;
        }
    }
    assert_int_equal(n_documented, n_routes);
    assert_int_equal(routes[0].body_bytes_max, 12345);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    (void)fclose(file);
}

static struct api_config *load(const char *path)
{
    struct rw_error err = {0};
    void *config = NULL;
    assert_ok(rw_config_load(path, &api_config_schema, &config, &err), &err);
    assert_ok(api_config_prepare(config, &err), &err);
    return config;
}

/* Every number and text of the example is the default, except where it says that there is none. */
static void the_example_shows_the_defaults(void **state)
{
    (void)state;
    write_text("minimal.yaml", "languages_dir: /usr/share/runwave/languages\n");
    struct api_config *minimal = load("minimal.yaml");
    struct api_config *example = load(RUNWAVE_SOURCE_DIR "/api-server/api-server.yaml");

    assert_string_equal(example->log.level, minimal->log.level);
    assert_string_equal(example->http.listen, minimal->http.listen);
    assert_int_equal(example->http.threads, minimal->http.threads);
    assert_int_equal(example->http.connections_max, minimal->http.connections_max);
    assert_int_equal(example->http.connections_per_ip_max, minimal->http.connections_per_ip_max);
    assert_int_equal(example->http.request_timeout_ms, minimal->http.request_timeout_ms);
    assert_string_equal(example->database.host, minimal->database.host);
    assert_int_equal(example->database.port, minimal->database.port);
    assert_string_equal(example->database.name, minimal->database.name);
    assert_string_equal(example->database.user, minimal->database.user);
    assert_int_equal(example->database.connections, minimal->database.connections);
    assert_int_equal(example->database.statement_timeout_ms, minimal->database.statement_timeout_ms);
    assert_string_equal(example->broker.host, minimal->broker.host);
    assert_int_equal(example->broker.port, minimal->broker.port);
    assert_string_equal(example->broker.vhost, minimal->broker.vhost);
    assert_string_equal(example->broker.user, minimal->broker.user);
    assert_int_equal(example->broker.heartbeat_s, minimal->broker.heartbeat_s);
    assert_int_equal(example->drain_ms, minimal->drain_ms);
    assert_int_equal(example->backlog_max, minimal->backlog_max);
    assert_int_equal(example->body_bytes_max, minimal->body_bytes_max);
    assert_int_equal(example->wait_max_s, minimal->wait_max_s);
    assert_int_equal(example->lost_after_ms, minimal->lost_after_ms);
    rw_config_free(&api_config_schema, minimal);
    rw_config_free(&api_config_schema, example);
}

static void wrong_configurations_are_refused(void **state)
{
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"languages_dir: /x\nwait_max_s: 61\n", "wait_max_s must be from 1 to 60"},
        {"languages_dir: /x\nbody_bytes_max: 5\n", "body_bytes_max"},
        {"languages_dir: /x\ndrain_ms: 5\n", "drain_ms"},
        {"drain_ms: 5000\n", "languages_dir"},
        {"languages_dir: /x\nbacklog: 5\n", "wrong.yaml:2"},
        {"languages_dir: /x\nhttp:\n  thread: 5\n", "wrong.yaml:3"},
    };
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        struct rw_error err = {0};
        void *config = NULL;
        write_text("wrong.yaml", cases[i].text);
        int failed = rw_config_load("wrong.yaml", &api_config_schema, &config, &err) || api_config_prepare(config, &err) ? -1 : 0;
        assert_fails(failed, &err, CONFIG, cases[i].part);
        rw_config_free(&api_config_schema, config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_are_those_documented),
        cmocka_unit_test(the_example_shows_the_defaults),
        cmocka_unit_test(wrong_configurations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
