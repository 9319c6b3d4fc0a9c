/* Metrics: counters, gauges and histograms, kept in C11 atomics, written as Prometheus text (exposition format 0.0.4).
 *
 * Register from any thread, once per series; every registered pointer lives as long as the registry. Updates are lock-free
 * and may come from any thread. Label sets are fixed at registration, so that no stranger can make new series. */
#ifndef RW_METRICS_H
#define RW_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <rw/auto.h>
#include <rw/bytes.h>

struct rw_metrics;
struct rw_counter;
struct rw_gauge;
struct rw_histogram;

struct rw_metrics *rw_metrics_new(void);
void rw_metrics_free(struct rw_metrics *metrics);
RW_DEFINE_AUTO(struct rw_metrics *, rw_metrics_free);

/* name: "runwave_tasks_total". labels: "language=\"python\",outcome=\"ok\"" or NULL. Several registrations with one name and
 * different labels form one family; help of the first one counts. Strings are copied. */
struct rw_counter *rw_metrics_counter(struct rw_metrics *metrics, const char *name, const char *labels, const char *help);
struct rw_gauge *rw_metrics_gauge(struct rw_metrics *metrics, const char *name, const char *labels, const char *help);
/* bounds: upper bounds in ascending order, +Inf is added. rw_metrics_seconds_bounds serves every duration. */
struct rw_histogram *rw_metrics_histogram(struct rw_metrics *metrics, const char *name, const char *labels, const char *help,
                                          const double *bounds, size_t n_bounds);
extern const double rw_metrics_seconds_bounds[];
extern const size_t rw_metrics_n_seconds_bounds;

void rw_counter_add(struct rw_counter *counter, uint64_t amount);
uint64_t rw_counter_value(const struct rw_counter *counter);
void rw_gauge_set(struct rw_gauge *gauge, int64_t value);
void rw_gauge_add(struct rw_gauge *gauge, int64_t amount);
int64_t rw_gauge_value(const struct rw_gauge *gauge);
void rw_histogram_observe(struct rw_histogram *histogram, double value);

/* Append the whole text to *out. */
RW_NODISCARD int rw_metrics_write(struct rw_metrics *metrics, struct rw_buffer *out, struct rw_error *err);

#endif
