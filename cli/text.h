/* NUL characters of JSON strings, carried through a parser that cannot hold them; see text.c. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <rw/bytes.h>

/* Append the JSON text to *out with every NUL character inside its strings guarded. TOO_LARGE. */
RW_NODISCARD int text_guard(struct rw_bytes json, struct rw_buffer *out, struct rw_error *err);
/* Append the bytes that a string of a guarded JSON text stands for. TOO_LARGE. */
RW_NODISCARD int text_restore(const char *text, struct rw_buffer *out, struct rw_error *err);

#endif
