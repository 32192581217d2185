#!/bin/sh
# Everything that must hold before a change is taken, for people and for the build machine alike.
set -u

if [ $# -gt 0 ]; then
    case $1 in
    -h | --help) ;;
    *)
        echo "test.sh: unknown argument $1 (see test.sh --help)" >&2
        exit 2
        ;;
    esac
    cat <<'EOF'
Usage: test.sh
Installs what the tests need besides Rust (install-test-tools.sh; nothing when
it is there), then checks the formatting, dependencies, lints, documentation,
tests (which check the scripts as well) and benchmarks (that they work, attacks
among them), in this order, and stops at the first that fails.

  -h, --help         print this
EOF
    exit 0
fi

step() {
    echo "== $*"
    "$@" || {
        echo "test.sh: FAILED at: $*" >&2
        exit 1
    }
}

cd "$(dirname "$0")/.." || exit 1
step scripts/install-test-tools.sh
export RUSTDOCFLAGS=-Dwarnings
# Most tests wait for players, publishers and deadlines: many more of them fit than there are cores. Those that measure
# time take turns by themselves.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-12}"
step cargo fmt --check
step cargo deny --locked --config .deny.toml check bans licenses sources
if cargo deny --locked --config .deny.toml fetch db 2>/dev/null; then
    step cargo deny --locked --config .deny.toml check advisories
else
    echo "== the database of known holes can't be had from here: the dependencies were not held against it"
fi
step cargo clippy --all-targets --locked -- -D warnings
step cargo doc --no-deps --locked
# Unit tests compute, and the corpora of the fuzzers with them: no more of them at once than leave room for clocks.
step env RUST_TEST_THREADS=3 cargo test --locked --lib --bins
step cargo test --locked --test '*'
step cargo test --locked --doc
# Two streams of 1 Mbit/s to 20 players each, every byte compared, and each micro-benchmark once.
step cargo bench --locked --bench relay -- try gortmp 2 20 1000 2
# A page more of stack for each idle connection would go unnoticed elsewhere.
step cargo bench --locked --bench relay -- idle 16.5
# Twenty seconds of good clients amid attacks of all kinds: nothing may be lost, nothing may stay.
step cargo bench --locked --bench relay -- hostile 0.3
step cargo bench --locked --bench micro -- --test
echo "== all is well"
