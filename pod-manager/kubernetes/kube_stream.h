/* A watch stream: JSON objects, one a line, cut and joined by the network as it likes. Pure: bytes in, events out.
 * The format: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes */
#ifndef KUBE_STREAM_H
#define KUBE_STREAM_H

#include <cjson/cJSON.h>

#include <rw/lines.h>

enum kube_event_type { KUBE_ADDED, KUBE_MODIFIED, KUBE_DELETED, KUBE_BOOKMARK, KUBE_ERROR, _KUBE_EVENT_MAX };

struct kube_event {
    enum kube_event_type type;
    const cJSON *object; /* borrowed; of KUBE_ERROR a Status */
};

enum { KUBE_OBJECT_BYTES_MAX = 16 * 1024 * 1024 }; /* a page of a list; etcd bounds one object to 1.5 MiB by default */

struct kube_stream {
    struct rw_lines lines;
};

/* Return false to stop: the rest of the bytes is dropped. */
typedef bool (*kube_event_each)(void *arg, const struct kube_event *event);

void kube_stream_init(struct kube_stream *stream);
void kube_stream_done(struct kube_stream *stream);
void kube_stream_clear(struct kube_stream *stream); /* for a new connection */
/* PROTOCOL when a line is no watch event, TOO_LARGE past KUBE_OBJECT_BYTES_MAX; the stream is of no use afterwards. */
RW_NODISCARD int kube_stream_feed(struct kube_stream *stream, struct rw_bytes bytes, kube_event_each each, void *arg,
                                  struct rw_error *err);

/* Parse one object as the API server sends it, within the bounds of this client. */
RW_NODISCARD int kube_json_parse(struct rw_bytes text, cJSON **ret_json, struct rw_error *err);

/* Percent-encoded for a query or one part of a path (RFC 3986, section 2.3: only unreserved characters stay). Owned by the caller. */
char *kube_encode(const char *text);

#endif
