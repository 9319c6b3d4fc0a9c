/* The event loop. One event is taken from the kernel at a time, so that a handler may remove and free any other source: no event of it
 * can be left over in an array. The kernel hands out ready descriptors in turn, so none starves. */
#include "loop.h"

#include <errno.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>

static void clock_rang(void *context, uint32_t events)
{
    struct loop *loop = context;
    uint64_t ignored;
    (void)events;
    ssize_t n = read(loop->clock.fd, &ignored, sizeof(ignored)); /* due timers are run by loop_run */
    (void)n;
}

int loop_init(struct loop *loop, struct rw_error *err)
{
    *loop = (struct loop){
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .clock = {.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), .handle = clock_rang, .context = loop}};
    if (loop->epoll_fd < 0 || loop->clock.fd < 0) {
        return rw_fail_sys(err, INTERNAL, errno, "event loop");
    }
    loop_add(loop, &loop->clock, EPOLLIN);
    return 0;
}

void loop_done(struct loop *loop)
{
    (void)close(loop->clock.fd);
    (void)close(loop->epoll_fd);
}

static void control(struct loop *loop, int operation, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, operation, source->fd, &event) < 0) {
        abort(); /* only a descriptor that is not ours, or no kernel memory */
    }
}

void loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
    control(loop, EPOLL_CTL_ADD, source, events);
}

void loop_change(struct loop *loop, struct loop_source *source, uint32_t events)
{
    control(loop, EPOLL_CTL_MOD, source, events);
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    control(loop, EPOLL_CTL_DEL, source, 0);
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_us)
{
    if (timer->at_us == 0) {
        if (loop->n_timers == LOOP_TIMERS_MAX) {
            abort(); /* more users than were counted */
        }
        loop->timers[loop->n_timers++] = timer;
    }
    timer->at_us = at_us;
}

void loop_timer_clear(struct loop *loop, struct loop_timer *timer)
{
    for (unsigned i = 0; i < loop->n_timers; i++) {
        if (loop->timers[i] == timer) {
            loop->timers[i] = loop->timers[--loop->n_timers];
            break;
        }
    }
    timer->at_us = 0;
}

static struct loop_timer *earliest(const struct loop *loop)
{
    struct loop_timer *first = NULL;
    for (unsigned i = 0; i < loop->n_timers; i++) {
        if (!first || loop->timers[i]->at_us < first->at_us) {
            first = loop->timers[i];
        }
    }
    return first;
}

static void run_due_timers(struct loop *loop)
{
    int64_t now_us = rw_monotonic_us();
    for (struct loop_timer *timer; !loop->is_stopped && (timer = earliest(loop)) && timer->at_us <= now_us;) {
        loop_timer_clear(loop, timer);
        timer->handle(timer->context);
    }
}

static void arm_clock(struct loop *loop)
{
    const struct loop_timer *first = earliest(loop);
    struct itimerspec when = {0};
    if (first) {
        when.it_value.tv_sec = first->at_us / 1000000;
        when.it_value.tv_nsec = first->at_us % 1000000 * 1000;
    }
    (void)timerfd_settime(loop->clock.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

int loop_run(struct loop *loop)
{
    while (!loop->is_stopped) {
        struct epoll_event event;
        arm_clock(loop);
        if (epoll_wait(loop->epoll_fd, &event, 1, -1) == 1) {
            struct loop_source *source = event.data.ptr;
            source->handle(source->context, event.events);
        }
        run_due_timers(loop);
    }
    return loop->exit_code;
}

void loop_stop(struct loop *loop, int exit_code)
{
    loop->is_stopped = true;
    loop->exit_code = exit_code;
}
