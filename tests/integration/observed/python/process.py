import os
print(os.getpid(), os.getppid(), os.getpgid(0), os.getsid(0), os.umask(0), os.nice(0), os.getuid(), os.getgroups())
print(open('/proc/self/comm').read(), open('/proc/self/cmdline').read(), os.readlink('/proc/self/exe'))
print([os.listdir(p) for p in ('/box', '/tmp', '/dev/shm')], open('/proc/self/oom_score_adj').read())
