/* Where in which cgroup hierarchies this process is: parsed from two texts of /proc, without touching the file system. */
#include "cgroup.h"

#include <stdio.h>
#include <string.h>

#include <rw/auto.h>

static const struct {
    const char *name; /* of the version 1 hierarchy */
    enum cgroup_controller controller;
} controller_names[] = {{"memory", CGROUP_MEMORY}, {"pids", CGROUP_PIDS}, {"cpuacct", CGROUP_CPU}};

/* The bits of a comma-separated list. */
static unsigned controllers_parse(const char *list)
{
    unsigned bits = 0;
    for (size_t i = 0; i < RW_ARRAY_SIZE(controller_names); i++) {
        size_t len = strlen(controller_names[i].name);
        for (const char *at = list; (at = strstr(at, controller_names[i].name)); at += len) {
            bool starts = at == list || at[-1] == ',';
            bool ends = at[len] == '\0' || at[len] == ',';
            if (starts && ends) {
                bits |= 1U << controller_names[i].controller;
            }
        }
    }
    return bits;
}

/* This process's path in the hierarchy, from "N:controllers:/path" lines; version 2 has an empty list. */
static bool self_path(const char *self, int version, unsigned controllers, char path[static PATH_MAX])
{
    RW_AUTO_FREE char *lines = rw_xstrdup(self);
    char *next = NULL;
    for (char *line = strtok_r(lines, "\n", &next); line; line = strtok_r(NULL, "\n", &next)) {
        char *list = strchr(line, ':');
        char *where = list ? strchr(list + 1, ':') : NULL;
        if (!where || strlen(where + 1) >= PATH_MAX) {
            continue;
        }
        *where = '\0';
        bool is_it = version == 2 ? list[1] == '\0' : (controllers_parse(list + 1) & controllers) != 0;
        if (is_it) {
            (void)snprintf(path, PATH_MAX, "%s", where + 1);
            return true;
        }
    }
    return false;
}

/* One line of mountinfo: "36 25 0:30 /root /mount/point options... - type source super-options". */
static bool place_parse(char *line, const char *self, struct cgroup_place *ret_place)
{
    char *tail = strstr(line, " - ");
    char root[PATH_MAX];
    char mount[PATH_MAX];
    char type[16];
    char options[256];
    char path[PATH_MAX];
    if (!tail || sscanf(line, "%*d %*d %*s %4095s %4095s", root, mount) != 2 ||
        sscanf(tail, " - %15s %*s %255s", type, options) != 2) {
        return false;
    }
    struct cgroup_place place = {0};
    if (strcmp(type, "cgroup2") == 0) {
        place.version = 2;
        place.controllers = (1U << CGROUP_MEMORY) | (1U << CGROUP_PIDS) | (1U << CGROUP_CPU);
    } else if (strcmp(type, "cgroup") == 0) {
        place.version = 1;
        place.controllers = controllers_parse(options);
    }
    if (place.controllers == 0 || !self_path(self, place.version, place.controllers, path)) {
        return false;
    }
    /* In a container the mount shows a part of the hierarchy only: the path within it is what follows its root. */
    size_t root_len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *within = strncmp(path, root, root_len) == 0 ? path + root_len : "";
    if (strlen(mount) + strlen(within) >= PATH_MAX) {
        return false;
    }
    (void)snprintf(place.mount, sizeof(place.mount), "%s", mount);
    (void)snprintf(place.base, sizeof(place.base), "%s%s", mount, strcmp(within, "/") == 0 ? "" : within);
    *ret_place = place;
    return true;
}

unsigned cgroup_places_parse(const char *mountinfo, const char *self, struct cgroup_place places[static CGROUP_PLACES_MAX])
{
    unsigned n = 0;
    unsigned seen = 0; /* controllers of version 1: a hierarchy may be mounted more than once */
    RW_AUTO_FREE char *lines = rw_xstrdup(mountinfo);
    char *next = NULL;
    for (char *line = strtok_r(lines, "\n", &next); line && n < CGROUP_PLACES_MAX; line = strtok_r(NULL, "\n", &next)) {
        if (place_parse(line, self, &places[n]) && (places[n].version == 2 || (places[n].controllers & ~seen) != 0)) {
            seen |= places[n].version == 1 ? places[n].controllers : 0;
            n++;
        }
    }
    return n;
}

int cgroup_name_check(const char *name, struct rw_error *err)
{
    static const char permitted[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (strlen(name) > CGROUP_NAME_BYTES_MAX) {
        return rw_fail(err, INVALID, "a cgroup name of more than %d bytes", CGROUP_NAME_BYTES_MAX);
    }
    const char *part = name;
    for (;; part++) {
        size_t len = strspn(part, permitted);
        bool is_dots = (len == 1 && part[0] == '.') || (len == 2 && strncmp(part, "..", 2) == 0);
        if (len == 0 || is_dots || (part[len] != '\0' && part[len] != '/')) {
            return rw_fail(err, INVALID, "a cgroup name is a relative path of letters, digits, '.', '_' and '-'");
        }
        part += len;
        if (*part == '\0') {
            return 0;
        }
    }
}
