/* The runner's event loop: descriptors by epoll, deadlines by one timerfd. Single-threaded. */
#ifndef RUNNER_LOOP_H
#define RUNNER_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include <rw/error.h>

enum { LOOP_TIMERS_MAX = 32 };

struct loop_source { /* owned by its user; must stay in place while it is added */
    int fd;
    void (*handle)(void *context, uint32_t events);
    void *context;
};

struct loop_timer { /* owned by its user; must stay in place while it is set */
    int64_t at_us;  /* on the monotonic clock; 0: not set */
    void (*handle)(void *context);
    void *context;
};

struct loop {
    int epoll_fd;
    struct loop_source clock; /* the timerfd */
    struct loop_timer *timers[LOOP_TIMERS_MAX];
    unsigned n_timers;
    bool is_stopped;
    int exit_code;
};

RW_NODISCARD int loop_init(struct loop *loop, struct rw_error *err);
void loop_done(struct loop *loop);
/* Calls handlers until loop_stop; returns the exit code given there. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int exit_code);

void loop_add(struct loop *loop, struct loop_source *source, uint32_t events); /* aborts when the kernel refuses */
void loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove(struct loop *loop, struct loop_source *source);

void loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t at_us); /* anew when it is set already */
void loop_timer_clear(struct loop *loop, struct loop_timer *timer);

#endif
