/* What libpq is given to connect, as keywords: a conninfo string would hold the password and end in somebody's log.
 * TLS follows libpq's own environment (PGSSLMODE, PGSSLROOTCERT). */
#include "pg_internal.h"

#include <stdio.h>

static void add(struct pg_keywords *keywords, size_t *at, const char *key, const char *value)
{
    if (value && *at < PG_KEYWORDS_MAX) {
        keywords->keys[*at] = key;
        keywords->values[*at] = value;
        (*at)++;
    }
}

void pg_keywords_fill(struct pg_keywords *keywords, const struct rw_config_database *config, const char *password,
                      const char *host_address, const char *application_name, uint32_t statement_timeout_ms)
{
    *keywords = (struct pg_keywords){.keys = {NULL}};
    (void)snprintf(keywords->port, sizeof(keywords->port), "%u", config->port);
    (void)snprintf(keywords->options, sizeof(keywords->options), "-c statement_timeout=%u", statement_timeout_ms);
    size_t at = 0;
    add(keywords, &at, "host", config->host);
    add(keywords, &at, "hostaddr", host_address);
    add(keywords, &at, "port", config->port ? keywords->port : NULL);
    add(keywords, &at, "dbname", config->name);
    add(keywords, &at, "user", config->user);
    add(keywords, &at, "password", password);
    add(keywords, &at, "application_name", application_name);
    add(keywords, &at, "client_encoding", "UTF8");
    add(keywords, &at, "options", keywords->options);
    add(keywords, &at, "connect_timeout", "5"); /* of blocking connections; the pool has a timer of its own */
    /* A link that died without a word is noticed within about 15 seconds, whether something is being sent or not. */
    add(keywords, &at, "keepalives_idle", "5");
    add(keywords, &at, "keepalives_interval", "5");
    add(keywords, &at, "keepalives_count", "2");
    add(keywords, &at, "tcp_user_timeout", "15000");
    add(keywords, &at, "target_session_attrs", "read-write"); /* not the standby that was left behind by a failover */
    add(keywords, &at, "gssencmode", "disable");              /* it would try Kerberos first, blocking */
}

void pg_one_line(const char *message, char *out, size_t out_size)
{
    size_t n = 0;
    for (const char *at = message ? message : ""; *at && n + 1 < out_size; at++) {
        bool is_space = *at == '\n' || *at == '\t' || *at == '\r' || *at == ' ';
        if (!is_space) {
            out[n++] = *at;
        } else if (n > 0 && out[n - 1] != ' ') {
            out[n++] = ' ';
        }
    }
    while (n > 0 && out[n - 1] == ' ') {
        n--;
    }
    out[n] = '\0';
}
