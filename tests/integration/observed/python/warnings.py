import warnings
warnings.warn('look')
print(warnings.filters)
assert (1, 'x')
