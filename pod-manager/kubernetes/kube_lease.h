/* One active pod-manager at a time, by a coordination.k8s.io/v1 Lease, as client-go's leader election does it: local clocks only, and no
 * promise that two never believe they lead. It is for efficiency; that two at once are harmless is kept elsewhere (runners are one-shot,
 * writes carry uids). https://kubernetes.io/docs/concepts/architecture/leases/ */
#ifndef KUBE_LEASE_H
#define KUBE_LEASE_H

#include "kube_client.h"

struct kube_lease;

struct kube_lease_options {
    struct kube_client *client;
    uv_loop_t *loop;
    const char *namespace_;
    const char *name;
    const char *identity; /* of this process, unique: the pod's name and a random part */
    uint32_t duration_ms; /* others wait that long after they last saw the lease change */
    uint32_t deadline_ms; /* the leader steps down when it could not renew for so long; less than the duration */
    uint32_t retry_ms;
    /* Once it is known who leads, and whenever that changes. holder: of the lease, as last seen; "" for nobody. */
    void (*changed)(void *arg, bool is_leader, const char *holder);
    void *arg;
};

struct kube_lease *kube_lease_open(const struct kube_lease_options *options);
bool kube_lease_is_held(const struct kube_lease *lease);
/* Gives the lease up so that another one need not wait for it to run out, then calls done (always, within a second). */
void kube_lease_release(struct kube_lease *lease, void (*done)(void *arg), void *arg);
void kube_lease_close(struct kube_lease *lease);

#endif
