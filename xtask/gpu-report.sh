#!/bin/sh
# Writes a dated report of every device of this machine: that its results are right, how fast it
# is, and how fast peers are on the same GPU where Python has them. Needs the binary alone, so that
# it can be carried to a machine without Rust:
#   xtask/gpu-report.sh [target/release/rnn-gpu] [bench/results]
set -u
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

# A line of JSON for each experiment, training and inference, and each variant of a peer.
peers() {
    for script in "$here"/../bench/peers/*_steps.py; do
        module=$(basename "$script" _steps.py)
        python3 -c "import $module" 2>/dev/null || { echo "no $module here"; continue; }
        for variant in $(python3 "$script" --list-variants); do
            for experiment in simple-rnn lstm lstm-dropout cnn-lstm next-frame; do
                for mode in '' --inference; do
                    # shellcheck disable=SC2086 # no mode is no argument
                    python3 "$script" --experiment $experiment --variant "$variant" $mode
                done
            done
        done
    done
    for script in "$here"/../bench/peers/jax_*.py; do
        python3 -c 'import jax' 2>/dev/null && python3 "$script"
    done
    true
}

{
    echo "# Measured on $(date -u +%Y-%m-%d)"
    section 'Devices' "$binary" devices
    section 'Right' "$binary" verify
    # Its first word is the name that --device takes.
    for device in $("$binary" devices 2>/dev/null | cut -d' ' -f1); do
        section "Fast: $device" "$binary" bench --device "$device"
    done
    section 'Peers' peers
} >"$report.part"
mv "$report.part" "$report"
echo "wrote $report"
exit $failed
