#!/bin/sh
# Publishes a USB camera (v4l2), with audio from ALSA if wanted, to an RTMP server.
# shellcheck source-path=SCRIPTDIR source=lib-push.sh
. "$(dirname "$0")/lib-push.sh"

size=1280x720
fps=30
bitrate=2500k
audio_device=
input_format=

usage() {
    cat <<EOF
Usage: push-usb-camera.sh [OPTIONS] [/dev/videoN] [URL]
Publishes a USB camera as H.264, by default /dev/video0 to
$default_url.

  --audio DEVICE     audio from this ALSA device, such as "default" or "hw:1"
                     (arecord -l lists them); default: no audio
  --size WxH         resolution (default $size)
  --fps N            frames per second (default $fps); a key frame every 2 s
  --bitrate RATE     video bit rate (default $bitrate)
  --input-format F   format to ask the camera for, such as mjpeg, yuyv422 or
                     h264 (v4l2-ctl --list-formats lists them)
EOF
    common_help
}

while [ $# -gt 0 ]; do
    case $1 in
    --audio | --size | --fps | --bitrate | --input-format) need_value "$@" ;;
    esac
    taken=2
    case $1 in
    --audio) audio_device=$2 ;;
    --size) size=$2 ;;
    --fps) fps=$2 ;;
    --bitrate) bitrate=$2 ;;
    --input-format) input_format=$2 ;;
    *) take_common "$@" ;;
    esac
    shift "$taken"
done
case $first in
rtmp*://*) [ -n "$second" ] || second=$first first= ;;
esac
device=${first:-/dev/video0}
url=${second:-$default_url}
check_size --size "$size"
check_number --fps "$fps" 1
check_bitrate --bitrate "$bitrate"
check_url "$url"

if [ ! -e "$device" ]; then
    present=$(find /dev -maxdepth 1 -name 'video*' 2>/dev/null | sort | tr '\n' ' ')
    die 1 "there is no $device; cameras here: ${present:-none}"
fi
need_tools ffmpeg
begin
claim_device "$(readlink -f "$device")"
claim_stream "$url"
advise_bbr "$url"

set -- -f v4l2 -thread_queue_size 64 -framerate "$fps" -video_size "$size"
[ -z "$input_format" ] || set -- "$@" -input_format "$input_format"
set -- "$@" -i "$device"
if [ -n "$audio_device" ]; then
    set -- "$@" -f alsa -thread_queue_size 1024 -i "$audio_device" -c:a aac -b:a 128k -ar 44100
else
    set -- "$@" -an
fi
set -- "$@" -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g "$((fps * 2))"
supervise run_ffmpeg "$@" -b:v "$bitrate" -maxrate "$bitrate" -bufsize "$bitrate"
