import sys
print(list(sys.modules))
print(list(sys.builtin_module_names))
