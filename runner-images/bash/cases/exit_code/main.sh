echo "before the end"
exit 7
