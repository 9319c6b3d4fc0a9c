/* Hexadecimal digits, shared by UUIDs, trace contexts and percent-encoding. */
#ifndef RW_SRC_HEX_H
#define RW_SRC_HEX_H

#include <stddef.h>
#include <stdint.h>

static inline void rw_hex_write(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
}

/* 0 to 15, or -1. */
static inline int rw_hex_value(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

#endif
