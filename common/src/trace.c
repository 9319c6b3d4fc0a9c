/* W3C trace context: "00-<32 hex trace id>-<16 hex parent id>-<2 hex flags>". */
#include <rw/trace.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <rw/random.h>

#include "hex.h"

enum { TRACE_ID = 3, TRACE_ID_DIGITS = 32, PARENT_ID = 36, PARENT_ID_DIGITS = 16, FLAGS = 53, FLAGS_DIGITS = 2 };

/* Random hex digits that are not all zero. */
static void write_random_id(char *out, size_t digits)
{
    uint8_t id[16];
    rw_random_bytes(id, sizeof(id));
    id[0] |= 1;
    rw_hex_write(id, digits / 2, out);
}

static bool is_lower_hex(const char *text, size_t digits)
{
    for (size_t i = 0; i < digits; i++) {
        if (rw_hex_value(text[i]) < 0 || (text[i] >= 'A' && text[i] <= 'F')) {
            return false;
        }
    }
    return true;
}

static bool is_zero(const char *text, size_t digits)
{
    return strspn(text, "0") >= digits;
}

void rw_trace_new(struct rw_trace *trace)
{
    memcpy(trace->traceparent, "00-00000000000000000000000000000000-0000000000000000-01", RW_TRACEPARENT_BYTES);
    write_random_id(trace->traceparent + TRACE_ID, TRACE_ID_DIGITS);
    write_random_id(trace->traceparent + PARENT_ID, PARENT_ID_DIGITS);
}

int rw_trace_parse(const char *text, struct rw_trace *ret_trace, struct rw_error *err)
{
    if (strnlen(text, RW_TRACEPARENT_BYTES) != RW_TRACEPARENT_BYTES - 1) {
        return rw_fail(err, INVALID, "a traceparent has %d characters", RW_TRACEPARENT_BYTES - 1);
    }
    if (memcmp(text, "00-", 3) != 0 || text[PARENT_ID - 1] != '-' || text[FLAGS - 1] != '-' ||
        !is_lower_hex(text + TRACE_ID, TRACE_ID_DIGITS) || !is_lower_hex(text + PARENT_ID, PARENT_ID_DIGITS) ||
        !is_lower_hex(text + FLAGS, FLAGS_DIGITS)) {
        return rw_fail(err, INVALID, "not a traceparent of version 00");
    }
    if (is_zero(text + TRACE_ID, TRACE_ID_DIGITS) || is_zero(text + PARENT_ID, PARENT_ID_DIGITS)) {
        return rw_fail(err, INVALID, "a traceparent with an id of zeros");
    }
    memcpy(ret_trace->traceparent, text, RW_TRACEPARENT_BYTES);
    return 0;
}

void rw_trace_child(const struct rw_trace *parent, struct rw_trace *ret_child)
{
    *ret_child = *parent;
    if (parent->traceparent[0]) {
        write_random_id(ret_child->traceparent + PARENT_ID, PARENT_ID_DIGITS);
    }
}

void rw_trace_id(const struct rw_trace *trace, char out[static RW_TRACE_ID_BYTES])
{
    out[0] = '\0';
    if (trace->traceparent[0]) {
        memcpy(out, trace->traceparent + TRACE_ID, TRACE_ID_DIGITS);
        out[TRACE_ID_DIGITS] = '\0';
    }
}
