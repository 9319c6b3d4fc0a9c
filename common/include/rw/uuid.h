/* UUIDs: version 7 (RFC 9562, section 5.7), so that task ids sort by time of birth; 74 random bits keep them unguessable. */
#ifndef RW_UUID_H
#define RW_UUID_H

#include <stdint.h>

#include <rw/error.h>

enum { RW_UUID_TEXT_BYTES = 37 };

struct rw_uuid {
    uint8_t bytes[16];
};

struct rw_uuid rw_uuid_v7(void);
/* Lower-case canonical text with NUL into out; returns out. */
char *rw_uuid_format(const struct rw_uuid *uuid, char out[static RW_UUID_TEXT_BYTES]);
/* Exactly 36 characters, hex of either case, hyphens in place; INVALID otherwise. */
RW_NODISCARD int rw_uuid_parse(const char *text, struct rw_uuid *ret_uuid, struct rw_error *err);

#endif
