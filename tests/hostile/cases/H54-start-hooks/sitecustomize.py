# The task's own files are the task's: what it changes of its own start is its own affair, no more than a line of its source.
