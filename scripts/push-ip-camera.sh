#!/bin/sh
# Pushes a camera on the network (RTSP) to an RTMP server.
# shellcheck source-path=SCRIPTDIR source=lib-push.sh
. "$(dirname "$0")/lib-push.sh"

bitrate=2500k
transport=tcp
sound=yes

usage() {
    cat <<EOF
Usage: push-ip-camera.sh [OPTIONS] RTSP_URL [URL]
Pushes a network camera to $default_url unless told
otherwise. H.264 and AAC are copied as they are, anything else is transcoded.
RTSP_URL is like rtsp://user:password@192.0.2.7/stream1; log lines don't show
the password.

  --no-audio         leave the sound out
  --transport T      RTSP over tcp or udp (default $transport)
  --bitrate RATE     of the video, if it is transcoded (default $bitrate)
EOF
    common_help
}

while [ $# -gt 0 ]; do
    case $1 in
    --no-audio) sound='' taken=1 ;;
    --transport)
        need_value "$@"
        transport=$2 taken=2
        ;;
    --bitrate)
        need_value "$@"
        bitrate=$2 taken=2
        ;;
    *) take_common "$@" ;;
    esac
    shift "$taken"
done
camera=$first
url=${second:-$default_url}
case $camera in
'') bad_usage "which camera? Give its RTSP URL" ;;
*[[:space:]]*) bad_usage "the camera's URL has a space in it" ;;
rtsp://?* | rtsps://?*) ;;
*) bad_usage "the camera's URL does not begin with rtsp://" ;;
esac
case $transport in
tcp | udp) ;;
*) bad_usage "--transport: tcp or udp" ;;
esac
check_bitrate --bitrate "$bitrate"
check_url "$url"

need_tools ffmpeg ffprobe
begin
claim_stream "$url"

# Before FFmpeg 5.0 the option was called so, and -timeout meant to wait for a camera to call in.
timeout_option=-timeout
! ffmpeg -hide_banner -h demuxer=rtsp 2>/dev/null | grep -q -e -stimeout || timeout_option=-stimeout

# Asks at every start, as somebody may have changed the camera's settings in between.
push_once() {
    probe -rtsp_transport "$transport" "$timeout_option" "$stall" "$camera" || return 1
    set -- -rtsp_transport "$transport" "$timeout_option" "$stall" -i "$camera" -map '0:V:0?'
    if [ "$video" = h264 ]; then
        set -- "$@" -c:v copy
    elif [ -n "$video" ]; then
        set -- "$@" -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p -g 50 \
            -b:v "$bitrate" -maxrate "$bitrate" -bufsize "$bitrate"
    fi
    if [ -z "$sound" ] || [ -z "$audio" ]; then
        set -- "$@" -an
    elif [ "$audio" = aac ]; then
        set -- "$@" -map 0:a:0 -c:a copy
    else
        set -- "$@" -map 0:a:0 -c:a aac -b:a 64k -ar 44100
    fi
    run_ffmpeg "$@"
}
supervise push_once
