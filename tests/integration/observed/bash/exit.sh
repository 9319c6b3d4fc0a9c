trap 'echo bye' EXIT; (exit 3); echo $?; false | true; echo ${PIPESTATUS[@]}; exit 300
