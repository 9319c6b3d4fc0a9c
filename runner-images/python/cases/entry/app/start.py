import greeting

print(greeting.TEXT, __name__)
