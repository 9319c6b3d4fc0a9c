/* Random bytes from the kernel. Ids, nonces and jitter all come from here, so a failure is not survivable. */
#include <rw/random.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

void rw_random_bytes(void *out, size_t len)
{
    uint8_t *next = out;
    while (len) {
        ssize_t got = getrandom(next, len, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            abort();
        }
        next += got;
        len -= (size_t)got;
    }
}

uint32_t rw_random_below(uint32_t bound)
{
    /* The lowest 2^32 mod bound values are thrown away, so that what is left is a whole multiple of bound. */
    uint32_t reject = (uint32_t)(-bound) % bound;
    uint32_t value;
    do {
        rw_random_bytes(&value, sizeof(value));
    } while (value < reject);
    return value % bound;
}
