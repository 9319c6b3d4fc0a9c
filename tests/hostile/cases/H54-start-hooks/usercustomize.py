# As sitecustomize.py.
