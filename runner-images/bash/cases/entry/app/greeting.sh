greeting="started as"
