#!/bin/bash
# Kills a small run at every rename, link, unlink and fsync that it makes, one run a call, goes on
# with it, and compares what it leaves with a run that was left alone. Then lets each of these calls,
# and each write, fail instead. Needs strace; takes minutes. From the repository's root:
#
#   tests/kill_at_every_call.sh target/debug/pix2pix-engine
set -u
program=$(realpath "${1:?the built program}")
data=$(realpath samples/atlas 2>/dev/null) && work=$(mktemp -d) && cd "$work" || exit 2
trap 'rm -rf "$work"' EXIT
mkdir -p data/train data/val
mapfile -t pictures < <(find "$data" -name '*.jpg' -o -name '*.png' | sort | head -4)
cp "${pictures[@]:0:3}" data/train && cp "${pictures[3]}" data/val || exit 2

flags="--device cpu --threads 1 --size 16 --base-channels 1 --patch 16 --epochs 2 --save-every 2"
run() { "$program" train data $flags --out "$1" >/dev/null 2>&1; }
# What must be equal: everything but the seconds of a step, and which generation `previous` is.
sums() {
    (cd "$1" && sed 's/"seconds":[^,}]*//' metrics.jsonl | md5sum &&
        find . -type f ! -name metrics.jsonl ! -name previous.safetensors | sort | xargs md5sum)
}
go_on() {
    if [ -e run/checkpoints/latest.safetensors ]; then
        "$program" translate run data/val/* -o o.png >/dev/null 2>&1 || return 1
        "$program" train data --device cpu --threads 1 --save-every 2 --resume run >out 2>&1 ||
            grep -q 'steps already' out
    else
        run run
    fi
}

run whole || { echo "the run itself fails"; exit 2; }
expected=$(sums whole)
tried=0 failed=0
check() {
    tried=$((tried + 1))
    if ! go_on || [ "$(sums run)" != "$expected" ]; then
        failed=$((failed + 1))
        echo "FAILED: $1"
        diff <(sums run) <(echo "$expected")
    fi
    rm -rf run
}
for call in rename linkat unlink fsync write; do
    run_traced() { strace -f -qq -o trace -e trace="$call" "$@" >/dev/null 2>&1; }
    run_traced "$program" train data $flags --out run
    # Of the writes only those to files: the numbers of the others are passed over.
    mapfile -t numbers < <(
        grep -n "$call(" trace | awk -F: -v call="$call" \
            'call != "write" { print ++n; next } { ++n; if ($0 !~ /write\([012],/) print n }')
    rm -rf run
    for number in "${numbers[@]}"; do
        for how in signal=SIGKILL error=ENOSPC; do
            [ "$call $how" = "write signal=SIGKILL" ] && continue
            # The shell's own word on a killed child is passed over.
            { strace -f -qq -o /dev/null -e inject="$call:$how:when=$number" \
                "$program" train data $flags --out run >out 2>err; } 2>/dev/null
            code=$?
            # An error names a file, and is never taken for success.
            if [ "$how" = error=ENOSPC ] && [ $code -ne 0 ] && ! grep -q 'error: .*run' err; then
                echo "FAILED: $call $number says $(cat err)"
                failed=$((failed + 1))
            fi
            check "$call number $number, $how"
        done
    done
    echo "$call: ${#numbers[@]} calls"
done
echo "$tried runs, $failed failed"
[ "$failed" -eq 0 ]
