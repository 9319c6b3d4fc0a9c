/* What runwave-load's files share: the options, and the samples that come out. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_COMMANDS_MAX = 8 };

struct load_options {
    unsigned clients; /* at a time */
    uint64_t count;   /* 0: until the time is over */
    double seconds;   /* 0: until the count is reached */
    const char *url;  /* http */
    char *body;       /* http: what each request posts */
    size_t body_len;
    const char *match;                  /* http: a right answer holds this text; NULL: any 2xx is right */
    char **commands[LOAD_COMMANDS_MAX]; /* exec: one after the other */
    size_t n_commands;
};

struct load_sample {
    int64_t start_us; /* real time */
    int64_t took_us;
};

struct load_samples {
    struct load_sample *items; /* in the order of their ends */
    size_t n;
    size_t capacity;
    uint64_t n_wrong; /* not among the items */
    char first_wrong[256];
    int64_t elapsed_us;
    int64_t children_cpu_us; /* exec */
};

void load_add(struct load_samples *samples, int64_t start_us, int64_t took_us);
void load_wrong(struct load_samples *samples, const char *text);
/* Whether one more may be begun. */
bool load_goes_on(const struct load_options *options, uint64_t n_begun, int64_t began_us);

void load_http(const struct load_options *options, struct load_samples *samples);
void load_exec(const struct load_options *options, struct load_samples *samples);

#endif
