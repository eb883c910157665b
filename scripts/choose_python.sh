# shellcheck shell=sh
# Which Python the venv is made of, and what it needs beside it. scripts/setup sources this.
#
# Wants say, die and quietly; `venv`, `override` (the path of the one Python that may be, or
# nothing) and `scratch`, a folder. choose_python sets `python`, `version` and `site`, an option of
# venv or nothing.

lacking='' # a Python that would do if it could make a venv

# Those that Paddle Lite has wheels for, then those that Paddle Inference has, the best first.
lite="3.10 3.8"
others="3.12 3.11 3.10 3.13 3.9"
# Besides python3, whichever that is, those that a board's vendor may have built Paddle Lite for.
vendors="3.8 3.9 3.10 3.11 3.12"

# Sets `python` and `version` if PYTHON runs, can make a venv and is VERSION (empty: any will do).
# To run it is the only way to know: pyenv's shims exist for versions that are not active. Without
# -I, as `pip install --user` is where a vendor's wheel may be.
try() { # try PYTHON VERSION [MODULE that must come with it]
    [ -x "$1" ] || return 1
    code=0
    answer=$(
        exec 2>/dev/null
        "$1" - "$2" "${3:-}" <<'PYTHON' || exit "$?"
import sys
if sys.implementation.name != "cpython" or sys.version_info < (3, 8):
    sys.exit(1)
if sys.argv[1] not in ("", "%d.%d" % sys.version_info[:2]):
    sys.exit(1)
import ctypes, importlib.util, sqlite3, ssl
if sys.argv[2] and not importlib.util.find_spec(sys.argv[2]):
    sys.exit(1)
try:
    import ensurepip, venv
except ImportError:  # Debian has them in a package of their own
    sys.exit(3)
print("fit %d.%d.%d" % sys.version_info[:3], sys.executable)
PYTHON
    ) || code=$?
    [ "$code" -ne 3 ] || [ -n "$lacking" ] || lacking=$1
    case $code$answer in
    "0fit "*" /"*) answer=${answer#fit } ;;
    *) return 1 ;;
    esac
    version=${answer%% *}
    python=${answer#* }
}

places() { # places VERSION: where one may be, best first, a line each
    (
        set -f
        IFS=:
        for place in $PATH; do
            case $place in
            "$venv"/*) ;;
            /*) printf '%s\n' "$place/python${1:-3}" "$place/python3" "$place/python" ;;
            esac
        done
    )
    for place in "${PYENV_ROOT:-/nowhere}" "${HOME:-/nowhere}/.pyenv"; do
        printf '%s\n' "$place/versions/$1"*/bin/python
    done
}

find_python() { # find_python VERSION [MODULE]
    while IFS= read -r place; do
        if try "$place" "$@"; then return 0; fi
    done <<PLACES
$(places "$1")
PLACES
    return 1
}

ask_uv() { # ask_uv VERSION
    say "no Python $1 here, asking uv for one ..."
    uv=$(command -v uv) || uv=''
    if ! "${uv:-false}" --version >/dev/null 2>&1; then
        find_python "" || return 1
        quietly "$python" -m venv "$scratch/uv" || return 1
        quietly "$scratch/uv/bin/python" -m pip install --quiet --retries 1 uv || return 1
        uv=$scratch/uv/bin/uv
    fi
    UV_PYTHON_INSTALL_BIN=0 quietly "$uv" python install "$1" || return 1
    for place in "$("$uv" python dir)/cpython-$1".*/bin/"python$1"; do
        if try "$place" "$1"; then return 0; fi
    done
    return 1
}

# There are no wheels of Paddle Lite for ARM: a board's vendor builds it for one Python, and a venv
# that sees that Python's own packages, and the user's, has it.
site_of() { # site_of PYTHON: the option that makes such a venv, if it is such a Python
    if [ "$(uname -m)" != x86_64 ] && try "$1" "" paddlelite; then echo --system-site-packages; fi
}

choose_python() {
    site=''
    if [ -n "$override" ]; then
        if try "$override" ""; then
            site=$(site_of "$python")
            return
        fi
        [ -z "$lacking" ] || die "$override cannot make a venv: apt install python3-venv"
        die "SETUP_PYTHON=$override is no working CPython 3.8 or later with ssl and sqlite3"
    fi
    if [ "$(uname -m)" != x86_64 ]; then
        for wish in "" $vendors; do
            if find_python "$wish" paddlelite; then
                site=--system-site-packages
                return
            fi
        done
        lacking=
        lite=''
    fi
    for wish in $lite $others; do
        if find_python "$wish"; then return; fi
    done
    unfit=$lacking
    if ask_uv 3.10; then return; fi
    [ -z "$unfit" ] || die "$unfit cannot make a venv: apt install python3-venv" \
        "(or python3.10-venv, if that is not the system's own Python)"
    die "no working Python 3.8 to 3.13 here: install one, say with 'uv python install 3.10' or" \
        "'pyenv install 3.10', or name one with SETUP_PYTHON=/path/to/python"
}

# The extra with Paddle Inference, unless this Python has, or gets with edged, Paddle Lite.
engine_extra() {
    [ -z "$site" ] || return 0
    case $(uname -m):${version%.*} in
    x86_64:3.8 | x86_64:3.10) ;;
    *) echo paddle ;;
    esac
}
