/* Random bytes from the kernel (getrandom). Never fails once the pool is initialised; aborts otherwise. */
#ifndef RW_RANDOM_H
#define RW_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void rw_random_bytes(void *out, size_t len);
uint32_t rw_random_below(uint32_t bound); /* uniform in [0, bound); bound > 0 */

#endif
