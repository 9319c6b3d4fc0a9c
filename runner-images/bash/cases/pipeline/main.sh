seq 1 1000 | awk '{ sum += $1 } END { print sum }'
printf 'b\na\n' | sort >/tmp/sorted
tr a-z A-Z </tmp/sorted
