#!/bin/sh
# From a bare GPU server (Debian or Ubuntu with NVIDIA's driver) to a running worker; run it again after an update.
#
#   deploy/gpu.sh --check           only look whether this machine can do it
#   deploy/gpu.sh                   install, fetch the models, and start the server and its worker
#
# EXTRAS       the engines to install (demucs,ace-step,musicgen)
# MODELS       the models to fetch (ace-step htdemucs); empty, none are
# ENV_FILE     settings to start with, such as deploy/runpod.env
# TORCH_INDEX  where torch is fetched from, if the usual one does not fit the driver
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
extras=${EXTRAS-demucs,ace-step,musicgen}
models=${MODELS-ace-step htdemucs}
env_file=${ENV_FILE-}
least_memory_mb=6000
least_disk_gb=40

say() { echo "gpu.sh: $*" >&2; }

stop() {
    say "$*"
    exit 1
}

check() {
    [ "$(uname -s)" = Linux ] || stop "this is for Linux"
    command -v nvidia-smi >/dev/null 2>&1 || stop "there is no nvidia-smi: install NVIDIA's driver first (docs/gpu.md)"
    card=$(nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits | head -n 1)
    [ -n "$card" ] || stop "nvidia-smi sees no card"
    say "card: $card (name, MB, driver)"
    memory=$(echo "$card" | cut -d, -f2 | tr -d ' ')
    case $memory in
        '' | *[!0-9]*) say "the card does not say how much memory it has" ;;
        *) [ "$memory" -ge "$least_memory_mb" ] || say "ACE-Step wants $least_memory_mb MB and more; less is slow or refused" ;;
    esac
    disk=$(df -Pk "$here" | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$disk" -ge "$least_disk_gb" ] || say "only $disk GB are free; packages and models want $least_disk_gb"
    [ -z "$env_file" ] || [ -r "$env_file" ] || stop "there is no file $env_file (ENV_FILE)"
}

packages() {
    if python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        return
    fi
    command -v apt-get >/dev/null 2>&1 || stop "Python 3.11 or newer with venv is needed, and there is no apt-get to fetch it"
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends python3 python3-venv
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

install_studio() {
    "$here/scripts/install"
    pip=$here/.venv/bin/pip
    cd "$here"
    if [ -n "${TORCH_INDEX-}" ]; then
        "$pip" install --quiet -c constraints.txt --index-url "$TORCH_INDEX" torch
    fi
    "$pip" install --quiet -c constraints.txt -e ".[$extras]"
    "$here/.venv/bin/python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
        stop "torch sees no card: its CUDA is newer than the driver. Name an index for the driver's CUDA in TORCH_INDEX"
}

fetch_models() {
    for model in $models; do
        sotto models pull "$model"
    done
}

# The studio with the settings asked for.
sotto() {
    (
        use_settings
        exec "$here/.venv/bin/sotto" "$@"
    )
}

use_settings() {
    if [ -n "$env_file" ]; then
        while IFS= read -r line; do
            case $line in
                SOTTO_*=*) export "${line?}" ;;
            esac
        done <"$env_file"
    fi
}

check
[ "${1-}" != --check ] || exit 0
packages
install_studio
fetch_models
sotto doctor || say "see above; the rest works"
say "starting; docs/gpu.md says how to have it started for you"
use_settings
exec "$here/.venv/bin/sotto" serve
