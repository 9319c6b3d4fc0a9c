import os, sys
print('a', end='')
os.write(1, b'b')
sys.stderr.write('c')
os.write(2, b'd')
print(sys.stdout.line_buffering, sys.stdout.buffer, sys.stderr.line_buffering)
os._exit(3)
