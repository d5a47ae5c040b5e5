#!/usr/bin/env bash
# The README's way to TLS, word for word: its openssl commands make the files, a demo runs with them, curl asks it.
# Argument: the binary.
set -euo pipefail
heapster=$1 readme=$PWD/README.md folder=$(mktemp -d) demo=
trap '[[ -z $demo ]] || kill -KILL "$demo" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    printf 'failed: %s\n' "$*" >&2
    cat "$folder"/*.out >&2
    exit 1
}

sed -n '/^### Making certificates$/,/^###* /p' "$readme" | grep '^openssl ' >made.sh
[[ $(wc -l <made.sh) -ge 5 ]] || fail "the README has no openssl commands"
bash -e made.sh >made.out 2>&1 || fail "the README's openssl commands"

flags=$(sed -n 's/^heapster \(--tls_cert=.*\) --source=.*/\1/p' "$readme")
[[ $flags == *--allowed_users=* ]] || fail "the README shows no flags of TLS"
# shellcheck disable=SC2086
"$heapster" demo --port 0 $flags >demo.out 2>&1 &
demo=$!
base=
for ((tries = 0; tries < 100; tries++)); do
    base=$(sed -n 's/.*answering at \(https[^ ]*\).*/\1/p' demo.out)
    [[ -z $base ]] || break
    sleep 0.1
done
[[ -n $base ]] || fail "it does not start"

# What curl gets, and its exit code where it gets nothing.
said() {
    curl --silent --max-time 20 --output body.out --write-out '%{http_code}' "$@" || printf ' exit %s' "$?"
}
expect() {
    local expected=$1 got
    shift
    got=$(said "$@")
    [[ $got == "$expected" ]] || fail "curl $*: $got, not $expected"
}
mine=(--cacert ca.pem --cert client.pem --key client.key)
expect 200 "${mine[@]}" "$base/api/v1/model/nodes/"
expect 200 "${mine[@]}" --tlsv1.2 --tls-max 1.2 "$base/metrics"
expect 401 --cacert ca.pem "$base/api/v1/model/nodes/"
[[ $(<body.out) == Unauthorized ]] || fail "$(<body.out)"
expect 200 --cacert ca.pem "$base/livez"
expect 403 --cacert ca.pem --cert server.pem --key server.key "$base/metrics"
expect '000 exit 60' "$base/livez"
expect 400 "${base/https/http}/livez"

# A new certificate is shown without a restart.
cp server.pem old.pem
bash -e made.sh >made.out 2>&1
for ((tries = 0; tries < 150; tries++)); do
    [[ $(said "${mine[@]}" "$base/livez") != 200 ]] || break
    sleep 0.2
done
expect 200 "${mine[@]}" "$base/api/v1/model/nodes/"
kill -TERM "$demo"
wait "$demo" || fail "exit code $? after SIGTERM"
demo=
echo "the README's certificates let in whom they should, and are read again"
