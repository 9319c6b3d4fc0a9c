/* Who may knock: a few at once, each for some seconds. When all places are full, the one that has been there longest makes room,
 * but not before it had time for an honest handshake; until then newcomers wait in the kernel's queue. So idle connections cannot
 * keep the real one out, and a flood of new ones cannot push it out in mid-handshake.
 *
 * Where several workers share the socket each looks after one at a time, and when it takes a job it leaves the socket to the others:
 * whoever comes in the meantime is somebody else's, and must not hear "taken". One that has said hello may then stay for the whole
 * time of a proof, because its job may be large. */
#include "listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rw/auto.h>
#include <rw/clock.h>

enum { PROOF_MS_MAX = 5000, HONEST_HANDSHAKE_US = 250000, KEEPALIVE_IDLE_S = 5, KEEPALIVE_PROBES = 3, USER_TIMEOUT_MS = 20000 };

static void drop(struct listener *listener, struct peer *peer)
{
    for (unsigned i = 0; i < listener->n_candidates; i++) {
        if (listener->candidates[i] == peer) {
            listener->candidates[i] = listener->candidates[--listener->n_candidates];
            return;
        }
    }
}

static void pause_accepting(struct listener *listener, bool is_paused)
{
    if (listener->is_paused != is_paused && listener->source.fd >= 0) {
        listener->is_paused = is_paused;
        loop_change(listener->loop, &listener->source, is_paused ? 0 : EPOLLIN);
    }
}

static void close_socket(struct listener *listener)
{
    if (listener->source.fd >= 0) {
        loop_remove(listener->loop, &listener->source);
        (void)close(rw_take_fd(&listener->source.fd));
    }
}

static void candidate_closed(void *context, struct peer *peer)
{
    struct listener *listener = context;
    drop(listener, peer);
    peer_free(peer);
    pause_accepting(listener, false);
}

static void candidate_event(void *context, struct peer *peer, enum link_event event, const struct rw_message *message)
{
    struct listener *listener = context;
    if (event != LINK_EVENT_JOB) {
        return; /* a candidate's link has no other */
    }
    if (listener->is_taken) {
        peer_refuse(peer, "taken");
        return;
    }
    if (listener->may_take && !listener->may_take(listener->context, peer)) {
        peer_refuse(peer, "taken");
        return;
    }
    listener->is_taken = true;
    drop(listener, peer);
    loop_timer_clear(listener->loop, &peer->deadline);
    for (unsigned i = 0; i < listener->n_candidates; i++) {
        peer_refuse(listener->candidates[i], "taken");
    }
    if (listener->is_shared) {
        close_socket(listener);
    }
    pause_accepting(listener, false);
    listener->taken(listener->context, peer, message);
}

static struct peer *oldest(const struct listener *listener)
{
    struct peer *first = listener->candidates[0];
    for (unsigned i = 1; i < listener->n_candidates; i++) {
        first = listener->candidates[i]->arrived_us < first->arrived_us ? listener->candidates[i] : first;
    }
    return first;
}

/* False: full for now. */
static bool make_room(struct listener *listener)
{
    if (listener->n_candidates < (listener->is_shared ? LISTENER_SHARED_CANDIDATES_MAX : LISTENER_CANDIDATES_MAX)) {
        return true;
    }
    struct peer *peer = oldest(listener);
    bool is_patient = listener->is_shared && peer->link.state == LINK_AWAITS_JOB;
    int64_t may_leave_us = peer->arrived_us + (is_patient ? PROOF_MS_MAX * 1000 : HONEST_HANDSHAKE_US);
    if (may_leave_us > rw_monotonic_us()) {
        pause_accepting(listener, true);
        loop_timer_clear(listener->loop, &listener->resume);
        loop_timer_set(listener->loop, &listener->resume, may_leave_us);
        return false;
    }
    candidate_closed(listener, peer);
    return true;
}

static void resume(void *context)
{
    pause_accepting(context, false);
}

/* So that a scheduler whose machine died is noticed. Not TCP: refused, and not needed. */
static void set_keepalive(int fd)
{
    const struct {
        int level;
        int option;
        int value;
    } table[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
        {IPPROTO_TCP, TCP_NODELAY, 1},
    };
    for (size_t i = 0; i < RW_ARRAY_SIZE(table); i++) {
        (void)setsockopt(fd, table[i].level, table[i].option, &table[i].value, sizeof(table[i].value));
    }
}

static void knock(void *context, uint32_t events)
{
    struct listener *listener = context;
    (void)events;
    if (!make_room(listener)) {
        return;
    }
    int fd = accept4(listener->source.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return; /* gone again */
    }
    set_keepalive(fd);
    const struct peer_owner owner = {.event = candidate_event, .closed = candidate_closed, .context = listener};
    struct peer *peer = peer_new(listener->loop, fd, listener->secret, PROOF_MS_MAX, &owner);
    listener->candidates[listener->n_candidates++] = peer;
    if (listener->is_taken) {
        peer_refuse(peer, "taken");
    }
}

void listener_start(struct listener *listener, struct loop *loop, int fd, const uint8_t secret[static RW_POD_SECRET_BYTES])
{
    listener->loop = loop;
    listener->secret = secret;
    listener->source = (struct loop_source){.fd = fd, .handle = knock, .context = listener};
    listener->resume = (struct loop_timer){.handle = resume, .context = listener};
    loop_add(loop, &listener->source, EPOLLIN);
}

void listener_stop(struct listener *listener)
{
    while (listener->n_candidates > 0) {
        peer_free(listener->candidates[--listener->n_candidates]);
    }
    loop_timer_clear(listener->loop, &listener->resume);
    close_socket(listener);
    if (listener->unix_path) {
        (void)unlink(listener->unix_path);
        free(rw_take(listener->unix_path));
    }
}
