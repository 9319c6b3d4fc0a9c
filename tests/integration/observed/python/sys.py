import sys
print(sys.argv, sys.path, sys.flags, sys.executable, sys.orig_argv, sys.warnoptions, sys._xoptions,
      sys.getrecursionlimit(), sys.dont_write_bytecode, sys.prefix, sys.exec_prefix, sys.stdin, sys.stdout,
      sys.stderr, sys.getswitchinterval(), sys.path_importer_cache.keys(), sys.meta_path, sys.path_hooks,
      sys.version, sys.float_info)
