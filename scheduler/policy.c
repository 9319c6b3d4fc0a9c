/* Policy: see policy.h. The credit of a priority that has nothing to start is forgotten, so that nobody saves up for a burst. */
#include "policy.h"

#include <string.h>

static const int32_t weights[_RW_PRIORITY_MAX] = {[RW_PRIORITY_HIGH] = 16, [RW_PRIORITY_NORMAL] = 4, [RW_PRIORITY_LOW] = 1};

void policy_init(struct policy *policy, size_t n_languages, uint32_t running_max, uint32_t leasing_max)
{
    memset(policy, 0, sizeof(*policy));
    policy->n_languages = n_languages;
    policy->running_max = running_max;
    policy->leasing_max = leasing_max;
}

void policy_arrived(struct policy *policy, size_t language, enum rw_priority priority)
{
    policy->languages[language].waiting[priority]++;
}

void policy_withdrawn(struct policy *policy, size_t language, enum rw_priority priority)
{
    policy->languages[language].waiting[priority]--;
}

static bool is_before(const struct policy_language *a, const struct policy_language *b)
{
    return a->in_flight != b->in_flight ? a->in_flight < b->in_flight : a->served_at < b->served_at;
}

/* The language whose turn it is at this priority; n_languages when none may start. */
static size_t choose_language(const struct policy *policy, enum rw_priority priority)
{
    size_t best = policy->n_languages;
    for (size_t i = 0; i < policy->n_languages; i++) {
        const struct policy_language *language = &policy->languages[i];
        if (language->waiting[priority] == 0 || language->leasing >= policy->leasing_max) {
            continue;
        }
        if (best == policy->n_languages || is_before(language, &policy->languages[best])) {
            best = i;
        }
    }
    return best;
}

bool policy_next(struct policy *policy, size_t *ret_language, enum rw_priority *ret_priority)
{
    if (policy->in_flight >= policy->running_max) {
        return false;
    }
    size_t languages[_RW_PRIORITY_MAX];
    enum rw_priority best = _RW_PRIORITY_MAX;
    int32_t weight_sum = 0;
    for (enum rw_priority p = RW_PRIORITY_HIGH; p < _RW_PRIORITY_MAX; p++) {
        languages[p] = choose_language(policy, p);
        if (languages[p] == policy->n_languages) {
            policy->credit[p] = 0;
            continue;
        }
        policy->credit[p] += weights[p];
        weight_sum += weights[p];
        if (best == _RW_PRIORITY_MAX || policy->credit[p] > policy->credit[best]) {
            best = p;
        }
    }
    if (best == _RW_PRIORITY_MAX) {
        return false;
    }
    policy->credit[best] -= weight_sum;
    struct policy_language *language = &policy->languages[languages[best]];
    language->waiting[best]--;
    language->in_flight++;
    language->leasing++;
    language->served_at = ++policy->turn;
    policy->in_flight++;
    *ret_language = languages[best];
    *ret_priority = best;
    return true;
}

void policy_pod(struct policy *policy, size_t language, bool has_pod)
{
    if (has_pod) {
        policy->languages[language].leasing--;
    } else {
        policy->languages[language].leasing++;
    }
}

void policy_ended(struct policy *policy, size_t language, bool had_pod)
{
    policy->in_flight--;
    policy->languages[language].in_flight--;
    if (!had_pod) {
        policy->languages[language].leasing--;
    }
}
