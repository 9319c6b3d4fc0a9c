/* HTTP to one server: blocking calls over one libcurl easy handle, so that the calls of one command share a connection. */
#ifndef CLI_TRANSPORT_H
#define CLI_TRANSPORT_H

#include <rw/auto.h>
#include <rw/bytes.h>

struct transport;

struct transport_reply {
    int status;
    struct rw_buffer body;
};

/* server: "http://HOST:PORT", "https://...", or "unix:PATH". token: what the server asks for as a bearer token; may be NULL. Both
 * are copied. INVALID. */
RW_NODISCARD int transport_open(const char *server, const char *token, struct transport **ret_transport, struct rw_error *err);
void transport_close(struct transport *transport);
RW_DEFINE_AUTO(struct transport *, transport_close);

/* body: NULL for GET, else the JSON text to POST. The answer's body replaces what is in reply->body, which the caller made with
 * rw_buffer_init. An answer of any status is a success. UNAVAILABLE (not connected: nothing was sent), TIMEOUT, TOO_LARGE, INVALID
 * (the server's address), IO. */
RW_NODISCARD int transport_call(struct transport *transport, const char *path, const char *body, uint32_t timeout_ms,
                                struct transport_reply *reply, struct rw_error *err);

#endif
