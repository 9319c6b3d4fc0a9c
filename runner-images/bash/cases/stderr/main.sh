echo "to the first"
echo "to the second" >&2
