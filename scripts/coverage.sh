#!/bin/sh
# How much of the code that reads what comes from outside is reached by tests and corpora.
set -eu

if [ $# -gt 0 ]; then
    case $1 in
    -h | --help) ;;
    *)
        echo "coverage.sh: unknown argument $1 (see coverage.sh --help)" >&2
        exit 2
        ;;
    esac
    cat <<'EOF'
Usage: coverage.sh
Runs the unit tests and the replay of the fuzzers' corpora with counters in the
code, and prints the share of lines that they reached in src/rtmp, src/amf,
src/flv and src/session, and which lines of those they did not. Takes some
minutes. Needs cargo-tarpaulin: cargo install cargo-tarpaulin

  -h, --help  print this
EOF
    exit 0
fi

cd "$(dirname "$0")/.."
cargo tarpaulin --version >/dev/null 2>&1 || {
    echo "coverage.sh: cargo-tarpaulin is missing: install it with cargo install cargo-tarpaulin" >&2
    exit 1
}
report=target/coverage
mkdir -p "$report"
cargo tarpaulin --engine llvm --skip-clean --locked --target-dir target/tarpaulin --lib \
    --exclude-files 'tests/*' --out Stdout --timeout 600 >"$report/report.txt" 2>"$report/log.txt" || {
    tail -n 30 "$report/log.txt" >&2
    exit 1
}
grep -E '^(\|\| )?src/(rtmp|amf|flv|session)/.*: [0-9, -]+$' "$report/report.txt" | sed 's/^|| //' || true
echo "--"
sum() {
    grep -Eo "src/$2/[^ ]*: [0-9]+/[0-9]+" "$report/report.txt" | awk -F'[ /]' -v name="$1" '
        { reached += $(NF - 1); all += $NF }
        END { if (all) printf "%s: %d of %d lines, %.1f %%\n", name, reached, all, 100 * reached / all }'
}
for part in rtmp amf flv session; do
    sum "src/$part" "$part"
done
sum "these together" "(rtmp|amf|flv|session)"
