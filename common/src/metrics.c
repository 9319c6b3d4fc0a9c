/* The metrics registry: families of series in the order of their registration, under a lock that registering and writing take;
 * values in relaxed atomics. A registration that makes no sense is a fault of this program and ends it. */
#include <rw/metrics.h>

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum kind { COUNTER, GAUGE, HISTOGRAM };

static const char *const kind_names[] = {[COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};

struct rw_counter {
    _Atomic uint64_t value;
};

struct rw_gauge {
    _Atomic int64_t value;
};

struct rw_histogram {
    size_t n_bounds;
    double *bounds;
    _Atomic uint64_t *buckets; /* n_bounds and one for +Inf; not cumulative */
    _Atomic double sum;
};

struct series {
    struct series *next;
    char *labels; /* "" when there are none */
    union {
        struct rw_counter counter;
        struct rw_gauge gauge;
        struct rw_histogram histogram;
    } value;
};

struct family {
    struct family *next;
    enum kind kind;
    char *name;
    char *help;
    struct series *series;
};

struct rw_metrics {
    pthread_mutex_t lock; /* the lists, not the values */
    struct family *families;
};

const double rw_metrics_seconds_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
const size_t rw_metrics_n_seconds_bounds = RW_ARRAY_SIZE(rw_metrics_seconds_bounds);

struct rw_metrics *rw_metrics_new(void)
{
    struct rw_metrics *metrics = rw_xcalloc(1, sizeof(*metrics));
    (void)pthread_mutex_init(&metrics->lock, NULL);
    return metrics;
}

static void free_series(enum kind kind, struct series *series)
{
    while (series) {
        struct series *next = series->next;
        if (kind == HISTOGRAM) {
            free(series->value.histogram.bounds);
            free(series->value.histogram.buckets);
        }
        free(series->labels);
        free(series);
        series = next;
    }
}

void rw_metrics_free(struct rw_metrics *metrics)
{
    if (!metrics) {
        return;
    }
    struct family *family = metrics->families;
    while (family) {
        struct family *next = family->next;
        free_series(family->kind, family->series);
        free(family->name);
        free(family->help);
        free(family);
        family = next;
    }
    (void)pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

static _Noreturn void refuse(const char *name, const char *why)
{
    (void)fprintf(stderr, "metric %s: %s\n", name, why);
    abort();
}

static bool is_name(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";
    return name[0] && strchr(first, name[0]) && name[strspn(name, rest)] == '\0';
}

static struct family *find_family(struct rw_metrics *metrics, enum kind kind, const char *name, const char *help)
{
    struct family **end = &metrics->families;
    for (; *end; end = &(*end)->next) {
        if (strcmp((*end)->name, name) == 0) {
            if ((*end)->kind != kind) {
                refuse(name, "registered as two kinds");
            }
            return *end;
        }
    }
    if (!is_name(name)) {
        refuse(name, "not a metric name");
    }
    struct family *family = rw_xcalloc(1, sizeof(*family));
    family->kind = kind;
    family->name = rw_xstrdup(name);
    family->help = rw_xstrdup(help);
    *end = family;
    return family;
}

/* Takes a series that is complete but for its labels: from here on a writer may read it. */
static void add_series(struct rw_metrics *metrics, enum kind kind, const char *name, const char *labels, const char *help,
                       struct series *series)
{
    series->labels = rw_xstrdup(labels ? labels : "");
    (void)pthread_mutex_lock(&metrics->lock);
    struct series **end = &find_family(metrics, kind, name, help)->series;
    for (; *end; end = &(*end)->next) {
        if (strcmp((*end)->labels, series->labels) == 0) {
            refuse(name, "registered twice with the same labels");
        }
    }
    *end = series;
    (void)pthread_mutex_unlock(&metrics->lock);
}

struct rw_counter *rw_metrics_counter(struct rw_metrics *metrics, const char *name, const char *labels, const char *help)
{
    struct series *series = rw_xcalloc(1, sizeof(*series));
    add_series(metrics, COUNTER, name, labels, help, series);
    return &series->value.counter;
}

struct rw_gauge *rw_metrics_gauge(struct rw_metrics *metrics, const char *name, const char *labels, const char *help)
{
    struct series *series = rw_xcalloc(1, sizeof(*series));
    add_series(metrics, GAUGE, name, labels, help, series);
    return &series->value.gauge;
}

struct rw_histogram *rw_metrics_histogram(struct rw_metrics *metrics, const char *name, const char *labels, const char *help,
                                          const double *bounds, size_t n_bounds)
{
    struct series *series = rw_xcalloc(1, sizeof(*series));
    struct rw_histogram *histogram = &series->value.histogram;
    for (size_t i = 1; i < n_bounds; i++) {
        if (!(bounds[i - 1] < bounds[i])) {
            refuse(name, "bounds do not ascend");
        }
    }
    histogram->n_bounds = n_bounds;
    histogram->bounds = rw_xmemdup(bounds, n_bounds * sizeof(*bounds));
    histogram->buckets = rw_xcalloc(n_bounds + 1, sizeof(*histogram->buckets));
    add_series(metrics, HISTOGRAM, name, labels, help, series);
    return histogram;
}

void rw_counter_add(struct rw_counter *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(&counter->value, amount, memory_order_relaxed);
}

uint64_t rw_counter_value(const struct rw_counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

void rw_gauge_set(struct rw_gauge *gauge, int64_t value)
{
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

void rw_gauge_add(struct rw_gauge *gauge, int64_t amount)
{
    atomic_fetch_add_explicit(&gauge->value, amount, memory_order_relaxed);
}

int64_t rw_gauge_value(const struct rw_gauge *gauge)
{
    return atomic_load_explicit(&gauge->value, memory_order_relaxed);
}

void rw_histogram_observe(struct rw_histogram *histogram, double value)
{
    if (isnan(value)) {
        return; /* it would make the sum useless for good */
    }
    size_t bucket = 0;
    while (bucket < histogram->n_bounds && value > histogram->bounds[bucket]) {
        bucket++;
    }
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);
    double sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&histogram->sum, &sum, sum + value, memory_order_relaxed, memory_order_relaxed)) {
    }
}

static int write_plain(const struct family *family, const struct series *series, const char *value, struct rw_buffer *out,
                       struct rw_error *err)
{
    bool has_labels = series->labels[0] != '\0';
    return rw_buffer_printf(out, err, "%s%s%s%s %s\n", family->name, has_labels ? "{" : "", series->labels, has_labels ? "}" : "",
                            value);
}

/* The count is the sum of the buckets as they were read, so that the two always agree. */
static int write_histogram(const struct family *family, const struct series *series, struct rw_buffer *out, struct rw_error *err)
{
    const struct rw_histogram *histogram = &series->value.histogram;
    const char *comma = series->labels[0] ? "," : "";
    const char *open = series->labels[0] ? "{" : "";
    const char *close = series->labels[0] ? "}" : "";
    uint64_t count = 0;
    for (size_t i = 0; i <= histogram->n_bounds; i++) {
        char bound[32] = "+Inf";
        if (i < histogram->n_bounds) {
            (void)snprintf(bound, sizeof(bound), "%.9g", histogram->bounds[i]);
        }
        count += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        if (rw_buffer_printf(out, err, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", family->name, series->labels, comma, bound,
                             count) < 0) {
            return -1;
        }
    }
    double sum = atomic_load_explicit(&histogram->sum, memory_order_relaxed);
    return rw_buffer_printf(out, err, "%s_sum%s%s%s %.17g\n%s_count%s%s%s %" PRIu64 "\n", family->name, open, series->labels, close,
                            sum, family->name, open, series->labels, close, count);
}

static int write_series(const struct family *family, const struct series *series, struct rw_buffer *out, struct rw_error *err)
{
    char value[32];
    switch (family->kind) {
    case COUNTER:
        (void)snprintf(value, sizeof(value), "%" PRIu64, rw_counter_value(&series->value.counter));
        return write_plain(family, series, value, out, err);
    case GAUGE:
        (void)snprintf(value, sizeof(value), "%" PRId64, rw_gauge_value(&series->value.gauge));
        return write_plain(family, series, value, out, err);
    case HISTOGRAM:
        return write_histogram(family, series, out, err);
    }
    return rw_fail(err, INTERNAL, "metric %s of unknown kind", family->name);
}

static int write_families(const struct family *family, struct rw_buffer *out, struct rw_error *err)
{
    for (; family; family = family->next) {
        if (rw_buffer_printf(out, err, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                             kind_names[family->kind]) < 0) {
            return -1;
        }
        for (const struct series *series = family->series; series; series = series->next) {
            if (write_series(family, series, out, err) < 0) {
                return -1;
            }
        }
    }
    return 0;
}

int rw_metrics_write(struct rw_metrics *metrics, struct rw_buffer *out, struct rw_error *err)
{
    (void)pthread_mutex_lock(&metrics->lock);
    int failed = write_families(metrics->families, out, err);
    (void)pthread_mutex_unlock(&metrics->lock);
    return failed;
}
