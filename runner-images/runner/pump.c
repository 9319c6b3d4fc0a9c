/* Pumps and the feeder. What is past the cap is read and thrown away, so that the code's writes never block and what the verdict says
 * ("more than the limit") was seen and not guessed. */
#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void close_source(struct loop *loop, struct loop_source *source)
{
    if (source->fd >= 0) {
        loop_remove(loop, source);
        (void)close(source->fd);
        source->fd = -1;
    }
}

static void keep(struct pump *pump, const uint8_t *data, size_t len)
{
    uint64_t room = pump->bytes_max - pump->bytes_kept;
    size_t kept = len < room ? len : (size_t)room;
    if (kept > 0) {
        pump->bytes_kept += kept;
        pump->data(pump->context, pump->stream, rw_bytes_of(data, kept));
    }
    if (kept < len && !pump->is_exceeded) {
        pump->is_exceeded = true;
        pump->exceeded(pump->context);
    }
}

/* Returns false when there is nothing (more) to read now. */
static bool read_once(struct pump *pump)
{
    uint8_t bytes[RW_OUTPUT_CHUNK_BYTES_MAX];
    ssize_t n = read(pump->source.fd, bytes, sizeof(bytes));
    if (n > 0) {
        keep(pump, bytes, (size_t)n);
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_source(pump->loop, &pump->source);
    }
    return false;
}

static void handle_output(void *context, uint32_t events)
{
    (void)events;
    (void)read_once(context);
}

void pump_start(struct pump *pump, struct loop *loop, int fd, uint64_t bytes_max)
{
    pump->loop = loop;
    pump->source = (struct loop_source){.fd = fd, .handle = handle_output, .context = pump};
    pump->bytes_max = bytes_max;
    pump->bytes_kept = 0;
    pump->is_exceeded = false;
    loop_add(loop, &pump->source, EPOLLIN);
}

void pump_drain(struct pump *pump)
{
    while (pump->source.fd >= 0 && read_once(pump)) {
    }
    close_source(pump->loop, &pump->source);
}

static void handle_input(void *context, uint32_t events)
{
    struct feeder *feeder = context;
    (void)events;
    ssize_t n = write(feeder->source.fd, feeder->data + feeder->done, feeder->len - feeder->done);
    if (n > 0) {
        feeder->done += (size_t)n;
    }
    bool is_broken = n < 0 && errno != EAGAIN && errno != EINTR;
    if (is_broken || feeder->done == feeder->len) {
        feeder_stop(feeder);
    }
}

void feeder_start(struct feeder *feeder, struct loop *loop, int fd, uint8_t *data, size_t len)
{
    *feeder = (struct feeder){.loop = loop, .data = data, .len = len};
    feeder->source = (struct loop_source){.fd = fd, .handle = handle_input, .context = feeder};
    loop_add(loop, &feeder->source, EPOLLOUT);
    if (len == 0) {
        feeder_stop(feeder);
    }
}

void feeder_stop(struct feeder *feeder)
{
    if (feeder->loop) {
        close_source(feeder->loop, &feeder->source);
    }
    free(feeder->data);
    feeder->data = NULL;
}
