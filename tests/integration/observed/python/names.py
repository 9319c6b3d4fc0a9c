print(__name__, __file__, __doc__, __spec__, __package__, __loader__.__class__, __builtins__, sorted(globals()))
