/* One connection's side of the protocol, without any socket: bytes in, bytes out, and what they asked for. Testable and fuzzable. */
#ifndef RUNNER_LINK_H
#define RUNNER_LINK_H

#include <rw/frame.h>
#include <rw/runner_protocol.h>

enum link_state {
    LINK_AWAITS_HELLO,
    LINK_AWAITS_JOB,
    LINK_HAS_JOB, /* proved; its job is this pod's */
    LINK_REFUSED, /* nothing more is read from it; what is in out still has to be sent */
};

enum link_event {
    LINK_EVENT_NONE, /* more bytes are needed */
    LINK_EVENT_JOB,  /* the peer proved itself */
    LINK_EVENT_STDIN,
    LINK_EVENT_CANCEL,
    LINK_EVENT_REFUSED, /* a refusal is in out */
};

struct link {
    enum link_state state;
    const uint8_t *secret; /* borrowed; not read any more once a job was taken */
    uint8_t scheduler_nonce[RW_NONCE_BYTES];
    uint8_t runner_nonce[RW_NONCE_BYTES];
    struct rw_uuid lease_id;
    struct rw_frame_reader reader;
    struct rw_buffer out; /* to be sent to the peer */
};

enum { LINK_FEED_BYTES_MAX = 64 * 1024 };

void link_init(struct link *link, const uint8_t secret[static RW_POD_SECRET_BYTES]);
void link_done(struct link *link);
/* Take bytes of the peer, at most LINK_FEED_BYTES_MAX; then call link_next until it returns NONE or REFUSED. */
void link_feed(struct link *link, struct rw_bytes bytes);
/* *ret_message (for JOB and STDIN) is borrowed until the next call on the link. */
enum link_event link_next(struct link *link, struct rw_message *ret_message);
/* "taken", "proof", "protocol", "job" or "not_ready". */
void link_refuse(struct link *link, const char *reason);
/* Put a message into out. Failing means that a bound was computed wrongly; it aborts. */
void link_send(struct link *link, const struct rw_message *message);

#endif
