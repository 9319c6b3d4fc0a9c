/* The query argument `wait`: digits, with a point and digits behind it or not; no sign, exponent, blank or hexadecimal. */
#include "wait.h"

#include <stdlib.h>
#include <string.h>

enum { WAIT_CHARACTERS_MAX = 16 };

static bool is_decimal(const char *text)
{
    static const char digits[] = "0123456789";
    size_t whole = strspn(text, digits);
    if (whole == 0 || strlen(text) > WAIT_CHARACTERS_MAX) {
        return false;
    }
    if (text[whole] == '\0') {
        return true;
    }
    const char *fraction = text + whole + 1;
    return text[whole] == '.' && *fraction && strspn(fraction, digits) == strlen(fraction);
}

int wait_parse(const char *text, uint32_t max_s, struct wait *ret_wait, struct rw_field_errors *errors, struct rw_error *err)
{
    struct wait wait = {.is_given = text != NULL};
    if (text) {
        double seconds = is_decimal(text) ? strtod(text, NULL) : -1;
        if (seconds < 0 || seconds > max_s) {
            rw_field_errors_add(errors, "wait", "must be a number of seconds from 0 to %u", max_s);
            return rw_fail(err, FIELDS, "wait must be a number of seconds from 0 to %u", max_s);
        }
        wait.ms = (uint32_t)(seconds * 1000.0 + 0.5);
    }
    *ret_wait = wait;
    return 0;
}
