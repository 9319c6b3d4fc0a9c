/* The listening socket and those who knocked but have not proved themselves. Exactly one connection, the first that proves to know
 * the pod's secret, is handed out; everybody later hears "taken". */
#ifndef RUNNER_LISTENER_H
#define RUNNER_LISTENER_H

#include <rw/runner_protocol.h>

#include "peer.h"

enum { LISTENER_CANDIDATES_MAX = 8, LISTENER_SHARED_CANDIDATES_MAX = 1 };

struct listener {
    struct loop *loop;
    struct loop_source source;
    const uint8_t *secret; /* borrowed */
    struct peer *candidates[LISTENER_CANDIDATES_MAX];
    unsigned n_candidates;
    bool is_paused; /* full: newcomers wait in the kernel's queue */
    bool is_taken;
    bool is_shared; /* other workers of this pod accept from the same socket: see listener.c */
    struct loop_timer resume;
    char *unix_path; /* to be unlinked at the end; NULL: none */
    /* Optional: whether the job of this proved peer may be taken. If not, the peer is refused, and others may follow. */
    bool (*may_take)(void *context, const struct peer *peer);
    /* The peer is now the owner's; message is the job, borrowed. */
    void (*taken)(void *context, struct peer *peer, const struct rw_message *message);
    void *context;
};

/* address: "fd:N", "unix:PATH" or "tcp:HOST:PORT" (numeric host, IPv6 in brackets). Returns a listening descriptor. CONFIG, IO. */
RW_NODISCARD int listener_open(const char *address, char **ret_unix_path, struct rw_error *err);
/* Takes the descriptor. */
void listener_start(struct listener *listener, struct loop *loop, int fd, const uint8_t secret[static RW_POD_SECRET_BYTES]);
void listener_stop(struct listener *listener);

#endif
