/* Texts of JSON answers, with the NUL characters that the parser cannot hold carried past it; see text.c. */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <cjson/cJSON.h>

#include <rw/bytes.h>

/* Append the JSON text to *out with every NUL character inside its strings guarded. TOO_LARGE. */
RW_NODISCARD int text_guard(struct rw_bytes json, struct rw_buffer *out, struct rw_error *err);
/* Append the bytes that a string of a guarded JSON text stands for. TOO_LARGE. */
RW_NODISCARD int text_restore(const char *text, struct rw_buffer *out, struct rw_error *err);
/* A member's text, borrowed and still guarded; "" when there is none. */
const char *text_member(const cJSON *object, const char *key);

#endif
