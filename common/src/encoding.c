/* Text encodings of bytes, on libunistring and libsodium. */
#include <rw/encoding.h>

#include <rw/auto.h>
#include <sodium.h>
#include <string.h>
#include <unistr.h>

bool rw_utf8_is_valid(struct rw_bytes bytes)
{
    return bytes.len == 0 || u8_check(bytes.data, bytes.len) == NULL;
}

bool rw_utf8_is_text(struct rw_bytes bytes)
{
    return bytes.len == 0 || (!memchr(bytes.data, '\0', bytes.len) && rw_utf8_is_valid(bytes));
}

char *rw_base64_encode(struct rw_bytes bytes)
{
    size_t size = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = rw_xmalloc(size);
    return sodium_bin2base64(text, size, bytes.len ? bytes.data : (const uint8_t *)"", bytes.len, sodium_base64_VARIANT_ORIGINAL);
}

/* libsodium 1.0.18 takes some bytes past ASCII for digits. */
static bool is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] > 0x7f) {
            return false;
        }
    }
    return true;
}

int rw_base64_decode(const char *text, size_t len, uint8_t **ret_data, size_t *ret_len, struct rw_error *err)
{
    if (len % 4) {
        return rw_fail(err, INVALID, "base64 of a length that is no multiple of 4");
    }
    size_t size = len / 4 * 3;
    size_t used = 0;
    RW_AUTO_FREE uint8_t *data = rw_xmalloc(size);
    if (!is_ascii(text, len) || sodium_base642bin(data, size, text, len, NULL, &used, NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
        return rw_fail(err, INVALID, "not base64");
    }
    *ret_data = rw_take(data);
    *ret_len = used;
    return 0;
}
