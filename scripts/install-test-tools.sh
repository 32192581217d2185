#!/bin/sh
# Installs what the tests need besides Rust.
set -eu

packages="ffmpeg rtmpdump gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav gir1.2-gst-rtsp-server-1.0
python3-gi vlc-bin vlc-plugin-base libnginx-mod-rtmp prometheus shellcheck python3-venv util-linux mount e2fsprogs
iproute2 nftables libfaketime openssl chromium groff-base mandoc zsh fish"

if [ $# -gt 0 ]; then
    case $1 in
    -h | --help) ;;
    *)
        echo "install-test-tools.sh: unknown argument $1 (see install-test-tools.sh --help)" >&2
        exit 2
        ;;
    esac
    cat <<'EOF'
Usage: install-test-tools.sh
Installs, on Debian and its relatives, what the tests need: the players and
publishers that the server is tested with (ffmpeg, rtmpdump, GStreamer and its
RTSP server, VLC, nginx with its RTMP module, whose service is neither started
nor enabled, Chromium), tools to break networks, disks and clocks, shells and
formatters for the completions and the manual page, and shellcheck. Needs root
or sudo unless all are installed already. Also installs a recent ffmpeg, which
knows Enhanced RTMP, as target/tools/ffmpeg-recent (from the Python package
imageio-ffmpeg), cargo-deny, which checks the dependencies (from crates.io), and
into tests/browser what drives Chromium (from npm).
What is installed already stays as it is.

  -h, --help         print this
EOF
    exit 0
fi
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

missing=
for package in $packages; do
    dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "== installing$missing"
    # Debian starts a service as it installs it; this file is how to say no, and may be there already.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"' EXIT
        trap 'exit 1' HUP INT TERM
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    had_nginx=$(command -v nginx || command -v /usr/sbin/nginx || true)
    as_root apt-get update
    # shellcheck disable=SC2086
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
    [ -n "$had_nginx" ] || as_root update-rc.d nginx disable
fi

recent=target/tools/ffmpeg-recent
if ! "$recent" -version >/dev/null 2>&1; then
    echo "== installing $recent"
    mkdir -p target/tools
    /usr/bin/python3 -m venv target/tools/venv
    target/tools/venv/bin/pip install --quiet imageio-ffmpeg
    ln -sf "$(target/tools/venv/bin/python -c 'import imageio_ffmpeg; print(imageio_ffmpeg.get_ffmpeg_exe())')" "$recent"
    "$recent" -version >/dev/null
fi
if ! command -v cargo-deny >/dev/null; then
    echo "== installing cargo-deny, which takes some minutes"
    cargo install --quiet --locked cargo-deny
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "== installing Node.js"
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs npm
fi
if ! npm ls --prefix tests/browser >/dev/null 2>&1; then
    echo "== installing what drives the browser"
    npm ci --prefix tests/browser --no-audit --no-fund
fi
echo "== test tools are there"
