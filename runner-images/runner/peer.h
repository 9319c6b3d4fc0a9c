/* A connection: a socket, the protocol's state of it (link), and a deadline. */
#ifndef RUNNER_PEER_H
#define RUNNER_PEER_H

#include "link.h"
#include "loop.h"

struct peer;

struct peer_owner {
    /* JOB, STDIN or CANCEL came; the message is borrowed. Must not free the peer. */
    void (*event)(void *context, struct peer *peer, enum link_event event, const struct rw_message *message);
    /* The connection ended, was refused and has heard so, or its deadline passed. The owner frees it here (or keeps it for later). */
    void (*closed)(void *context, struct peer *peer);
    void *context;
};

struct peer {
    struct loop *loop;
    struct loop_source source;
    struct loop_timer deadline;
    struct link link;
    struct peer_owner owner;
    int64_t arrived_us;
    bool wants_out;
    bool is_lingering; /* nothing more to say; waits for the other side to close, so that it reads what was said */
};

/* Takes the descriptor (non-blocking, close on exec). Until a job is taken the peer has deadline_ms. */
struct peer *peer_new(struct loop *loop, int fd, const uint8_t *secret, int deadline_ms, const struct peer_owner *owner);
void peer_free(struct peer *peer); /* accepts NULL */
/* Send what is in the link's out; the rest follows when the socket takes it. */
void peer_flush(struct peer *peer);
/* Say no more after what is in out; closed is called when the other side has closed, at latest after timeout_ms. */
void peer_finish(struct peer *peer, int timeout_ms);
/* Answer "refused" and finish. */
void peer_refuse(struct peer *peer, const char *reason);

#endif
