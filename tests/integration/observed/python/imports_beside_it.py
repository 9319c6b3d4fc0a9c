import json, random, uuid, decimal, collections
print(json.dumps({}), json.__file__, json.__cached__)
