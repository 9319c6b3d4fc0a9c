for ((i = 0; i < 20000; i++)); do
    echo 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
done
