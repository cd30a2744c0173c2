# shellcheck shell=bash
# shellcheck disable=SC2034
# Sourced by the scripts here, in the root of the repository: what they agree on.

# Images are named $REGISTRY/<target>:$TAG; where nobody says otherwise they stay on this machine.
REGISTRY=${REGISTRY:-localhost/prowl}
TAG=${TAG:-dev}
# What the scripts here leave behind.
out=target/images
# The Dockerfile says which images there are.
mapfile -t targets < <(sed -n 's/^FROM runtime AS //p' Dockerfile)

export CONTAINERS_CONF=${CONTAINERS_CONF:-$PWD/images/containers.conf}

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# usage SCRIPT: the comment at its head
usage() {
    sed -n '2,/^set /{s/^# \{0,1\}//p}' "$1" >&2
    exit 2
}

# known TARGET...: fails where there is no such image
known() {
    local target
    for target; do
        case " ${targets[*]} " in *" $target "*) ;; *) fail "there is no image $target, but ${targets[*]}" ;; esac
    done
}

# need PROGRAM...: from Debian, where it is missing and this may be done
need() {
    local program missing=()
    for program; do command -v "$program" >/dev/null || missing+=("$program"); done
    [ ${#missing[@]} = 0 ] && return
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        fail "install ${missing[*]} first"
    fi
    apt-get update --quiet --quiet
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet --quiet --yes --no-install-recommends "${missing[@]}" >&2
}

# of_crate TOOL VERSION: a program of crates.io, kept outside the checkout so that a clean one finds it again
of_crate() {
    local tools=${XDG_CACHE_HOME:-$HOME/.cache}/prowl-tools
    PATH=$PATH:$tools/bin
    command -v "$1" >/dev/null || cargo install --quiet --locked "$1" --version "$2" --root "$tools"
}
