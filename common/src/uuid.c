/* UUIDs of version 7: 48 bits of milliseconds, then 74 random bits around version and variant. */
#include <rw/uuid.h>

#include <stdbool.h>
#include <string.h>

#include <rw/clock.h>
#include <rw/random.h>

#include "hex.h"

static bool is_hyphen_place(size_t place)
{
    return place == 8 || place == 13 || place == 18 || place == 23;
}

struct rw_uuid rw_uuid_v7(void)
{
    struct rw_uuid uuid;
    rw_random_bytes(uuid.bytes, sizeof(uuid.bytes));
    uint64_t now_ms = (uint64_t)(rw_realtime_us() / 1000);
    for (size_t i = 0; i < 6; i++) {
        uuid.bytes[i] = (uint8_t)(now_ms >> (40 - 8 * i));
    }
    uuid.bytes[6] = (uint8_t)(0x70 | (uuid.bytes[6] & 0x0F));
    uuid.bytes[8] = (uint8_t)(0x80 | (uuid.bytes[8] & 0x3F));
    return uuid;
}

char *rw_uuid_format(const struct rw_uuid *uuid, char out[static RW_UUID_TEXT_BYTES])
{
    size_t place = 0;
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (is_hyphen_place(place)) {
            out[place++] = '-';
        }
        rw_hex_write(&uuid->bytes[i], 1, out + place);
        place += 2;
    }
    out[place] = '\0';
    return out;
}

int rw_uuid_parse(const char *text, struct rw_uuid *ret_uuid, struct rw_error *err)
{
    if (strnlen(text, RW_UUID_TEXT_BYTES) != RW_UUID_TEXT_BYTES - 1) {
        return rw_fail(err, INVALID, "a UUID has 36 characters");
    }
    struct rw_uuid uuid = {0};
    size_t digits = 0;
    for (size_t place = 0; place < RW_UUID_TEXT_BYTES - 1; place++) {
        if (is_hyphen_place(place)) {
            if (text[place] != '-') {
                return rw_fail(err, INVALID, "a UUID has a hyphen at character %zu", place + 1);
            }
            continue;
        }
        int value = rw_hex_value(text[place]);
        if (value < 0) {
            return rw_fail(err, INVALID, "not a hexadecimal digit at character %zu of a UUID", place + 1);
        }
        uuid.bytes[digits / 2] = (uint8_t)(uuid.bytes[digits / 2] << 4 | value);
        digits++;
    }
    *ret_uuid = uuid;
    return 0;
}
