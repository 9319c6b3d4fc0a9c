nosuchcommand; echo $?; . ./nothing; ./main.sh
