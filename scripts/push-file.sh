#!/bin/sh
# Publishes a media file to an RTMP server in real time.
# shellcheck source-path=SCRIPTDIR source=lib-push.sh
. "$(dirname "$0")/lib-push.sh"

bitrate=2500k
loop=
transcode=

usage() {
    cat <<EOF
Usage: push-file.sh [OPTIONS] FILE [URL]
Publishes a file in real time, by default to
$default_url. Codecs that FLV knows (H.264, AAC, MP3)
are copied, all others are transcoded to H.264 and AAC. Ends with the file,
unless --loop is given.

  --loop             start over at the end of the file, for ever
  --transcode        transcode everything to H.264 and AAC, which all browsers
                     play
  --bitrate RATE     video bit rate when transcoding (default $bitrate)
EOF
    common_help
}

while [ $# -gt 0 ]; do
    case $1 in
    --loop) loop=yes taken=1 ;;
    --transcode) transcode=yes taken=1 ;;
    --bitrate)
        need_value "$@"
        bitrate=$2 taken=2
        ;;
    *) take_common "$@" ;;
    esac
    shift "$taken"
done
url=${second:-$default_url}
[ -n "$first" ] || bad_usage "no file given"
check_bitrate --bitrate "$bitrate"
check_url "$url"
[ -f "$first" ] || die 1 "there is no file $first"

need_tools ffmpeg ffprobe
begin
claim_stream "$url"
advise_bbr "$url"

push_once() {
    # The prefix keeps a colon in the name from being taken for a protocol.
    probe "file:$first" || return 1
    set -- -re
    [ -z "$loop" ] || set -- "$@" -stream_loop -1
    set -- "$@" -i "file:$first" -map '0:V:0?' -map '0:a:0?'
    case $transcode$video in
    '' | yes) ;;
    h264 | flv1 | vp6f) set -- "$@" -c:v copy ;;
    *) set -- "$@" -c:v libx264 -preset veryfast -pix_fmt yuv420p -force_key_frames 'expr:gte(t,n_forced*2)' \
        -b:v "$bitrate" -maxrate "$bitrate" -bufsize "$bitrate" ;;
    esac
    case $transcode$audio,$audio_rate in
    ,* | yes,*) ;;
    aac,* | mp3,44100) set -- "$@" -c:a copy ;;
    *) set -- "$@" -c:a aac -b:a 128k -ar 44100 ;;
    esac
    run_ffmpeg "$@"
}
[ -n "$loop" ] || until_done=yes
supervise push_once
