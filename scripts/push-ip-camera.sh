#!/bin/sh
# Publishes a network camera (RTSP) to an RTMP server.
# shellcheck source-path=SCRIPTDIR source=lib-push.sh
. "$(dirname "$0")/lib-push.sh"

bitrate=2500k
transport=tcp
sound=yes
transcode=
copy_hevc=
refused=
advised=

usage() {
    cat <<EOF
Usage: push-ip-camera.sh [OPTIONS] RTSP_URL [URL]
Publishes a network camera, by default to $default_url.
H.264 and AAC are copied, everything else is transcoded to them. RTSP_URL is the
camera's, such as rtsp://user:password@192.0.2.7/stream1; the log does not show
the password.

  --no-audio         leave the audio out
  --copy-hevc        copy H.265 as well, which saves about a core; for players
                     that support it, and with FFmpeg 6.1 or later
  --transcode        transcode H.264 and AAC as well, for a camera whose video
                     or audio some player can't decode
  --transport T      RTSP over tcp or udp (default $transport)
  --bitrate RATE     video bit rate when transcoding (default $bitrate)
EOF
    common_help
}

while [ $# -gt 0 ]; do
    case $1 in
    --no-audio) sound='' taken=1 ;;
    --copy-hevc) copy_hevc=yes taken=1 ;;
    --transcode) transcode=yes taken=1 ;;
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
'') bad_usage "no camera given: its RTSP URL is needed" ;;
*[[:space:]]*) bad_usage "the camera's URL has a space in it" ;;
rtsp://?* | rtsps://?*) ;;
*) bad_usage "the camera's URL does not begin with rtsp://" ;;
esac
case $transport in
tcp | udp) ;;
*) bad_usage "--transport: tcp or udp" ;;
esac
[ -z "$transcode" ] || [ -z "$copy_hevc" ] || bad_usage "--transcode and --copy-hevc exclude each other"
check_bitrate --bitrate "$bitrate"
check_url "$url"

need_tools ffmpeg ffprobe
[ -z "$copy_hevc" ] || has_ffmpeg_6_1 || bad_usage "--copy-hevc: this ffmpeg is older than 6.1"
begin
claim_stream "$url"
advise_bbr "$url"

# Before FFmpeg 5.0 the option was called so, and -timeout meant to wait for a camera to call in.
timeout_option=-timeout
has_ffmpeg_5 || timeout_option=-stimeout

# A camera that wants another password is asked again and again, as somebody may set it right there; what to do
# about it is told once.
complain() {
    case $(cat "$lock.words") in
    *' 401 Unauthorized'* | *' 403 Forbidden'*) ;;
    *)
        cat "$lock.words" >&2
        return
        ;;
    esac
    [ -z "$refused" ] || return
    refused=yes
    cat "$lock.words" >&2
    authority=${camera#*://}
    authority=${authority%%[/?#]*}
    case $authority in
    *@*)
        user=${authority%@*}
        say "the camera refuses the user ${user%%:*}: check name and password in its URL (write characters such as" \
            "@ : / ? # % as %40 %3A %2F %3F %23 %25), and in the camera whether this user may use RTSP." \
            "Many cameras lock a user out for some minutes after a few wrong passwords"
        ;;
    *)
        say "the camera asks for a user and a password, and its URL has none: put user:password@ in front" \
            "of its address (write characters such as @ : / ? # % in them as %40 %3A %2F %3F %23 %25)"
        ;;
    esac
}

advise_hevc() {
    [ -z "$advised" ] || return
    advised=yes
    advice="FFmpeg 6.1 or later could copy it"
    ! has_ffmpeg_6_1 || advice="--copy-hevc copies it, for players that support it"
    say "the camera sends H.265, and transcoding it to H.264 takes about a core; $advice"
}

# Asks at every start, as somebody may have changed the camera's settings in between.
push_once() {
    probe -rtsp_transport "$transport" "$timeout_option" "$stall" "$camera" || return 1
    refused=
    copies=
    case $video,$transcode,$copy_hevc in
    h264,,* | hevc,,yes) copies=yes ;;
    hevc,,) advise_hevc ;;
    esac
    set -- -rtsp_transport "$transport" "$timeout_option" "$stall"
    # Decoding several frames at a time would hold each up for as many.
    [ -z "$video" ] || [ -n "$copies" ] || set -- "$@" -thread_type:v slice
    set -- "$@" -i "$camera" -map '0:V:0?'
    if [ -n "$copies" ]; then
        set -- "$@" -c:v copy
        # FFmpeg loses the time of the first video frame that comes by RTSP, and can't go on without if there are
        # B-frames. So it is reckoned back from the next frame, by one or by about as many B-frames as there are.
        # Each frame has to wait for the next for that, but where there is audio it waits longer for that anyway.
        back=$((reorder > 0 ? reorder + 2 : 1))
        pts="if(eq(PTS\,NOPTS)\,NEXT_PTS-$back*NEXT_DURATION\,PTS)"
        dts="if(between(N\,1\,$reorder)\,min(DTS\,PREV_OUTDTS+DURATION)\,DTS)"
        dts="if(eq(PTS\,NOPTS)\,NEXT_PTS-$((back + reorder))*NEXT_DURATION\,$dts)"
        ! has_ffmpeg_5 || set -- "$@" -bsf:v "setts=pts=$pts:dts=$dts"
    elif [ -n "$video" ]; then
        set -- "$@" -c:v libx264 -preset veryfast -tune zerolatency -pix_fmt yuv420p \
            -force_key_frames 'expr:gte(t,n_forced*2)' -b:v "$bitrate" -maxrate "$bitrate" -bufsize "$bitrate"
    fi
    case $sound,$audio,$transcode in
    ,* | yes,,*) set -- "$@" -an ;;
    yes,aac,) set -- "$@" -map 0:a:0 -c:a copy ;;
    *) set -- "$@" -map 0:a:0 -c:a aac -b:a 64k -ar 44100 ;;
    esac
    run_ffmpeg "$@"
}
supervise push_once
