/* Between manager.c and manager_pods.c. */
#ifndef MANAGER_INTERNAL_H
#define MANAGER_INTERNAL_H

#include "manager.h"

void manager_decide(struct manager *manager, int64_t now_ms);

struct manager_pool *manager_pool_of(struct manager *manager, const struct manager_pod *pod);
void manager_create_pod(struct manager *manager, const struct pool_action *action);
void manager_destroy_pod(struct manager *manager, const struct pool_action *action, int64_t now_ms);
extern const struct backend_events manager_events; /* arg is the manager's */

#endif
