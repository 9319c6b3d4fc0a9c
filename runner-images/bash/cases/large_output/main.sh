printf -v line '%99s' ""
for ((i = 0; i < 10000; i++)); do
    echo "${line// /x}"
done
