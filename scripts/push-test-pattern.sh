#!/bin/sh
# Publishes a test pattern with a clock and a tone to an RTMP server: a camera for those who have none.
# shellcheck source-path=SCRIPTDIR source=lib-push.sh
. "$(dirname "$0")/lib-push.sh"

size=1280x720
fps=30
bitrate=1500k
duration=

usage() {
    cat <<EOF
Usage: push-test-pattern.sh [OPTIONS] [URL]
Publishes a test pattern with the time of day and a tone, as H.264 and AAC, by
default to $default_url.

  --size WxH         resolution (default $size)
  --fps N            frames per second (default $fps); a key frame every 2 s
  --bitrate RATE     video bit rate (default $bitrate)
  --duration N       stop after N seconds (default: never)
EOF
    common_help
}

while [ $# -gt 0 ]; do
    case $1 in
    --size | --fps | --bitrate | --duration) need_value "$@" ;;
    esac
    taken=2
    case $1 in
    --size) size=$2 ;;
    --fps) fps=$2 ;;
    --bitrate) bitrate=$2 ;;
    --duration) duration=$2 ;;
    *) take_common "$@" ;;
    esac
    shift "$taken"
done
[ -z "$second" ] || bad_usage "too many arguments"
url=${first:-$default_url}
check_size --size "$size"
check_number --fps "$fps" 1
check_bitrate --bitrate "$bitrate"
[ -z "$duration" ] || check_number --duration "$duration" 1
check_url "$url"

need_tools ffmpeg
begin
claim_stream "$url"
advise_bbr "$url"

set -- -re -f lavfi -i "testsrc2=size=$size:rate=$fps" \
    -re -f lavfi -i sine=frequency=440:beep_factor=4:sample_rate=44100
# An ffmpeg may lack the filter, or a font for it: trying is the only way to know.
clock="drawtext=text='%{localtime}':fontsize=h/12:fontcolor=white:box=1:boxborderw=8:boxcolor=black:x=(w-tw)/2:y=h-2*th"
if run ffmpeg -nostdin -loglevel quiet -f lavfi -i color=size=64x64 -vf "$clock" -frames:v 1 -f null -; then
    set -- "$@" -vf "$clock"
fi
set -- "$@" -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g "$((fps * 2))" \
    -b:v "$bitrate" -maxrate "$bitrate" -bufsize "$bitrate" -c:a aac -b:a 128k
if [ -n "$duration" ]; then
    set -- "$@" -t "$duration"
    until_done=yes
fi
supervise run_ffmpeg "$@"
