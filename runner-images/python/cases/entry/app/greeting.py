TEXT = "started as"
