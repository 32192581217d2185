#!/bin/sh
# Makes video/sample.flv, so that there is something to play on demand from the start.
set -eu

if [ $# -gt 0 ]; then
    case $1 in
    -h | --help) ;;
    *)
        echo "make-sample.sh: unknown argument $1 (see make-sample.sh --help)" >&2
        exit 2
        ;;
    esac
    cat <<'EOF'
Usage: make-sample.sh
Makes video/sample.flv: 12 seconds of test pattern and tone, H.264 Baseline
640x360 at 25 frames per second with a key frame every second, and AAC. The same
ffmpeg makes the same bytes.

  -h, --help         print this
EOF
    exit 0
fi

command -v ffmpeg >/dev/null || {
    echo "make-sample.sh: ffmpeg is missing; install it with: apt-get install ffmpeg" >&2
    exit 1
}
cd "$(dirname "$0")/../video"
# Written aside first: the server must not find half a file. One thread, as x264's output depends on it.
trap 'rm -f .sample.flv' EXIT
ffmpeg -nostdin -hide_banner -loglevel warning -y \
    -f lavfi -i testsrc2=size=640x360:rate=25 \
    -f lavfi -i 'aevalsrc=0.2*sin(2*PI*440*t)|0.2*sin(2*PI*660*t):sample_rate=44100' \
    -t 12 -c:v libx264 -profile:v baseline -preset slow -threads 1 -g 25 -keyint_min 25 -sc_threshold 0 \
    -pix_fmt yuv420p -crf 28 -maxrate 500k -bufsize 500k -c:a aac -b:a 64k \
    -fflags +bitexact -flags +bitexact -flvflags add_keyframe_index -f flv .sample.flv
mv .sample.flv sample.flv
ls -l sample.flv
