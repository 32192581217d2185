#!/bin/sh
# Publishes every camera of a list, each with a script of its own.
# shellcheck source-path=SCRIPTDIR source=lib-push.sh
. "$(dirname "$0")/lib-push.sh"

here=$(dirname "$0")
server=rtmp://127.0.0.1/live
only=

usage() {
    cat <<EOF
Usage: push-cameras.sh [OPTIONS] [FILE]
Publishes all cameras that FILE lists (by default cameras.conf beside this
script; cameras.example shows its format), and stops them all when it stops.

  --server URL       server for plain names (default
                     $server)
  --only NAME        this camera of the list only
  -h, --help         print this

A script that dies is restarted. One that succeeds (a file without --loop) or
was called with wrong options is not.

Exit status: 0 all succeeded, 1 some failed, 2 wrong usage or list, 128 + N
stopped by signal N.
EOF
}

while [ $# -gt 0 ]; do
    case $1 in
    --server | --only) need_value "$@" ;;
    --once | --loglevel) bad_usage "$1 is an option of the scripts: write it into the list" ;;
    esac
    taken=2
    case $1 in
    --server) server=${2%/} ;;
    --only) only=$2 ;;
    *) take_common "$@" ;;
    esac
    shift "$taken"
done
[ -z "$second" ] || bad_usage "too many arguments"
list=${first:-$here/cameras.conf}
check_url "$server/name"
[ -r "$list" ] || die 2 "there is no list $list: start with a copy of $here/cameras.example"

name_url() {
    case $1 in
    *://*) printf '%s' "$1" ;;
    *) printf '%s' "$server/$1" ;;
    esac
}

push_camera() {
    url=$(name_url "$1")
    source=$2
    shift 2
    case $source in
    test) set -- push-test-pattern.sh "$@" "$url" ;;
    /dev/*) set -- push-usb-camera.sh "$@" "$source" "$url" ;;
    rtsp*://*) set -- push-ip-camera.sh "$@" "$source" "$url" ;;
    *) set -- push-file.sh "$@" "$source" "$url" ;;
    esac
    what=$1
    script=$here/$1
    shift
    until_done=yes
    lasting_errors=yes
    supervise run "$script" "$@"
}

# Names and words from the list are not patterns of file names.
set -f
number=0 seen='' names='' chosen=''
# The whole list is checked, and refused if need be, before any camera is started.
while read -r name source options; do
    number=$((number + 1))
    where="$list line $number"
    [ -n "$name" ] || continue
    [ -n "$source" ] || die 2 "$where: a name needs a source after it"
    url=$(name_url "$name")
    check_url "$url"
    id=$(stream_id "$url")
    case $id in
    *[!A-Za-z0-9._:/-]*) die 2 "$where: a name consists of letters, digits and . _ -" ;;
    esac
    case "$seen " in
    *" $id "*) die 2 "$where: $id is in the list twice" ;;
    esac
    seen="$seen $id"
    case $source in
    test | /dev/* | rtsp://* | rtsps://*) ;;
    *) [ -f "$source" ] || die 2 "$where: $source is neither a device, an rtsp:// URL, a file nor the word test" ;;
    esac
    [ "$name" != "$only" ] || chosen="$name $source $options"
    names="$names $name"
done <<EOF
$(tr -d '\r' <"$list" | sed -e 's/^#.*//' -e 's/[[:space:]]#.*//')
EOF

if [ -n "$only" ]; then
    [ -n "$chosen" ] || die 2 "there is no $only in $list"
    grace=80
    case $only in
    *://*) prefix="[$(stream_id "$only")] " ;;
    *) prefix="[$only] " ;;
    esac
    begin
    # shellcheck disable=SC2086
    push_camera $chosen
fi

[ -n "$names" ] || die 2 "there is no camera in $list"
grace=110
begin
advise_bbr "$server/name"
for name in $names; do
    start "$here/$me" --server "$server" --only "$name" "$list"
done
worst=0
for child in $children; do
    wait "$child" || worst=1
done
children=
exit "$worst"
