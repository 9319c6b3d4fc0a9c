/* What the Docker Engine says, read. Pure: bytes and objects in, facts out. https://docs.docker.com/reference/api/engine/ */
#ifndef ENGINE_TEXT_H
#define ENGINE_TEXT_H

#include <cjson/cJSON.h>

#include <rw/lines.h>

enum {
    ENGINE_NAME_BYTES = 64,                    /* of a pod, with its NUL; longer ones are not ours */
    ENGINE_ANSWER_BYTES_MAX = 8 * 1024 * 1024, /* a list of thousands of containers */
    ENGINE_EVENT_BYTES_MAX = 64 * 1024,
    ENGINE_DETAIL_BYTES = 200,
};

/* Versions of the API: what we use has not changed in between. */
enum { ENGINE_API_MINOR_MIN = 40, ENGINE_API_MINOR_MAX = 51 };

RW_NODISCARD int engine_json_parse(struct rw_bytes text, cJSON **ret_json, struct rw_error *err);

/* From the answer to /version: the newest version that both sides know, as its minor number. UNSUPPORTED. */
RW_NODISCARD int engine_version_choose(const cJSON *version, unsigned *ret_minor, struct rw_error *err);

/* ---- events ---- */

enum engine_event_type { ENGINE_CREATED, ENGINE_DIED, ENGINE_DESTROYED, _ENGINE_EVENT_MAX };

struct engine_event {
    enum engine_event_type type;
    const char *pod; /* by its label; borrowed */
};

struct engine_stream {
    struct rw_lines lines;
};

void engine_stream_init(struct engine_stream *stream);
void engine_stream_done(struct engine_stream *stream);
/* One JSON object a line, cut and joined as it likes; events that are none of ours are passed over. PROTOCOL when a line is no
 * event, TOO_LARGE when it does not end; the stream is of no use afterwards. */
RW_NODISCARD int engine_stream_feed(struct engine_stream *stream, struct rw_bytes bytes,
                                    void (*each)(void *arg, const struct engine_event *event), void *arg, struct rw_error *err);

/* ---- a container's state ---- */

struct engine_state {
    bool is_running; /* or may be yet */
    bool is_oom_killed;
    int exit_code;
    char detail[ENGINE_DETAIL_BYTES]; /* how it ended, for people */
};

/* From the answer to /containers/NAME/json. PROTOCOL when it has no state. */
RW_NODISCARD int engine_state_read(const cJSON *container, struct engine_state *ret_state, struct rw_error *err);

#endif
