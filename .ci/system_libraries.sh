#!/usr/bin/env bash
# Checks the system libraries and programs that no Python package brings, and gets missing ones.
#   .ci/system_libraries.sh run     what `make run` needs
#   .ci/system_libraries.sh test    what `make test` needs besides
# Root on a machine with apt-get: installs them. Otherwise: names them, and exits with status 1.
set -euo pipefail

level=${1:-run}
case $level in
run | test) ;;
*)
    echo "usage: $0 run|test" >&2
    exit 2
    ;;
esac

# On macOS and elsewhere these libraries come inside the Python packages.
[ "$(uname -s)" = Linux ] || exit 0

library() { # SONAME: does the dynamic linker find it?
    local places
    places=$({ ldconfig -p || /sbin/ldconfig -p || /usr/sbin/ldconfig -p; } 2>/dev/null || true)
    if [ -n "$places" ]; then
        grep -qF "$1" <<<"$places" && return 0
    fi
    local folder
    local -a folders=()
    IFS=: read -ra folders <<<"${LD_LIBRARY_PATH:-}"
    for folder in "${folders[@]}" /lib /lib64 /usr/lib /usr/lib64 /usr/local/lib; do
        [ -n "$folder" ] && [ -e "$folder/$1" ] && return 0
    done
    return 1
}

program() { # NAME: is it on the path?
    command -v "$1" >/dev/null 2>&1
}

python_has_venv() { # can some fitting Python make a virtual environment with pip inside?
    local name fitting=no
    [ -x .venv/bin/python ] && return 0
    for name in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
        "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
            2>/dev/null || continue
        fitting=yes
        "$name" -c 'import ensurepip, venv' 2>/dev/null && return 0
    done
    # Without a fitting Python the Makefile says so; python3-venv would not help.
    [ $fitting = no ]
}

missing=() # Debian's package names
library libportaudio.so.2 || missing+=(libportaudio2)
library libGL.so.1 || missing+=(libgl1)
library libglib-2.0.so.0 || missing+=(libglib2.0-0)
library libxcb.so.1 || missing+=(libxcb1)
python_has_venv || missing+=(python3-venv)
if [ "$level" = test ]; then
    program espeak-ng || missing+=(espeak-ng)
    { program Xvfb && program xauth; } || missing+=(xvfb xauth)
    program node || missing+=(nodejs)
    program npm || missing+=(npm)
    program chromium || missing+=(chromium)
    program openbox || missing+=(openbox)
    program xcompmgr || missing+=(xcompmgr)
    program trayer || missing+=(trayer)
    program xdotool || missing+=(xdotool)
    library libEGL.so.1 || missing+=(libegl1)
    library libfontconfig.so.1 || missing+=(libfontconfig1)
    library libdbus-1.so.3 || missing+=(libdbus-1-3)
    library libxcb-cursor.so.0 || missing+=(libxcb-cursor0)
    library libxcb-icccm.so.4 || missing+=(libxcb-icccm4)
    library libxcb-keysyms.so.1 || missing+=(libxcb-keysyms1)
    library libxcb-image.so.0 || missing+=(libxcb-image0)
    library libxcb-render-util.so.0 || missing+=(libxcb-render-util0)
    library libxcb-xinerama.so.0 || missing+=(libxcb-xinerama0)
    library libxcb-shape.so.0 || missing+=(libxcb-shape0)
    library libxkbcommon-x11.so.0 || missing+=(libxkbcommon-x11-0)
    [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || missing+=(fonts-dejavu-core)
    program pulseaudio || missing+=(pulseaudio)
    program pactl || missing+=(pulseaudio-utils)
    compgen -G "/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so" >/dev/null || missing+=(libasound2-plugins)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

if ! program apt-get; then
    echo "System packages are missing; install what your system calls: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "System packages are missing; type: sudo apt-get update &&" \
        "sudo apt-get install -y ${missing[*]}" >&2
    exit 1
fi
echo "Installing system packages: ${missing[*]} (about half a minute)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    echo "apt-get failed; type: apt-get update && apt-get install -y ${missing[*]}" >&2
    exit 1
fi
