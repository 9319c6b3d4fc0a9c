/* The table of migrations built into the program; made from common/migrations. */
#ifndef RW_PG_MIGRATIONS_H
#define RW_PG_MIGRATIONS_H

#include <stddef.h>

struct pg_migration {
    int version;
    const char *name;
    const char *sql;
};

extern const struct pg_migration pg_migrations[]; /* in ascending order, without gaps, from 1 */
extern const size_t pg_n_migrations;

#endif
