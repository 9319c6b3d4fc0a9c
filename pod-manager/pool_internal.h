/* Between pool.c (the state) and pool_decide.c (the decisions). */
#ifndef POOL_INTERNAL_H
#define POOL_INTERNAL_H

#include "pool.h"

struct pool_pod *pool_add(struct pools *pools, struct pool *pool, int64_t now_ms); /* a pod in the making */
void pool_take(struct pools *pools, struct pool_pod *pod, int64_t now_ms);         /* one of its free slots */
void pool_doom(struct pools *pools, struct pool_pod *pod, enum pool_why why, int64_t now_ms);
void pool_back_off(struct pool *pool, int64_t now_ms);

#endif
