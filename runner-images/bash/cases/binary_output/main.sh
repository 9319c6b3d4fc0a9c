for ((i = 0; i < 256; i++)); do
    # shellcheck disable=SC2059
    printf "\\x$(printf %x "$i")"
done
