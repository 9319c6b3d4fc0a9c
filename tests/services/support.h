/* What the programs against real servers share: where the servers are (environment), and running a loop until something happened.
 * tests/integration/test_services.py starts the servers and these programs. */
#ifndef SERVICES_SUPPORT_H
#define SERVICES_SUPPORT_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include <rw/config.h>

/* The value, or the end of the program: a test without its server has not passed. */
const char *need_env(const char *name);
struct rw_config_database database_config(void); /* RUNWAVE_TEST_PG_HOST, _PORT, _USER, _NAME */
const char *database_password(void);             /* RUNWAVE_TEST_PG_PASSWORD */
struct rw_config_broker broker_config(void);     /* RUNWAVE_TEST_AMQP_HOST, _PORT, _USER, _VHOST */
const char *broker_password(void);               /* RUNWAVE_TEST_AMQP_PASSWORD */
uint32_t patience_ms(void);                      /* how long a test waits before it fails; RUNWAVE_TEST_SLOWNESS multiplies it */
void pause_ms(unsigned ms);

/* Runs the loop until *counter reaches wanted; false when patience ended. */
bool run_until(uv_loop_t *loop, const unsigned *counter, unsigned wanted);
/* Runs the loop for that long, whatever happens. */
void run_for(uv_loop_t *loop, unsigned ms);
/* Runs what is left and closes the loop; false when a handle was left open. */
bool finish_loop(uv_loop_t *loop);

#endif
