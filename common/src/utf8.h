/* One step of UTF-8 decoding for the base library, which links no Unicode library. The full library checks with libunistring;
 * a unit test holds the two against each other. */
#ifndef RW_SRC_UTF8_H
#define RW_SRC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length in bytes (1 to 4) of the well-formed sequence (Unicode 15, table 3-7) at the front of data, 0 when there is none. */
static inline size_t rw_utf8_step(const uint8_t *data, size_t len)
{
    /* By lead byte: how many bytes follow, and what the first of them may be (this is what excludes overlong forms and
     * surrogates). */
    static const struct {
        uint8_t lead_min, lead_max, follow, first_min, first_max;
    } rows[] = {
        {0x00, 0x7F, 0, 0x00, 0x00}, {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF},
        {0xE1, 0xEC, 2, 0x80, 0xBF}, {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF},
        {0xF0, 0xF0, 3, 0x90, 0xBF}, {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
    };
    for (size_t i = 0; len && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (data[0] < rows[i].lead_min || data[0] > rows[i].lead_max) {
            continue;
        }
        if (len <= rows[i].follow || (rows[i].follow && (data[1] < rows[i].first_min || data[1] > rows[i].first_max))) {
            return 0;
        }
        for (size_t k = 2; k <= rows[i].follow; k++) {
            if (data[k] < 0x80 || data[k] > 0xBF) {
                return 0;
            }
        }
        return rows[i].follow + (size_t)1;
    }
    return 0;
}

/* Whether text is well-formed UTF-8 throughout and holds no NUL. */
static inline bool rw_utf8_is_all(const char *text, size_t len)
{
    size_t step;
    for (size_t place = 0; place < len; place += step) {
        step = rw_utf8_step((const uint8_t *)text + place, len - place);
        if (step == 0 || text[place] == '\0') {
            return false;
        }
    }
    return true;
}

#endif
