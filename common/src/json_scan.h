/* The walk over a JSON text before cJSON may see it. Internal to common/src. */
#ifndef RW_SRC_JSON_SCAN_H
#define RW_SRC_JSON_SCAN_H

#include <rw/json.h>

/* INVALID with the byte offset unless text is exactly one JSON document (RFC 8259) within limits, of well-formed UTF-8, without
 * NUL, \u0000, lone surrogates, infinite numbers or integers past 2^53. TOO_LARGE past limits->bytes_max. Takes no memory. */
RW_NODISCARD int rw_json_scan(struct rw_bytes text, const struct rw_json_limits *limits, struct rw_error *err);

#endif
