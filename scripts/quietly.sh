# shellcheck shell=sh
# Commands whose words are shown only if they fail, and that a signal ends with their caller.
# scripts/setup and scripts/install source this, and make the folder `scratch` before they use it.

scratch='' child=''

# shellcheck disable=SC2329 # the traps call it
interrupted() { # interrupted EXIT-CODE
    [ -z "$child" ] || kill "$child" 2>/dev/null || :
    wait
    exit "$1"
}
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
trap 'interrupted 129' HUP
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

quietly() { # quietly COMMAND...: in the background, so that a signal need not wait for its end
    "$@" </dev/null >"$scratch/said" 2>&1 &
    child=$!
    code=0
    wait "$child" || code=$?
    child=''
    return "$code"
}
