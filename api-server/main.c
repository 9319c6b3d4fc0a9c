/* runwave-api: HTTP in front of everything else. It accepts tasks, keeps them in PostgreSQL, tells RabbitMQ their ids, and answers
 * with results. README.md in this folder says where what is. */
#include "api.h"

int main(int argc, char **argv)
{
    return rw_daemon_main(&api_daemon, argc, argv);
}
