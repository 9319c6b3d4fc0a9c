import re

LINES = "Name|Umask|State|.id|FDSize|Groups|NS|Threads|Sig|Shd|Cap|NoNew|Seccomp|Spec|Cpus|Mems"
print([line for line in open("/proc/self/status") if re.match(LINES, line)])
