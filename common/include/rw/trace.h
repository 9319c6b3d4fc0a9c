/* W3C Trace Context, level 1: the traceparent header, carried from the request through queue, scheduler and runner and back. */
#ifndef RW_TRACE_H
#define RW_TRACE_H

#include <rw/error.h>

enum { RW_TRACEPARENT_BYTES = 56, RW_TRACE_ID_BYTES = 33 };

struct rw_trace {
    char traceparent[RW_TRACEPARENT_BYTES]; /* "00-<32 hex>-<16 hex>-<2 hex>" */
};

void rw_trace_new(struct rw_trace *trace); /* fresh ids, sampled */
/* INVALID when the text is not a version-00 traceparent with non-zero ids in lower-case hex. */
RW_NODISCARD int rw_trace_parse(const char *text, struct rw_trace *ret_trace, struct rw_error *err);
void rw_trace_child(const struct rw_trace *parent, struct rw_trace *ret_child); /* same trace id, new parent id */
/* The 32 hex digits of the trace id; "" when the trace is unset. */
void rw_trace_id(const struct rw_trace *trace, char out[static RW_TRACE_ID_BYTES]);

#endif
