/* The runner's side of a connection: what a stranger may send, and, when the first byte is odd, what a scheduler may that has
 * proved itself. The second byte cuts the stream into pieces. */
#include "fuzz.h"

#include "link.h"

static const uint8_t secret[RW_POD_SECRET_BYTES] = "fuzz";
static const uint8_t nonce[RW_NONCE_BYTES];

static void feed_message(struct link *link, const struct rw_message *message)
{
    struct rw_buffer buffer;
    rw_buffer_init(&buffer, RW_FRAME_BYTES_MAX);
    HOLDS(rw_message_encode(message, &buffer, NULL) == 0);
    link_feed(link, rw_buffer_view(&buffer));
    rw_buffer_done(&buffer);
}

static void prove(struct link *link)
{
    struct rw_message message;
    uint8_t proof[RW_PROOF_BYTES];
    feed_message(link, &(struct rw_message){.type = RW_MESSAGE_HELLO, .nonce = rw_bytes_of(nonce, sizeof(nonce))});
    HOLDS(link_next(link, &message) == LINK_EVENT_NONE);
    rw_proof_make(secret, RW_ROLE_SCHEDULER, nonce, link->runner_nonce, &link->lease_id, proof);
    feed_message(link, &(struct rw_message){.type = RW_MESSAGE_JOB, .proof = rw_bytes_of(proof, sizeof(proof)), .attempt = 1});
    HOLDS(link_next(link, &message) == LINK_EVENT_JOB);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    bool is_proved = (data[0] & 1) != 0;
    size_t piece = (size_t)data[1] + 1;
    struct link link;
    link_init(&link, secret);
    if (is_proved) {
        prove(&link);
    }
    enum link_event event = LINK_EVENT_NONE;
    for (size_t at = 2; at < size && event != LINK_EVENT_REFUSED; at += piece) {
        struct rw_message message;
        link_feed(&link, rw_bytes_of(data + at, size - at < piece ? size - at : piece));
        while ((event = link_next(&link, &message)) != LINK_EVENT_NONE && event != LINK_EVENT_REFUSED) {
            HOLDS(event != LINK_EVENT_JOB); /* a proof was guessed, or a second job taken otherwise */
        }
    }
    link_done(&link);
    return 0;
}
