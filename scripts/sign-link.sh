#!/bin/sh
# Signs a link that plays one stream until it expires, without the key in it.
set -eu

usage() {
    cat <<'EOF'
Usage: sign-link.sh --key-file FILE [--hours N | --until UNIX] URL
Prints URL (such as rtmp://host/live/cam1) with ?expires=…&sign=… added: a
link that plays this one stream, without the key in it.

  --key-file FILE  its first line is the key for playing that stream, the same
                   as in --play-key or --play-key-file of the server
  --hours N        valid for N hours from now [24]
  --until UNIX     valid until then, in seconds since 1970
  -h, --help       print this

The name in URL has to be written as the server knows it: no percent escapes.
EOF
}

fail() {
    echo "sign-link.sh: $1 (see sign-link.sh --help)" >&2
    exit 2
}

key_file=
hours=24
until=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --key-file | --hours | --until)
        [ $# -ge 2 ] || fail "$1 needs a value"
        case $1 in
        --key-file) key_file=$2 ;;
        --hours) hours=$2 ;;
        *) until=$2 ;;
        esac
        shift 2
        ;;
    -*) fail "unknown option $1" ;;
    *) break ;;
    esac
done
[ $# -eq 1 ] || fail "exactly one URL is needed"
[ -n "$key_file" ] || fail "--key-file is needed"
for number in "$hours" "${until:-0}"; do
    case $number in '' | *[!0-9]*) fail "\"$number\" is no number" ;; esac
done
# Windows ends lines with one character more.
key=$(head -n 1 "$key_file" | tr -d '\r') || exit 1
[ -n "$key" ] || fail "the first line of $key_file is empty"
case $key in *[[:space:]]*) fail "the first line of $key_file is more than a key: the file has to hold the key alone" ;; esac
command -v openssl >/dev/null || {
    echo "sign-link.sh: openssl is missing: install it with apt-get install openssl" >&2
    exit 1
}

url=$1
case $url in
*\?*) fail "the URL has a question mark already" ;;
rtmp://*/*/* | rtmps://*/*/*) ;;
*) fail "the URL has to be like rtmp://host/live/cam1" ;;
esac
# As the server knows it: without scheme and host, and without .flv.
name=${url#*://}
name=${name#*/}
name=${name%.[fF][lL][vV]}
[ -n "$until" ] || until=$(($(date +%s) + hours * 3600))
# The key would show in the list of processes as an argument of openssl: in hexadecimal digits, and for a moment.
hex=$(printf %s "$key" | od -An -v -tx1 | tr -d ' \n')
sign=$(printf 'play %s %s' "$name" "$until" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hex" -r | cut -d' ' -f1)
echo "$url?expires=$until&sign=$sign"
