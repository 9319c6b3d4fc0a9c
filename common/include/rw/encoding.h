/* Text encodings of bytes: UTF-8 check, base64, hex. (Full library only: the runner never needs them.) */
#ifndef RW_ENCODING_H
#define RW_ENCODING_H

#include <rw/bytes.h>

/* Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms) and hold no NUL. */
bool rw_utf8_is_text(struct rw_bytes bytes);
/* The same, NUL permitted: what a JSON string can carry, NUL written as \u0000. */
bool rw_utf8_is_valid(struct rw_bytes bytes);
/* Standard base64 with padding (RFC 4648, section 4). Result owned by the caller, NUL-terminated. */
char *rw_base64_encode(struct rw_bytes bytes);
/* Strict decoding: no white space, padding required. INVALID. *ret_data owned by the caller (never NULL on success). */
RW_NODISCARD int rw_base64_decode(const char *text, size_t len, uint8_t **ret_data, size_t *ret_len, struct rw_error *err);

#endif
