import os

READ = ["kcore", "keys", "key-users", "sched_debug", "timer_list", "kallsyms", "kmsg", "interrupts", "slabinfo", "iomem", "ioports",
        "config.gz", "vmallocinfo", "pagetypeinfo", "modules", "latency_stats", "timer_stats", "acpi", "scsi", "bus/pci/devices"]
WRITE = ["sys/kernel/core_pattern", "sys/kernel/modprobe", "sys/kernel/hostname", "sys/vm/drop_caches", "sys/vm/overcommit_memory",
         "sys/net/ipv4/ip_forward", "sys/fs/binfmt_misc/register", "sysrq-trigger", "sys/kernel/panic", "sys/kernel/ns_last_pid",
         "self/uid_map", "self/gid_map", "self/setgroups", "1/oom_score_adj", "irq/0/smp_affinity", "fs"]
for name in READ:
    try:
        if open(f"/proc/{name}", "rb").read(1):
            print("ESCAPED: read", name)
    except OSError:
        pass
for name in WRITE:
    try:
        fd = os.open(f"/proc/{name}", os.O_WRONLY)
        os.write(fd, b"0")
        print("ESCAPED: wrote", name)
    except OSError:
        pass
for path in ("/sys/firmware", "/sys/kernel", "/sys/fs/cgroup", "/sys/class", "/sys/power/state", "/sys/kernel/debug", "/sys/fs/bpf"):
    if os.path.exists(path):
        print("ESCAPED:", path)
for line in open("/proc/self/cgroup", encoding="utf-8"):
    if not line.endswith(":/\n"):
        print("ESCAPED: a cgroup's name", line)
for line in open("/proc/self/mountinfo", encoding="utf-8"):
    words = line.split()
    is_writable = "rw" in words[5].split(",")
    if is_writable and words[4] not in ("/box", "/tmp", "/dev/shm", "/proc"):
        print("ESCAPED: writable", line)
print("held")
