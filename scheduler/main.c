/* runwave-scheduler: takes tasks from the queues, claims them, has them run in pods and records their results.
 *
 * Theory of operation. RabbitMQ delivers a task's id (deliveries.c). The task joins the hand (hand.c), and when its turn has
 * come (policy.c) an attempt begins (attempt.c, by the rules of attempt_rules.c): it claims the row (store.c), leases a pod
 * (leases.c), talks to the pod's runner (runner_link.c), records the result (attempt_settle.c), tells waiting api-servers
 * (events.c); then the delivery is acknowledged. Meanwhile the claims are renewed together (renewals.c), and whatever fell by
 * the wayside is picked up (sweep.c, dead_letters.c). docs/delivery.md says what this promises and why it holds. */
#include "scheduler.h"

int main(int argc, char **argv)
{
    return rw_daemon_main(&scheduler_daemon, argc, argv);
}
