#!/bin/sh
# Runs the fuzz targets, one after the other, and says what each came to.
set -eu

usage() {
    cat <<'EOF'
Usage: fuzz.sh [--minutes N] [--keep] [TARGET…]
Runs each TARGET (all if none is named) with cargo-fuzz, and prints how many
inputs it tried, how many per second, and how much of the code they reached. A
finding is saved in tests/fuzz/artifacts and makes the script exit with 1.

  --minutes N  how long to run each target [1]
  --keep       add inputs that reach new code to tests/fuzz/corpus, minimized
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

# Of the inputs in a control file of libFuzzer's, the seeds and those that add most to them for their size: 60 together,
# none of the others over 3 KiB.
choose() {
    awk '
        function take(i, features, files, n, m) {
            print name[i]
            delete name[i]
            for (n = split(reached[i], features, " "); n > 0; n--) {
                for (m = split(reachers[features[n]], files, " "); m > 0; m--) gain[files[m]]--
                delete reachers[features[n]]
            }
        }
        NR > 2 && NR <= 2 + count { name[NR - 3] = $0 }
        NR == 1 { count = $1 }
        $1 == "STARTED" { size[$2] = $3 }
        $1 == "FT" {
            gain[$2] = NF - 2
            for (n = 3; n <= NF; n++) {
                reached[$2] = reached[$2] " " $n
                reachers[$n] = reachers[$n] " " $2
            }
        }
        END {
            for (i in name) if (name[i] ~ /\/seed-/) { take(i); taken++ }
            for (; taken < 60; taken++) {
                best = -1
                for (i in name) {
                    worth = gain[i] / (200 + size[i]) ^ 0.3
                    if (gain[i] > 0 && size[i] <= 3072 && (best < 0 || worth > most)) { best = i; most = worth }
                }
                if (best < 0) break
                take(best)
            }
        }' "$1"
}

mkdir -p target/fuzz
for target in "$@"; do
    found=target/fuzz/found-$target
    log=target/fuzz/$target.log
    mkdir -p "$found"
    # A server in the same process holds something whenever one looks.
    case $target in http) leaks=0 ;; *) leaks=1 ;; esac
    # What is found goes to the first folder; the corpus is read only.
    if ! fuzz run "$target" "$found" "tests/fuzz/corpus/$target" -- -max_total_time=$((minutes * 60)) \
        -detect_leaks=$leaks -max_len=8192 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "fuzz.sh: $target found something" >&2
        exit 1
    fi
    tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    reached=$(grep -o 'cov: [0-9]* ft: [0-9]*' "$log" | tail -n 1)
    echo "$target: $tried inputs in $minutes minutes, $speed a second, $reached"
    if [ -n "$keep" ]; then
        # What a merge writes is left alone: its notes say what each input reaches.
        merge=target/fuzz/merge-$target
        rm -rf "$merge"
        mkdir -p "$merge/all" "$merge/chosen"
        fuzz run "$target" -- -set_cover_merge=1 -max_len=8192 -merge_control_file="$merge/reached" \
            "$merge/all" "tests/fuzz/corpus/$target" "$found" >>"$log" 2>&1
        choose "$merge/reached" | while read -r file; do cp "$file" "$merge/chosen/"; done
        rm -rf "tests/fuzz/corpus/$target"
        mv "$merge/chosen" "tests/fuzz/corpus/$target"
    fi
done
