source tools/sums.sh

echo "$(<data/words.txt) $(add 40 2)"
