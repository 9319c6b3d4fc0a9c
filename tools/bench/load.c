/* runwave-load: a closed loop of clients that submit, or of programs that are started, with every latency written down.
 *
 *   runwave-load http --url URL --body FILE [--match TEXT] [--clients N] [--count N] [--seconds S]
 *   runwave-load exec [--clients N] [--count N] [--seconds S] -- PROGRAM ARG... [-- PROGRAM ARG...]...
 *
 * It prints one JSON object. tools/dev/bench.py reads it; nothing else is meant to. */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <rw/auto.h>
#include <rw/clock.h>
#include <rw/json.h>

void load_add(struct load_samples *samples, int64_t start_us, int64_t took_us)
{
    if (samples->n == samples->capacity) {
        samples->capacity = samples->capacity ? samples->capacity * 2 : 1024;
        samples->items = rw_xrealloc(samples->items, samples->capacity * sizeof(*samples->items));
    }
    samples->items[samples->n++] = (struct load_sample){.start_us = start_us, .took_us = took_us};
}

void load_wrong(struct load_samples *samples, const char *text)
{
    if (samples->n_wrong++ == 0) {
        (void)snprintf(samples->first_wrong, sizeof(samples->first_wrong), "%s", text);
    }
}

bool load_goes_on(const struct load_options *options, uint64_t n_begun, int64_t began_us)
{
    bool has_time = options->seconds <= 0 || (double)(rw_monotonic_us() - began_us) < options->seconds * 1e6;
    return has_time && (options->count == 0 || n_begun < options->count);
}

static int64_t own_cpu_us(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static void print(const struct load_samples *samples)
{
    RW_AUTO(cJSON_Delete) cJSON *json = cJSON_CreateObject();
    rw_json_add_int(json, "elapsed_us", samples->elapsed_us);
    rw_json_add_int(json, "wrong", (int64_t)samples->n_wrong);
    rw_json_add_string(json, "first_wrong", samples->n_wrong > 0 ? samples->first_wrong : NULL);
    rw_json_add_int(json, "own_cpu_us", own_cpu_us());
    rw_json_add_int(json, "children_cpu_us", samples->children_cpu_us);
    size_t len = 0;
    RW_AUTO_FREE char *head = rw_json_print(json, &len);
    (void)printf("%.*s,\"samples\":[", (int)len - 1, head); /* up to half a million: not worth a tree */
    for (size_t i = 0; i < samples->n; i++) {
        (void)printf("%s[%lld,%lld]", i > 0 ? "," : "", (long long)samples->items[i].start_us,
                     (long long)samples->items[i].took_us);
    }
    (void)puts("]}");
}

static char *read_body(const char *path, size_t *ret_len)
{
    enum { BODY_BYTES_MAX = 16 * 1024 * 1024 };
    FILE *file = fopen(path, "rbe");
    if (!file) {
        return NULL;
    }
    char *body = rw_xmalloc(BODY_BYTES_MAX);
    *ret_len = fread(body, 1, BODY_BYTES_MAX, file);
    (void)fclose(file);
    return body;
}

static int usage(void)
{
    (void)fputs("usage: runwave-load http --url URL --body FILE [--match TEXT] [--clients N] [--count N] [--seconds S]\n"
                "       runwave-load exec [--clients N] [--count N] [--seconds S] -- PROGRAM ARG... [-- PROGRAM ARG...]...\n",
                stderr);
    return 64;
}

/* PROGRAM ARG... -- PROGRAM ARG... */
static void part_commands(char **argv, struct load_options *options)
{
    char **begin = argv;
    for (char **at = argv; begin && options->n_commands < LOAD_COMMANDS_MAX; at++) {
        bool is_end = !*at;
        if (is_end || strcmp(*at, "--") == 0) {
            *at = NULL;
            if (*begin) {
                options->commands[options->n_commands++] = begin;
            }
            begin = is_end ? NULL : at + 1;
        }
    }
}

static int parse(int argc, char **argv, struct load_options *options)
{
    static const struct option names[] = {
        {"url", required_argument, NULL, 'u'},
        {"body", required_argument, NULL, 'b'},
        {"match", required_argument, NULL, 'm'},
        {"clients", required_argument, NULL, 'c'},
        {"count", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    int option = 0;
    while ((option = getopt_long(argc, argv, "+", names, NULL)) != -1) {
        switch (option) {
        case 'u':
            options->url = optarg;
            break;
        case 'b':
            options->body = read_body(optarg, &options->body_len);
            break;
        case 'm':
            options->match = optarg;
            break;
        case 'c':
            options->clients = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            options->count = strtoull(optarg, NULL, 10);
            break;
        case 's':
            options->seconds = strtod(optarg, NULL);
            break;
        default:
            return -1;
        }
    }
    part_commands(argv + optind, options);
    return options->clients > 0 && (options->count > 0 || options->seconds > 0) ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct load_options options = {.clients = 1};
    struct load_samples samples = {0};
    bool is_http = argc > 1 && strcmp(argv[1], "http") == 0;
    bool is_exec = argc > 1 && strcmp(argv[1], "exec") == 0;
    if ((!is_http && !is_exec) || parse(argc - 1, argv + 1, &options) < 0 ||
        (is_http ? !options.url || !options.body : options.n_commands == 0)) {
        return usage();
    }
    int64_t began_us = rw_monotonic_us();
    (is_http ? load_http : load_exec)(&options, &samples);
    samples.elapsed_us = rw_monotonic_us() - began_us;
    print(&samples);
    free(samples.items);
    free(options.body);
    return 0;
}
