print("before")
print({}["missing"])
