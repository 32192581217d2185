#!/bin/sh
# Measures gortmp beside nginx-rtmp, and beside others if asked to.
set -eu

case "${1-}" in
-h | --help)
    cat <<'OUT'
Usage: bench.sh [OPTIONS] | bench.sh simulate HOURS | bench.sh soak MINUTES
       bench.sh hostile MINUTES | bench.sh cameras SECONDS | bench.sh idle KIB
       bench.sh weak [--quick] [--rounds N] [--seconds N] [--only ID]
                     [--disposable] [--write] [-- OPTIONS OF GORTMP]
       bench.sh micro [NAME]
Puts the same load on gortmp, on nginx with its RTMP module (installed when
missing; root or sudo) and on a loopback baseline that only sends, one after the
other, checks every byte that players get, and prints a table with ratios and
goals. Takes about twenty-five minutes; everything stays on this machine's
loopback and in network namespaces of its own.

  --quick            one short run of each load, about six minutes
  --rounds N         runs of each load, of which the medians count [3]
  --seconds N        how long each run counts [10]
  --only ID          this load only: 20, 100, 500, 1000, gather, 2500, 200x1,
                     50x2 (takes root: it makes two network namespaces), rtmps,
                     https, http, mp4, stuck, vod, get-flv, get-mp4, idle or
                     seek
  --peer NAME=CMD    another server, started by CMD with its port for {port}
  --with-xiu         xiu as well, built from crates.io into target/tools
  --with-nms         node-media-server as well, from npm into target/tools
  --write            put the tables into src/guide/performance.md and the plot
                     into tests/bench

simulate: hours of stream as fast as it goes. soak: players come and go in real
time. hostile: the same amid attacks of many kinds; fails if any good client
misses a message or the server keeps anything (fractions of a minute will do).
idle: fails if an idle connection takes more memory than that.
cameras: how late network cameras are through push-ip-camera.sh and the server,
watched for so long each; fails if that is more than its goal.
weak: how late video is for a viewer at the far end of a weak link, beside
nginx, and what gets there; with --disposable of a stream of which every other
frame can be left out. Takes root (two network namespaces and two TUN devices),
Python, and for the page Node and Chromium; seventeen minutes, --quick six.
micro: what each step in the life of a message costs alone.
OUT
    exit 0
    ;;
esac
cd "$(dirname "$0")/.."

# What nobody knows is told before anything is built or installed.
value_of=
for argument; do
    case $value_of$argument in
    --rounds | --seconds | --only | --peer) value_of="$argument " ;;
    --quick | --with-xiu | --with-nms | --write | simulate | soak | hostile | cameras | idle | weak | micro) ;;
    "--"*" "*) value_of= ;;
    *)
        case "${1-}" in
        simulate | soak | hostile | cameras | idle | weak | micro) ;;
        *)
            echo "bench.sh: unknown argument $argument (see bench.sh --help)" >&2
            exit 2
            ;;
        esac
        ;;
    esac
done

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

if [ "${1-}" = micro ]; then
    shift
    exec cargo bench --locked --bench micro -- "$@"
fi

case "${1-}" in
simulate | soak | hostile | cameras | idle) exec cargo bench --locked --bench relay -- "$@" ;;
esac

modules=/usr/lib/nginx/modules
if [ ! -x /usr/sbin/nginx ] || [ ! -e $modules/ngx_rtmp_module.so ] || [ ! -e $modules/ngx_stream_module.so ]; then
    echo "bench.sh: installing nginx with its modules for RTMP and TLS" >&2
    as_root sh -c "printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
        apt-get update -q && apt-get install -y -q libnginx-mod-rtmp libnginx-mod-stream; status=\$?
        rm -f /usr/sbin/policy-rc.d; exit \$status"
fi

if [ "${1-}" = weak ]; then
    shift
    if [ "${1-}" = --quick ]; then
        shift
        set -- --rounds 1 "$@"
    fi
    exec cargo bench --locked --bench relay -- weak "$@"
fi

tools=$PWD/target/tools
rounds=
for argument; do
    shift
    case $argument in
    --quick) rounds="--rounds 1 --seconds 4" ;;
    --with-xiu)
        [ -x "$tools/xiu/bin/xiu" ] || cargo install --locked xiu --root "$tools/xiu"
        set -- "$@" --peer "xiu=$tools/xiu/bin/xiu -r {port} -l error"
        ;;
    --with-nms)
        if [ ! -d "$tools/nms/node_modules/node-media-server" ]; then
            npm install --silent --prefix "$tools/nms" node-media-server@4
        fi
        set -- "$@" --peer "node-media-server=node $tools/nms/node_modules/node-media-server/bin/app.js \
            --bind 127.0.0.1 --rtmp-port {port} --http-port 28123 --no-admin"
        ;;
    *) set -- "$@" "$argument" ;;
    esac
done
# shellcheck disable=SC2086 # two options, each of two words
exec cargo bench --locked --bench relay -- $rounds "$@"
