#!/bin/sh
# Makes the screenshots of the page that the README shows.
set -eu

case "${1-}" in
-h | --help)
    cat <<'OUT'
Usage: screenshots.sh
Starts a server with three test cameras and the sample video, opens its page in
Chromium as on a desktop and on a telephone, in light and in dark, and saves
screenshots in tests/browser/screenshots. Look at them before you commit them.
Needs what install-test-tools.sh installs.

  -h, --help         print this
OUT
    exit 0
    ;;
'') ;;
*)
    echo "screenshots.sh: unknown argument $1 (see screenshots.sh --help)" >&2
    exit 2
    ;;
esac
cd "$(dirname "$0")/.."

cargo build --release --locked
out=tests/browser/screenshots
mkdir -p "$out"
log=$(mktemp)
pids=
# shellcheck disable=SC2086
trap 'kill $pids 2>/dev/null; rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

target/release/gortmp --listen 127.0.0.1:0 --http 127.0.0.1:0 2>"$log" &
pids=$!
address() { sed -n "s|.*listening on $1://||p" "$log"; }
until [ -n "$(address http)" ]; do sleep 0.1; done
push() {
    name=$1
    shift
    ffmpeg -v error -re "$@" -f lavfi -i sine -c:v libx264 -preset ultrafast -tune zerolatency -g 25 -pix_fmt yuv420p \
        -c:a aac -t 300 -f flv "rtmp://$(address rtmp)/live/$name" </dev/null &
    pids="$pids $!"
}
push gate -f lavfi -i "mandelbrot=size=1280x720:rate=25"
push garden -f lavfi -i "gradients=size=1280x720:rate=25:speed=0.02"
push workshop -f lavfi -i "life=size=320x180:rate=12:mold=10:ratio=0.1:death_color=#203040:life_color=#60d0e0,scale=1280:720:flags=neighbor"
sleep 6
node tests/browser/screenshots.mjs "http://$(address http)" "$out"
ls -l "$out"
