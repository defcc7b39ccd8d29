#!/usr/bin/env bash
# Puts megatalk/ into the running page without a rebuild: an open page shows it at once, the conversation goes on.
# A container that starts anew has its image's code again: `docker compose up -d --build megatalk` keeps a change.
#
#   scripts/update_megatalk.sh [-p PROJECT] [--restart] [--watch]
#
#   -p, --project-name PROJECT  of the compose project, else COMPOSE_PROJECT_NAME; COMPOSE_FILE holds as well
#   --restart                   restart Streamlit in its container; happens by itself where a change needs it
#   --watch                     go on with every save, until Ctrl-C
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
compose=(docker compose)
# Without files named by the user those of this folder hold, from wherever this is called.
[ -n "${COMPOSE_FILE:-}" ] || compose+=(--project-directory "$root")
restart=() watch=''

while [ $# -gt 0 ]; do
    case $1 in
    -p | --project-name)
        compose+=(--project-name "${2:?"$1 wants a name"}")
        shift
        ;;
    --restart) restart=(--restart) ;;
    --watch) watch=yes ;;
    -h | --help)
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
        exit
        ;;
    *)
        echo "unknown argument: $1 (see --help)" >&2
        exit 2
        ;;
    esac
    shift
done

bytecode=$(mktemp -d)
trap 'rm -rf "$bytecode"' EXIT

pack() {
    # Not what Python and editors leave beside the files.
    tar -C "$root" --exclude=__pycache__ --exclude='*~' --exclude='.#*' --exclude='.*.sw?' -cf - megatalk
}

# A syntax error must never reach the container; compileall prints it.
compile() {
    PYTHONPYCACHEPREFIX=$bytecode python3 -m compileall -q "$root/megatalk" >&2 ||
        { echo "The page is as it was." >&2 && return 1; }
}

update() {
    local begun=${EPOCHREALTIME//[!0-9]/} told status milliseconds
    # The container opens the page while we compile. Its program is the image's, so that no change to the page can break
    # the way to change it back.
    told=$({ compile && pack; } |
        "${compose[@]}" exec -T --workdir /opt/megatalk megatalk python -m megatalk.update "$@") || {
        status=$?
        [ $status -eq 1 ] || echo "The update was broken off (code $status)." >&2 # else the reason is told already
        return 1
    }
    milliseconds=$(((${EPOCHREALTIME//[!0-9]/} - begun) / 1000))
    printf '%s %d.%02d s\n' "$told" $((milliseconds / 1000)) $((milliseconds % 1000 / 10))
}

content() {
    pack 2>/dev/null | cksum || true # a file may go while it is read
}

if [ -z "$watch" ]; then
    update ${restart[@]+"${restart[@]}"}
    exit
fi

seen=$(content)
update ${restart[@]+"${restart[@]}"} || true
echo "Watching megatalk/; Ctrl-C ends it."
while sleep 0.3; do
    now=$(content)
    [ "$now" != "$seen" ] || continue
    # Two looks alike: an editor may be in the midst of writing.
    until seen=$now && sleep 0.1 && now=$(content) && [ "$now" = "$seen" ]; do :; done
    update || true
done
