# shellcheck shell=bash
# shellcheck disable=SC2034
# What the scripts beside this file share: the stages, how a server is asked, and how they end when something is wrong.

stages="fetch export cluster trainer inference loadtest"
environment='' mount=secret cli=''

fail() {
  echo "${0##*/}: $*" >&2
  exit 1
}
wrong_use() {
  echo "${0##*/}: $*; ${0##*/} --help tells more" >&2
  exit 2
}
# The comment at the top of the script.
usage() { sed -n '2,/^[^#]/{/^#/{s/^# \{0,1\}//;p}}' "$0"; }

# named OPTION VALUE: paths, policies and roles are made of it
named() {
  [ -n "$2" ] || wrong_use "give $1"
  [[ $2 =~ ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$ ]] || wrong_use "$1 is made of small letters, digits and -, not $2"
}

path_of() { echo "$mount/prowl/$environment/$1"; }

# Finds the programs, and sees whether the server takes this token. What it tells of the token is nobody's business.
connect() {
  command -v jq > /dev/null || fail "jq is missing"
  if command -v bao > /dev/null; then cli=bao; elif command -v vault > /dev/null; then cli=vault; else fail "neither bao nor vault is there"; fi
  "$cli" token lookup > /dev/null || fail "the server does not take this token: set VAULT_ADDR and VAULT_TOKEN"
}

# read_path PATH: what is there, as JSON; nothing where there is nothing
read_path() {
  local errors said status=0
  errors=$(mktemp)
  "$cli" read -format=json "$1" 2> "$errors" || status=$?
  said=$(< "$errors")
  rm -f "$errors"
  [ "$status" != 0 ] || return 0
  case $said in
    *"No value found at"* | *"No secret engine mount at"* | *"No auth engine at"* | *"no handler for route"*) ;;
    *) fail "cannot read $1: $said" ;;
  esac
}
