import subprocess

print(subprocess.run(["cat"], input="through a pipe\n", capture_output=True, text=True, check=True).stdout, end="")
