/* The protocol's states of one connection:
 *
 *   AWAITS_HELLO --hello--> AWAITS_JOB --job with the scheduler's proof--> HAS_JOB --stdin, cancel--> HAS_JOB
 *        any --anything else--> REFUSED
 *
 * Before the hello a peer may send a frame of some hundred bytes only, so that strangers cannot make us hold much. */
#include "link.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include <rw/random.h>

enum { HELLO_BYTES_MAX = 512, OUT_BYTES_MAX = 512 * 1024 * 1024 };

void link_init(struct link *link, const uint8_t secret[static RW_POD_SECRET_BYTES])
{
    *link = (struct link){.state = LINK_AWAITS_HELLO, .secret = secret};
    rw_frame_reader_init(&link->reader, RW_FRAME_BYTES_MAX);
    link->reader.frame_bytes_max = HELLO_BYTES_MAX;
    /* Not reserved: what can get into it is bounded by the output limits of the job. */
    rw_buffer_init(&link->out, OUT_BYTES_MAX);
}

void link_done(struct link *link)
{
    rw_frame_reader_done(&link->reader);
    rw_buffer_done(&link->out);
    sodium_memzero(link->runner_nonce, sizeof(link->runner_nonce));
}

void link_send(struct link *link, const struct rw_message *message)
{
    if (rw_message_encode(message, &link->out, NULL) < 0) {
        abort();
    }
}

void link_refuse(struct link *link, const char *reason)
{
    struct rw_message message = {.type = RW_MESSAGE_REFUSED};
    (void)snprintf(message.reason, sizeof(message.reason), "%s", reason);
    link_send(link, &message);
    link->state = LINK_REFUSED;
}

void link_feed(struct link *link, struct rw_bytes bytes)
{
    if (link->state != LINK_REFUSED && rw_frame_reader_feed(&link->reader, bytes, NULL) < 0) {
        link_refuse(link, "protocol");
    }
}

static void answer_hello(struct link *link, const struct rw_message *hello)
{
    uint8_t proof[RW_PROOF_BYTES];
    memcpy(link->scheduler_nonce, hello->nonce.data, RW_NONCE_BYTES);
    link->lease_id = hello->lease_id;
    rw_random_bytes(link->runner_nonce, sizeof(link->runner_nonce));
    rw_proof_make(link->secret, RW_ROLE_RUNNER, link->scheduler_nonce, link->runner_nonce, &link->lease_id, proof);
    link_send(link, &(struct rw_message){.type = RW_MESSAGE_HELLO,
                                         .nonce = rw_bytes_of(link->runner_nonce, RW_NONCE_BYTES),
                                         .proof = rw_bytes_of(proof, sizeof(proof))});
    link->reader.frame_bytes_max = RW_FRAME_BYTES_MAX;
    link->state = LINK_AWAITS_JOB;
}

static enum link_event refuse(struct link *link, const char *reason)
{
    link_refuse(link, reason);
    return LINK_EVENT_REFUSED;
}

static enum link_event take_message(struct link *link, const struct rw_message *message)
{
    switch (link->state) {
    case LINK_AWAITS_HELLO:
        /* A hello with a proof is a runner's. */
        if (message->type != RW_MESSAGE_HELLO || message->proof.len != 0) {
            return refuse(link, "protocol");
        }
        answer_hello(link, message);
        return LINK_EVENT_NONE;
    case LINK_AWAITS_JOB:
        if (message->type != RW_MESSAGE_JOB) {
            return refuse(link, "protocol");
        }
        if (!rw_proof_check(link->secret, RW_ROLE_SCHEDULER, link->scheduler_nonce, link->runner_nonce, &link->lease_id,
                            message->proof)) {
            return refuse(link, "proof");
        }
        link->state = LINK_HAS_JOB;
        return LINK_EVENT_JOB;
    case LINK_HAS_JOB:
        if (message->type == RW_MESSAGE_STDIN) {
            return LINK_EVENT_STDIN;
        }
        return message->type == RW_MESSAGE_CANCEL ? LINK_EVENT_CANCEL : refuse(link, "protocol");
    case LINK_REFUSED:
        break;
    }
    return LINK_EVENT_REFUSED;
}

enum link_event link_next(struct link *link, struct rw_message *ret_message)
{
    enum link_event event = link->state == LINK_REFUSED ? LINK_EVENT_REFUSED : LINK_EVENT_NONE;
    while (event == LINK_EVENT_NONE) {
        struct rw_bytes payload;
        int status = rw_frame_reader_next(&link->reader, &payload, NULL);
        if (status == 0) {
            return LINK_EVENT_NONE;
        }
        if (status < 0 || rw_message_decode(payload, ret_message, NULL) < 0) {
            return refuse(link, "protocol");
        }
        event = take_message(link, ret_message);
    }
    return event;
}
