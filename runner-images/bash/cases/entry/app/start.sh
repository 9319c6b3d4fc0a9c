source app/greeting.sh
echo "$greeting $0"
