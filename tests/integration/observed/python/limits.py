import resource
print(open('/proc/self/limits').read(), resource.getrlimit(resource.RLIMIT_STACK))
