/* Socket input and output of one connection. A connection is never closed with unread bytes in it, because the kernel would then
 * throw away what we said: it is shut for writing and read empty first, within a deadline. */
#include "peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>

enum { REFUSED_LINGER_MS = 1000 };

static void set_deadline(struct peer *peer, int timeout_ms)
{
    loop_timer_clear(peer->loop, &peer->deadline);
    loop_timer_set(peer->loop, &peer->deadline, rw_monotonic_us() + (int64_t)timeout_ms * 1000);
}

static void want_out(struct peer *peer, bool wants)
{
    if (peer->wants_out != wants) {
        peer->wants_out = wants;
        loop_change(peer->loop, &peer->source, wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

void peer_flush(struct peer *peer)
{
    struct rw_buffer *out = &peer->link.out;
    size_t sent = 0;
    while (sent < out->len) {
        ssize_t n = send(peer->source.fd, out->data + sent, out->len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (n < 0) {
            sent = out->len; /* the other side is gone, which reading will tell */
            break;
        }
        sent += (size_t)n;
    }
    rw_buffer_consume(out, sent);
    want_out(peer, out->len > 0);
    if (out->len == 0 && peer->is_lingering) {
        (void)shutdown(peer->source.fd, SHUT_WR);
    }
}

void peer_finish(struct peer *peer, int timeout_ms)
{
    peer->is_lingering = true;
    set_deadline(peer, timeout_ms);
    peer_flush(peer);
}

void peer_refuse(struct peer *peer, const char *reason)
{
    if (peer->link.state != LINK_REFUSED) {
        link_refuse(&peer->link, reason);
    }
    peer_finish(peer, REFUSED_LINGER_MS);
}

/* Returns false when the peer was handed to `closed`. */
static bool read_some(struct peer *peer)
{
    uint8_t bytes[LINK_FEED_BYTES_MAX];
    ssize_t n = recv(peer->source.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (n <= 0) {
        peer->owner.closed(peer->owner.context, peer);
        return false;
    }
    if (peer->is_lingering) {
        return true;
    }
    link_feed(&peer->link, rw_bytes_of(bytes, (size_t)n));
    for (;;) {
        struct rw_message message;
        enum link_event event = link_next(&peer->link, &message);
        if (event == LINK_EVENT_NONE) {
            peer_flush(peer);
            return true;
        }
        if (event == LINK_EVENT_REFUSED) {
            peer_finish(peer, REFUSED_LINGER_MS);
            return true;
        }
        peer->owner.event(peer->owner.context, peer, event, &message);
    }
}

static void handle(void *context, uint32_t events)
{
    struct peer *peer = context;
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !read_some(peer)) {
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        peer_flush(peer);
    }
}

static void deadline_passed(void *context)
{
    struct peer *peer = context;
    peer->owner.closed(peer->owner.context, peer);
}

struct peer *peer_new(struct loop *loop, int fd, const uint8_t *secret, int deadline_ms, const struct peer_owner *owner)
{
    struct peer *peer = rw_xcalloc(1, sizeof(*peer));
    peer->loop = loop;
    peer->source = (struct loop_source){.fd = fd, .handle = handle, .context = peer};
    peer->deadline = (struct loop_timer){.handle = deadline_passed, .context = peer};
    peer->owner = *owner;
    peer->arrived_us = rw_monotonic_us();
    link_init(&peer->link, secret);
    loop_add(loop, &peer->source, EPOLLIN);
    set_deadline(peer, deadline_ms);
    return peer;
}

void peer_free(struct peer *peer)
{
    if (!peer) {
        return;
    }
    loop_timer_clear(peer->loop, &peer->deadline);
    loop_remove(peer->loop, &peer->source);
    (void)close(peer->source.fd);
    link_done(&peer->link);
    free(peer);
}
