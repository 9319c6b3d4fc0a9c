/* The query argument `wait`: seconds from 0 to a maximum, decimals permitted. Pure. */
#ifndef API_WAIT_H
#define API_WAIT_H

#include <rw/json.h>

#include "waiters.h"

/* text: NULL when it was not given. FIELDS, with the field in errors. */
RW_NODISCARD int wait_parse(const char *text, uint32_t max_s, struct wait *ret_wait, struct rw_field_errors *errors,
                            struct rw_error *err);

#endif
