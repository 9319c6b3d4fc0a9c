/* Where a process is in its cgroup hierarchies, from the texts of /proc; and names of groups. */
#include "support.h"

#include "cgroup.h"

enum { MEMORY = 1 << CGROUP_MEMORY, PIDS = 1 << CGROUP_PIDS, CPU = 1 << CGROUP_CPU, ALL = MEMORY | PIDS | CPU };

static const struct {
    const char *name;
    const char *mountinfo;
    const char *self;
    unsigned n;
    struct cgroup_place places[3];
} cases[] = {
    {"version 2",
     "24 1 0:22 / /proc rw - proc proc rw\n30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
     "0::/user.slice/session-1.scope\n",
     1,
     {{2, ALL, "/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/session-1.scope"}}},
    {"version 2, root",
     "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
     "0::/\n",
     1,
     {{2, ALL, "/sys/fs/cgroup", "/sys/fs/cgroup"}}},
    {"version 1",
     "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
     "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
     "36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n"
     "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n",
     "8:pids:/\n4:memory:/a/b\n2:cpu,cpuacct:/c\n5:devices:/d\n",
     3,
     {{1, CPU, "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/cpu,cpuacct/c"},
      {1, MEMORY, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a/b"},
      {1, PIDS, "/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids"}}},
    {"a container's part of version 1",
     "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro,relatime - cgroup cgroup rw,memory\n",
     "4:memory:/docker/abc/inner\n",
     1,
     {{1, MEMORY, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/inner"}}},
    {"mounted twice",
     "35 31 0:32 / /one rw - cgroup cgroup rw,memory\n36 31 0:32 / /two rw - cgroup cgroup rw,memory\n",
     "4:memory:/\n",
     1,
     {{1, MEMORY, "/one", "/one"}}},
    {"cpuset is not cpu", "35 31 0:32 / /x rw - cgroup cgroup rw,cpuset\n", "4:cpuset:/\n", 0, {{0}}},
    {"none", "", "", 0, {{0}}},
    {"nonsense", "a b c\n - cgroup2 x\n1 2 3 - cgroup2\n", "::\n0\n", 0, {{0}}},
};

static void places(void **state)
{
    (void)state;
    for (size_t i = 0; i < RW_ARRAY_SIZE(cases); i++) {
        struct cgroup_place found[CGROUP_PLACES_MAX] = {0};
        unsigned n = cgroup_places_parse(cases[i].mountinfo, cases[i].self, found);
        if (n != cases[i].n) {
            fail_msg("%s: %u places", cases[i].name, n);
        }
        for (unsigned j = 0; j < n; j++) {
            assert_int_equal(found[j].version, cases[i].places[j].version);
            assert_int_equal(found[j].controllers, cases[i].places[j].controllers);
            assert_string_equal(found[j].mount, cases[i].places[j].mount);
            assert_string_equal(found[j].base, cases[i].places[j].base);
        }
    }
}

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "runwave/python-01ab", "a.b_c-d", "...", "a/..b"};
    static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a b", "a\n", "\xc3\xa9"};
    struct rw_error err = {0};
    for (size_t i = 0; i < RW_ARRAY_SIZE(good); i++) {
        assert_ok(cgroup_name_check(good[i], &err), &err);
    }
    for (size_t i = 0; i < RW_ARRAY_SIZE(bad); i++) {
        assert_fails(cgroup_name_check(bad[i], &err), &err, INVALID, "cgroup");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(places), cmocka_unit_test(names)};
    return cmocka_run_group_tests_name("runner_cgroup", tests, NULL, NULL);
}
