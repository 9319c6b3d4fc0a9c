import sys
sys.exit('last words')
