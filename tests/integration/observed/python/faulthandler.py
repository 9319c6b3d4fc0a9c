import faulthandler, tracemalloc
print(faulthandler.is_enabled(), tracemalloc.is_tracing())
