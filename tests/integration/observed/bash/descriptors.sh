for ((i = 0; i < 64; i++)); do
    [[ -e /proc/$$/fd/$i ]] && target=$(readlink "/proc/$$/fd/$i") && echo "$i ${target//[0-9]/}"
done
exec {fd}</dev/null; echo $fd
