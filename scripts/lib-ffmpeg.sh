# shellcheck shell=sh
# How the push scripts call ffmpeg and ffprobe; sourced by lib-push.sh, not run.

# Much is set here for the scripts alone, and set there for what is here:
# shellcheck disable=SC2034,SC2154
lavf=
# Microseconds without a byte after which ffmpeg gives up on a server or a camera; on a camera it does so twice.
stall=8000000
# An ffmpeg is ended after so many naps of so many seconds without a byte sent.
naps=3
nap=4

need_tools() {
    for tool; do
        command -v "$tool" >/dev/null || die 1 "$tool is missing; install it with: apt-get install ffmpeg"
    done
    # FFmpeg's own version may be a date; its libavformat's is a number, here 60016 for 60.16.
    lavf=$(ffmpeg -version | sed -n '/^libavformat/{s/^[a-z]* *\([0-9]*\)\. *\([0-9]*\)\..*/\1 00\2/;s/ .*\(...\)$/\1/p;}')
    lavf=${lavf:-0}
}

# FFmpeg 5.0 is libavformat 59.16, and 6.1 is 60.16.
has_ffmpeg_5() { [ "$lavf" -ge 59016 ]; }
has_ffmpeg_6_1() { [ "$lavf" -ge 60016 ]; }

# Runs ffmpeg with these inputs and codecs, and `url` to push to.
run_ffmpeg() {
    rm -f "$lock.progress" "$lock.still"
    ! has_ffmpeg_5 || set -- -stats_period 3 "$@"
    start ffmpeg -nostdin -hide_banner -loglevel "$loglevel" -progress "file:$lock.progress" "$@" \
        -rw_timeout "$stall" -flvflags no_duration_filesize -f flv "$url"
    pushing=$!
    echo "$$ $pushing" >"$lock"
    starting=yes
    (
        exec </dev/null >/dev/null 2>&1 8>&- 9>&-
        watch "$pushing"
    ) &
    children="$children $!"
    starting=
    [ -z "$pending" ] || stop "$pending"
    wait "$pushing"
    status=$?
    kill "${children##* }" 2>/dev/null
    children=
    [ ! -e "$lock.still" ] || say "nothing came for $((naps * nap)) s, so ffmpeg was ended"
    return "$status"
}

# Ends an ffmpeg that sends nothing any more. Its own timeouts are for connections, and there are cameras that
# keep those up without sending video or audio.
watch() {
    # It may take as long again to begin.
    still=-$naps before=
    while [ "$still" -lt "$naps" ]; do
        sleep "$nap"
        # A script that was killed took its ffmpeg with it.
        kill -0 "$$" || return
        now=$(tail -c 300 "$lock.progress" | sed -n 's/^total_size=//p' | tail -n 1)
        case $now in
        '' | "$before") still=$((still + 1)) ;;
        *) still=0 before=$now ;;
        esac
        # Cut each time, the file takes no room, however far ffmpeg is in it. On a full disk it tells nothing.
        echo >"$lock.progress" || still=0
    done
    : >"$lock.still"
    end_processes "$1"
}

# What ffprobe said of an input that it could not open.
complain() { cat "$lock.words" >&2; }

# Sets `video`, `audio` (names of codecs or nothing), `reorder` (by how many video frames B-frames are ahead)
# and `audio_rate` of an input; words before it are options.
probe() {
    # shellcheck disable=SC2016
    run sh -c 'words=$1; shift; exec "$@" 2>"$words"' sh "$lock.words" ffprobe -hide_banner -loglevel "$loglevel" \
        -of csv=p=0 -show_entries stream=codec_name,codec_type,sample_rate,has_b_frames:stream_disposition=attached_pic \
        "$@" >"$lock.probe" || {
        complain
        return 1
    }
    cat "$lock.words" >&2
    video='' audio='' audio_rate='' reorder=0
    while IFS=, read -r codec kind value cover _; do
        case $kind in
        video) [ -n "$video" ] || [ "$cover" = 1 ] || video=$codec reorder=${value%%[!0-9]*} ;;
        audio) [ -n "$audio" ] || audio=$codec audio_rate=$value ;;
        esac
    done <"$lock.probe"
    rm -f "$lock.probe"
    reorder=${reorder:-0}
    [ -n "$video$audio" ] || {
        say "neither video nor audio in it"
        return 1
    }
}
