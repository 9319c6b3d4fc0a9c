/* A request's body: what is accepted can be written, and reads as the same again. What the walk lets pass cJSON must take. */
#include "fuzz.h"

#include <rw/json.h>
#include <string.h>

static const struct rw_json_limits limits = {.bytes_max = 64 * 1024, .depth_max = 16, .values_max = 2000};
static const struct rw_json_limits again_limits = {.bytes_max = 1024 * 1024, .depth_max = 16, .values_max = 2000};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rw_error err = {0};
    RW_AUTO(cJSON_Delete) cJSON *json = NULL;
    RW_AUTO(cJSON_Delete) cJSON *again = NULL;
    if (rw_json_parse(rw_bytes_of(data, size), &limits, &json, &err) < 0) {
        HOLDS((err.code == RW_ERR_INVALID || err.code == RW_ERR_TOO_LARGE) && !json);
    } else {
        size_t len;
        RW_AUTO_FREE char *printed = rw_json_print(json, &len);
        /* cJSON writes 9e16 + 0.5 without its fraction, and so as an integer that is too large to be told exactly. */
        if (rw_json_parse(rw_bytes_of(printed, len), &again_limits, &again, &err) < 0) {
            HOLDS(strstr(err.message, "integer past 2^53"));
        } else {
            HOLDS(cJSON_Compare(json, again, true));
        }
    }
    /* Whatever bytes a program puts out can be told in an answer. */
    RW_AUTO(cJSON_Delete) cJSON *answer = cJSON_CreateObject();
    rw_json_add_bytes(answer, "stdout", rw_bytes_of(data, size < 4096 ? size : 4096));
    RW_AUTO_FREE char *printed = rw_json_print(answer, NULL);
    HOLDS(strstr(printed, "\"stdout\":\"") == printed + 1);
    return 0;
}
