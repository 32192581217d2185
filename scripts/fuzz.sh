#!/bin/sh
# Runs the fuzz targets, one after the other, and says what each came to.
set -eu

usage() {
    cat <<'EOF'
Usage: fuzz.sh [--minutes N] [--keep] [TARGET…]
Runs each TARGET (all of them if none is named) with cargo-fuzz, and prints how
many inputs it tried, how many a second, and how much of the code they reached.
A finding is left under tests/fuzz/artifacts and ends the script with 1.

  --minutes N  how long for each target [1]
  --keep       put what reached new code into tests/fuzz/corpus, made small
  -h, --help   print this

Needs the nightly toolchain and cargo-fuzz:
  rustup toolchain install nightly && cargo install cargo-fuzz
EOF
}

fail() {
    echo "fuzz.sh: $1 (see fuzz.sh --help)" >&2
    exit 2
}

minutes=1
keep=
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --minutes)
        [ $# -ge 2 ] || fail "--minutes needs a number"
        minutes=$2
        case $minutes in '' | *[!0-9]*) fail "\"$minutes\" is no number of minutes" ;; esac
        shift
        ;;
    --keep) keep=yes ;;
    -*) fail "unknown option $1" ;;
    *) break ;;
    esac
    shift
done

cd "$(dirname "$0")/.."
known=$(sed -n 's|^path = "targets/\(.*\)\.rs"|\1|p' tests/fuzz/Cargo.toml)
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $known
for target in "$@"; do
    echo "$known" | grep -qx "$target" || fail "there is no target $target, only $(echo "$known" | tr '\n' ' ')"
done
cargo +nightly fuzz --version >/dev/null 2>&1 || fail "cargo-fuzz or the nightly toolchain is missing"

fuzz() {
    command=$1
    target=$2
    shift 2
    cargo +nightly fuzz "$command" --fuzz-dir tests/fuzz --target-dir target/fuzz "$target" "$@"
}

mkdir -p target/fuzz
for target in "$@"; do
    found=target/fuzz/found-$target
    log=target/fuzz/$target.log
    mkdir -p "$found"
    # What is found goes to the first folder; the corpus is read only.
    if ! fuzz run "$target" "$found" "tests/fuzz/corpus/$target" -- -max_total_time=$((minutes * 60)) \
        -max_len=8192 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "fuzz.sh: $target found something" >&2
        exit 1
    fi
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    reached=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1)
    echo "$target: $tried inputs in $minutes minutes, $speed a second, $reached"
    if [ -n "$keep" ]; then
        small=target/fuzz/small-$target
        rm -rf "$small"
        mkdir -p "$small"
        # The smallest of those that together reach the same code, none over 2 KiB, 60 of them at most.
        fuzz run "$target" -- -merge=1 -max_len=2048 "$small" "tests/fuzz/corpus/$target" "$found" >>"$log" 2>&1
        find "tests/fuzz/corpus/$target" -type f ! -name 'seed-*' -delete
        find "$small" -type f -printf '%s %p\n' | sort -n | head -n 60 | while read -r _ file; do
            cp "$file" "tests/fuzz/corpus/$target/"
        done
    fi
done
