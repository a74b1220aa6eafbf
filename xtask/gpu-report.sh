#!/bin/sh
# Writes a dated report of every device of this machine: that its results are right, how fast it
# is, and how fast peers are on the same GPU: those that Python has, and burn where cargo is. Needs
# the binary alone, so that it can be carried to a machine without Rust:
#   xtask/gpu-report.sh [target/release/rnn-gpu] [bench/results]
set -u
# The peers that this Python has; empty, and they are installed into an environment of their own.
export RNN_GPU_PYTHON="${RNN_GPU_PYTHON-python3}"
[ -n "$RNN_GPU_PYTHON" ] || unset RNN_GPU_PYTHON
binary=${1:-target/release/rnn-gpu}
folder=${2:-bench/results}
here=$(dirname "$0")
mkdir -p "$folder" || exit 1
report=$folder/$(date -u +%Y-%m-%d-%H%M).md
failed=0

section() {
    printf '\n## %s\n\n```text\n' "$1"
    shift
    "$@" 2>&1 || { echo "exit code $?"; failed=1; }
    printf '```\n'
}

# Of use, but no part of the verdict.
peers() {
    "$binary" bench --peers="$here/../bench/peers" --burn --out "$folder" || true
}

{
    echo "# Measured on $(date -u +%Y-%m-%d)"
    section 'Devices' "$binary" devices
    section 'Right' "$binary" verify --full
    # Its first word is the name that --device takes.
    for device in $("$binary" devices 2>/dev/null | cut -d' ' -f1); do
        section "Fast: $device" "$binary" bench --device "$device"
    done
    section 'Peers' peers
} >"$report.part"
mv "$report.part" "$report"
echo "wrote $report"
exit $failed
