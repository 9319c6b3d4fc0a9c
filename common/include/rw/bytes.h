/* Bytes: a borrowed view, and a growing buffer with a bound. Outputs of strangers' code are bytes, never text. */
#ifndef RW_BYTES_H
#define RW_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rw/error.h>

struct rw_bytes {
    const uint8_t *data; /* borrowed; may be NULL when len is 0 */
    size_t len;
};

static inline struct rw_bytes rw_bytes_of(const void *data, size_t len)
{
    return (struct rw_bytes){.data = data, .len = len};
}

struct rw_buffer {
    uint8_t *data; /* owned */
    size_t len;
    size_t capacity;
    size_t len_max; /* appending past it is refused */
};

void rw_buffer_init(struct rw_buffer *buffer, size_t len_max);
void rw_buffer_done(struct rw_buffer *buffer);  /* frees the contents; the struct may be used again after init */
void rw_buffer_clear(struct rw_buffer *buffer); /* keeps the memory */
RW_NODISCARD int rw_buffer_append(struct rw_buffer *buffer, const void *data, size_t len, struct rw_error *err); /* TOO_LARGE */
/* Append as much as fits; returns how many bytes were taken. */
size_t rw_buffer_append_some(struct rw_buffer *buffer, const void *data, size_t len);
RW_NODISCARD int rw_buffer_printf(struct rw_buffer *buffer, struct rw_error *err, const char *fmt, ...) RW_PRINTF(3, 4);
void rw_buffer_consume(struct rw_buffer *buffer, size_t len); /* drop len bytes from the front */
static inline struct rw_bytes rw_buffer_view(const struct rw_buffer *buffer)
{
    return rw_bytes_of(buffer->data, buffer->len);
}
static inline void rw_buffer_donep(struct rw_buffer *buffer)
{
    rw_buffer_done(buffer);
}
#define RW_AUTO_BUFFER __attribute__((cleanup(rw_buffer_donep)))

#endif
