import signal
print([(s, signal.getsignal(s)) for s in signal.valid_signals()], signal.pthread_sigmask(0, []),
      signal.getitimer(0))
