# shellcheck shell=sh
# What the push scripts share; sourced by them, not run. Each ffmpeg is a child that is started again with a
# growing delay and ended together with its script, and there is one for each stream.

# Much is set here for the scripts alone:
# shellcheck disable=SC2034
set -u
me=${0##*/}
default_url=rtmp://127.0.0.1/live/livestream
url=
loglevel=warning
once=
# Tenths of a second between TERM and KILL; whoever ends a script has to give it longer than this.
grace=50
children=
starting=
pending=
filter=
prefix=
tied=
lock=
until_done=
lasting_errors=
first=
second=
# shellcheck source-path=SCRIPTDIR source=lib-ffmpeg.sh
. "$(dirname "$0")/lib-ffmpeg.sh"

common_help() {
    cat <<'EOF'
  --once             don't restart ffmpeg when it exits
  --loglevel LEVEL   log level of ffmpeg (default warning)
  -h, --help         print this

When ffmpeg exits it is restarted after 1, 2, 4, ... at most 30 seconds, and
after 1 second again once it has run for 60. An ffmpeg that sends nothing for 12
seconds is stopped. Stopping the script stops ffmpeg. A second script for the
same stream is refused.

Environment, in seconds: GORTMP_PUSH_DELAY (first delay, 1),
GORTMP_PUSH_DELAY_MAX (longest delay, 30), GORTMP_PUSH_STEADY (how long a run
must last to reset the delay, 60). Locks are in ${TMPDIR:-/tmp}/gortmp-push-UID.

Exit status: 0 everything was published, 1 failed, 2 wrong usage, 3 already
being published, 128 + N stopped by signal N; with --once, that of ffmpeg.
EOF
}

say() { printf '%s: %s\n' "$me" "$*" >&2; }

die() {
    status=$1
    shift
    say "$@"
    exit "$status"
}

bad_usage() { die 2 "$* (see $me --help)"; }

# Options of every pusher and the words between them, which go to `first` and `second`; sets `taken`.
take_common() {
    taken=1
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --once) once=yes ;;
    --loglevel)
        need_value "$@"
        loglevel=$2
        taken=2
        ;;
    -*) bad_usage "unknown option $1" ;;
    *)
        if [ -z "$first" ]; then
            first=$1
        elif [ -z "$second" ]; then
            second=$1
        else
            bad_usage "too many arguments"
        fi
        ;;
    esac
}

need_value() { [ $# -ge 2 ] || bad_usage "$1 needs a value"; }

check_number() {
    case $2 in
    '' | *[!0-9]* | 0?* | ??????*) bad_usage "$1: $2 is not a whole number" ;;
    esac
    [ "$2" -ge "${3:-0}" ] || bad_usage "$1: $2 is less than $3"
}

check_size() {
    case $2 in
    *[!0-9x]* | *x*x* | x* | *x) bad_usage "$1: $2 is not a size such as 1280x720" ;;
    *x*) ;;
    *) bad_usage "$1: $2 is not a size such as 1280x720" ;;
    esac
}

check_bitrate() {
    case ${2%[kM]} in
    '' | *[!0-9]*) bad_usage "$1: $2 is not a rate such as 1500k" ;;
    esac
}

check_url() {
    case $1 in
    *[[:space:]]*) bad_usage "$1 has a space in it" ;;
    rtmp://?*/?* | rtmps://?*/?*) ;;
    *) bad_usage "$1 is not a URL such as $default_url" ;;
    esac
}

# Which stream a URL means: without password, query (it may hold a key) and the default port.
stream_id() { printf '%s' "$1" | sed -e 's,^[a-z]*://,,' -e 's,[?].*,,' -e 's,^[^/]*@,,' -e 's,:1935/,/,'; }

# To be called once the options are read: sets traps, and a filter that keeps passwords out of what
# this script and ffmpeg print, and puts `prefix` before each line.
begin() {
    delay_first=${GORTMP_PUSH_DELAY:-1}
    delay_max=${GORTMP_PUSH_DELAY_MAX:-30}
    steady=${GORTMP_PUSH_STEADY:-60}
    check_number GORTMP_PUSH_DELAY "$delay_first"
    check_number GORTMP_PUSH_DELAY_MAX "$delay_max"
    check_number GORTMP_PUSH_STEADY "$steady"
    locks=${TMPDIR:-/tmp}/gortmp-push-$(id -u)
    mkdir -m 700 "$locks" 2>/dev/null
    [ -n "$(find "$locks" -prune -type d -user "$(id -u)" 2>/dev/null)" ] || die 1 "$locks does not belong to this user"
    ! setpriv --pdeathsig TERM true 2>/dev/null || tied=yes
    # A log reader that went away must not end the script before it has ended ffmpeg.
    trap '' PIPE
    trap 'on_signal 129' HUP
    trap 'on_signal 130' INT
    trap 'on_signal 143' TERM
    trap 'stop $?' EXIT
    pipe=$locks/log-$$
    rm -f "$pipe"
    mkfifo -m 600 "$pipe" || exit 1
    (
        trap '' HUP INT TERM
        exec sed -u -e 's,://[^[:space:]]*@,://***@,g' -e 's,\(://[^[:space:]?]*[?]\)[^[:space:]]*[^[:space:]:],\1***,g' \
            -e 's,\(pass[a-z]*=\)[^&/[:space:]]*,\1***,g' -e 's,\(Authorization: *\).*,\1***,' \
            -e "s,^,$prefix," <"$pipe" >&2
    ) &
    filter=$!
    exec 2>"$pipe"
    rm -f "$pipe"
}

# A signal between the start of a child and the shell's learning its number has to wait for that number.
on_signal() { if [ -n "$starting" ]; then pending=$1; else stop "$1"; fi; }

stop() {
    trap '' HUP INT TERM
    trap - EXIT
    # shellcheck disable=SC2086
    end_processes $children
    [ -z "$lock" ] || rm -f "$lock.progress" "$lock.still" "$lock.probe" "$lock.words"
    if [ -n "$filter" ]; then
        exec 2>/dev/null
        await 10 "$filter"
    fi
    exit "$1"
}

# Waits at most that many tenths of a second until none of the processes is left.
await() {
    tenths=$1
    shift
    for process; do
        while kill -0 "$process" 2>/dev/null; do
            [ "$tenths" -gt 0 ] || return 1
            sleep 0.1
            tenths=$((tenths - 1))
        done
    done
}

end_processes() {
    [ $# -gt 0 ] || return 0
    kill "$@" 2>/dev/null
    # At the second one, ffmpeg gives up what it waits for.
    await 10 "$@" || kill "$@" 2>/dev/null
    await "$grace" "$@" || kill -KILL "$@" 2>/dev/null
}

# Becomes the command; where setpriv can, the kernel ends it when this script is killed without a word.
become() {
    [ -z "$tied" ] || exec setpriv --pdeathsig TERM "$@"
    exec "$@"
}

# Starts a child, which must not inherit the locks: one that outlived its script would hold them.
start() {
    starting=yes
    become "$@" </dev/null 8>&- 9>&- &
    children="$children $!"
    starting=
    [ -z "$pending" ] || stop "$pending"
}

# Runs a command to its end; unlike a plain call, a signal to the script acts at once.
run() {
    start "$@"
    [ -z "$lock" ] || echo "$$ $!" >"$lock"
    wait "$!"
    status=$?
    children=
    return "$status"
}

# Runs the given command for ever, or with `until_done` set until it succeeds.
supervise() {
    delay=$delay_first
    while :; do
        begun=$(date +%s)
        "$@"
        status=$?
        if [ -n "$once" ] || { [ "$status" -eq 0 ] && [ -n "$until_done" ]; }; then
            exit "$status"
        fi
        [ "$status" -ne 2 ] || [ -z "$lasting_errors" ] || die 2 "stopped because of a wrong setting; not restarting"
        [ $(($(date +%s) - begun)) -lt "$steady" ] || delay=$delay_first
        [ "$delay" -le "$delay_max" ] || delay=$delay_max
        say "${what:-ffmpeg} exited with status $status, restarting in $delay s"
        run sleep "$delay"
        delay=$((delay * 2))
    done
}

command_line() { { tr '\0' ' ' <"/proc/$1/cmdline" || ps -p "$1" -o args=; } 2>/dev/null; }

# Makes sure that nobody else pushes this stream, and ends an ffmpeg that a killed pusher left behind.
claim_stream() {
    claim 9 "$(stream_id "$1")"
    lock=$claimed
    if read -r _ stray <"$lock"; then
        case $(command_line "$stray") in
        *ffmpeg*" $1 ")
            say "stopping an ffmpeg left over from an earlier run (process $stray)"
            end_processes "$stray"
            ;;
        esac
    fi
    echo "$$ -" >"$lock"
}

# Makes sure that nobody else reads this device.
claim_device() {
    claim 8 "$1"
    echo "$$ -" >"$claimed"
}

# Tells once for all pushers of a list what BBR is good for, where it is to be had, is not in use and could help.
advise_bbr() {
    host=${1#*://}
    host=${host%%/*}
    host=${host##*@}
    case $host in
    127.* | localhost | localhost:* | '[::1]'*) return ;;
    esac
    case " $(hostname 2>/dev/null) $(hostname -I 2>/dev/null) " in
    *" ${host%:*} "*) return ;;
    esac
    ways=/proc/sys/net/ipv4/tcp
    case " $(cat "${ways}_available_congestion_control" 2>/dev/null) " in
    *' bbr '*) ;;
    *) return ;;
    esac
    used=$(cat "${ways}_congestion_control" 2>/dev/null)
    [ "$used" != bbr ] && [ -z "${GORTMP_PUSH_ADVISED-}" ] || return
    export GORTMP_PUSH_ADVISED=yes
    say "over Wi-Fi or a mobile network, video lags less if this machine uses the congestion control bbr instead of" \
        "$used: sysctl -w net.ipv4.tcp_congestion_control=bbr"
}

# Takes the lock of that name and holds it by the file descriptor until this script ends.
claim() {
    claimed=$locks/$(printf '%s' "$2" | tr -c 'A-Za-z0-9._-' _ | cut -c1-100)-$(printf '%s' "$2" | cksum | cut -d' ' -f1)
    touch "$claimed" || exit 1
    holder=unknown
    if command -v flock >/dev/null; then
        eval "exec $1<\"\$claimed\""
        flock -n "$1" && return
        read -r holder _ <"$claimed"
    else
        # A link is made and filled in one step; what is left of a dead pusher is taken over.
        holder=$(readlink "$claimed.pid")
        case $(command_line "${holder:-none}") in
        *push-*) ;;
        *) rm -f "$claimed.pid" ;;
        esac
        if ln -s "$$" "$claimed.pid" 2>/dev/null; then
            return
        fi
    fi
    die 3 "$2 is already being published by process $holder: stop that one first"
}
