#!/bin/bash
# The service `secrets`: the installation's passwords, made at its first start, each in a file that one service can read.
set -euo pipefail

cd /run/secrets
umask 077

random() {
    head -c 24 /dev/urandom | base64 | tr '+/' '-_'
}

# place UID NAME CONTENT: whole or not at all. Root keeps the folder, so that no service can take another's file away.
place() {
    rm -f ".new-$2"
    printf '%s\n' "$3" >".new-$2"
    chmod 400 ".new-$2"
    chown "$1:$1" ".new-$2"
    mv -f ".new-$2" "$2"
}

if [[ ! -e made ]]; then
    database=$(random)
    broker=$(random)
    token=$(random)
    place 999 postgres-password "$database"
    place 999 rabbitmq.conf "default_user = runwave
default_pass = $broker"
    for daemon in 10001:api 10002:scheduler; do
        place "${daemon%:*}" "${daemon#*:}-database-password" "$database"
        place "${daemon%:*}" "${daemon#*:}-broker-password" "$broker"
    done
    place 10002 scheduler-pod-manager-token "$token"
    place 0 pod-manager-token "$token"
    : >made
fi
chmod 755 .
