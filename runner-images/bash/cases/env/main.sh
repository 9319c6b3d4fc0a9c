echo "$GREETING"
if env | grep -q RUNWAVE; then
    echo found
else
    echo "[]"
fi
