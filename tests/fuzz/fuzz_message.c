/* A message from the other end of the runner protocol: what decodes can be encoded, and means the same again. */
#include "fuzz.h"

#include <string.h>

#include <rw/frame.h>
#include <rw/runner_protocol.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_error err = {0};
    struct rw_message message, again;
    RW_AUTO_BUFFER struct rw_buffer first;
    RW_AUTO_BUFFER struct rw_buffer second;
    rw_buffer_init(&first, RW_FRAME_BYTES_MAX);
    rw_buffer_init(&second, RW_FRAME_BYTES_MAX);
    if (rw_message_decode(rw_bytes_of(data, size), &message, &err) < 0) {
        HOLDS(err.code == RW_ERR_PROTOCOL && err.message[0]);
        return 0;
    }
    HOLDS(rw_message_encode(&message, &first, &err) == 0);
    struct rw_bytes payload = rw_bytes_of(first.data + RW_FRAME_HEADER_BYTES, first.len - RW_FRAME_HEADER_BYTES);
    HOLDS(rw_message_decode(payload, &again, &err) == 0);
    HOLDS(rw_message_encode(&again, &second, &err) == 0);
    HOLDS(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
    return 0;
}
