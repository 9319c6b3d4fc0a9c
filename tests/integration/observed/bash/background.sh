sleep 60 & echo $!; disown; echo ${BASH_SOURCE[0]} $LINENO
