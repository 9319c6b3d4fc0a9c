import gc
print(gc.isenabled(), gc.get_threshold(), gc.get_stats(), len(gc.get_objects()))
