import traceback
traceback.print_stack()
import sys
print(sys._getframe().f_back)
