/* Metering. A cgroup's counters are exact and cannot be dodged. Samples of /proc miss what lives between two of them, and the CPU
 * time of children whose parent ignores them; the wall clock bounds what can be hidden so. */
#include "meter.h"

#include <unistd.h>

enum {
    CHECK_US_MIN = 2000,
    CHECK_US_MAX = 50000,
    WATCH_US_MIN = 1000,
    WATCH_US_MAX = 20000,
    FILL_BYTES_PER_US = 8000, /* how fast memory can be filled: 8 GB/s */
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t less_waiting(const struct meter *meter, uint64_t processes)
{
    return processes > meter->waiting ? processes - meter->waiting : 0;
}

static uint64_t cpu_us(const struct meter *meter)
{
    if (cgroup_has(meter->cgroup, CGROUP_CPU)) {
        return meter->now.cpu_us - meter->base.cpu_us;
    }
    return meter->sample.cpu_user_us + meter->sample.cpu_system_us;
}

void meter_init(struct meter *meter, const struct cgroup *cgroup)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    *meter = (struct meter){.cgroup = cgroup, .processors = processors > 0 ? (uint64_t)processors : 1};
}

bool meter_needs_samples(const struct meter *meter)
{
    return !cgroup_has(meter->cgroup, CGROUP_CPU) || !cgroup_has(meter->cgroup, CGROUP_MEMORY);
}

void meter_stage_begins(struct meter *meter)
{
    meter->sample = (struct rw_usage){0};
    meter->sampled_memory_max = 0;
    meter->sampled_processes_max = 0;
    meter->waiting = 0;
    if (meter->cgroup) {
        cgroup_read(meter->cgroup, &meter->base);
        meter->now = meter->base;
    }
}

void meter_code_begins(struct meter *meter, uint64_t processes, uint64_t waiting)
{
    meter->waiting = waiting;
    /* A runtime that was started ahead has made its threads before. */
    meter->sampled_processes_max = larger(meter->sampled_processes_max, processes);
    if (meter->cgroup) {
        cgroup_read(meter->cgroup, &meter->now);
        meter->base.cpu_us = meter->now.cpu_us;
    }
}

void meter_take_sample(struct meter *meter, const struct rw_usage *sample)
{
    meter->sample = *sample;
    meter->sampled_memory_max = larger(meter->sampled_memory_max, sample->memory_bytes);
    meter->sampled_processes_max = larger(meter->sampled_processes_max, sample->processes);
}

void meter_check(struct meter *meter, const struct rw_limits *limits, struct stage_facts *facts)
{
    if (meter->cgroup) {
        cgroup_read(meter->cgroup, &meter->now);
        meter->sampled_processes_max = larger(meter->sampled_processes_max, less_waiting(meter, meter->now.processes));
    }
    facts->is_cpu_exceeded = facts->is_cpu_exceeded || cpu_us(meter) > limits->cpu_ms * 1000;
    bool is_exceeded = cgroup_has(meter->cgroup, CGROUP_MEMORY) ? meter->now.oom_kills > meter->base.oom_kills
                                                                : meter->sampled_memory_max > limits->memory_bytes;
    facts->is_memory_exceeded = facts->is_memory_exceeded || is_exceeded;
}

int64_t meter_next_check_us(const struct meter *meter, const struct rw_limits *limits)
{
    bool is_watched = meter_needs_samples(meter);
    uint64_t used_us = cpu_us(meter);
    uint64_t left_us = limits->cpu_ms * 1000 > used_us ? (limits->cpu_ms * 1000 - used_us) / meter->processors : 0;
    if (!cgroup_has(meter->cgroup, CGROUP_MEMORY)) {
        uint64_t memory = meter->sample.memory_bytes;
        uint64_t room = limits->memory_bytes > memory ? limits->memory_bytes - memory : 0;
        left_us = left_us < room / FILL_BYTES_PER_US ? left_us : room / FILL_BYTES_PER_US;
    }
    uint64_t least = is_watched ? WATCH_US_MIN : CHECK_US_MIN;
    uint64_t most = is_watched ? WATCH_US_MAX : CHECK_US_MAX;
    return (int64_t)(left_us < least ? least : left_us > most ? most : left_us);
}

/* The cgroup has seen all, but from a moment after the exec on; the wait statuses all that was waited for. The larger is nearer.
 * The cgroup's sum is parted as the wait statuses' is. */
static void settle_cpu(const struct meter *meter, const struct rw_usage *exited, struct rw_usage *usage)
{
    uint64_t waited_us = exited->cpu_user_us + exited->cpu_system_us;
    uint64_t total_us = cgroup_has(meter->cgroup, CGROUP_CPU) ? larger(cpu_us(meter), waited_us) : waited_us;
    usage->cpu_system_us = waited_us > 0 ? (uint64_t)((double)total_us * (double)exited->cpu_system_us / (double)waited_us) : 0;
    usage->cpu_user_us = total_us - usage->cpu_system_us;
}

void meter_stage_ended(struct meter *meter, const struct rw_usage *exited, struct stage_facts *facts)
{
    struct rw_usage *usage = &facts->usage;
    if (meter->cgroup) {
        cgroup_read(meter->cgroup, &meter->now);
    }
    usage->wall_us = exited->wall_us;
    settle_cpu(meter, exited, usage);
    usage->memory_bytes = larger(exited->memory_bytes, meter->sampled_memory_max);
    usage->memory_bytes = larger(usage->memory_bytes, meter->now.memory_peak_bytes);
    /* The kernel's peak is over the cgroup's life: this stage's own only when it rose in it. */
    bool has_risen = meter->now.processes_peak > meter->base.processes_peak;
    usage->processes = has_risen ? less_waiting(meter, meter->now.processes_peak) : 0;
    usage->processes = larger(usage->processes, meter->sampled_processes_max);
    usage->processes = larger(usage->processes, facts->is_started ? 1 : 0);
}
