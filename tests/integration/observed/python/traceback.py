def f(n):
    return 1 // n

def g():
    try:
        f(0)
    except ZeroDivisionError as e:
        raise ValueError('x') from e

g()
