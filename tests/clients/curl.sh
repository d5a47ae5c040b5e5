#!/usr/bin/env bash
# What curl sees of a collector that runs: status, content type and manners. Argument: its URL.
set -euo pipefail
base=$1 count=0

fail() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}

# What `curl ARGUMENTS` gets: status, content type, header that is asked for.
expect() {
    local expected=$1 path=$2 said
    shift 2
    said=$(curl --silent --show-error --max-time 20 --path-as-is --globoff --output /dev/null \
        --write-out '%{http_code} %{content_type}' "$@" "$base$path")
    [[ $said == "$expected" ]] || fail "curl $* $path: $said, not $expected"
    count=$((count + 1))
}

json='200 application/json' text='text/plain; charset=utf-8'
expect '200 text/html; charset=utf-8' /
expect "$json" /openapi.json
expect "200 $text" /livez
expect "$json" /api/v1/model/nodes
expect "$json" /api/v1/model/nodes/ --compressed
expect "$json" /api/v1/model/nodes/ --http1.0
expect "$json" /api/v1/model/nodes/ --header 'Accept: application/json;q=0.1'
expect "$json" /api/v1/model/nodes/ --header 'Accept;'
expect "406 $text" /api/v1/model/nodes/ --header 'Accept: text/html'
expect "405 $text" /api/v1/model/nodes/ --request POST --data x=y
expect "405 $text" /api/v1/model/nodes/ --request DELETE
expect "405 $text" /api/v1/model/nodes/ --request OPTIONS
expect "405 $text" /api/v1/model/nodes/ --head
expect "301 $text" //api/v1//model/nodes/
expect "$json" //api/v1/x/../model/nodes/ --location
expect "404 $text" /api/v1/nothing
expect "400 $text" '/api/v1/model/metrics/memory/usage?start=yesterday'
expect "$json" '/api/v1/model/metrics/memory%2Fusage?start=2016-03-31T12:01:00%2B02:00'
expect "414 $text" "/$(printf 'x%.0s' {1..62000})"
expect "431 $text" /livez --header "X-Long: $(printf 'x%.0s' {1..40000})"
expect "413 $text" /livez --data "$(printf 'x%.0s' {1..62000})"
expect "411 $text" /livez --header 'Transfer-Encoding: chunked' --data x

encoding() {
    local said
    said=$(curl --silent --max-time 20 --output /dev/null --dump-header - --header "Accept-Encoding: $1" "$base/openapi.json" |
        tr -d '\r' | sed -n 's/^content-encoding: //Ip')
    [[ $said == "$2" ]] || fail "Accept-Encoding $1: ${said:-none}"
    count=$((count + 1))
}
encoding gzip gzip
encoding deflate deflate
encoding identity ''

# Two requests on one connection.
twice=$(curl --silent --max-time 20 --output /dev/null --output /dev/null --write-out '%{num_connects}' "$base/livez" "$base/livez")
[[ $twice == 10 ]] || fail "connections are not kept: $twice"
echo "$((count + 1)) answers to curl are as they should be"
