env; tr '\0' '\n' < /proc/self/environ; tr '\0' ' ' < /proc/$$/environ
