#!/usr/bin/env bash
# Replaces credentials without a restart and without a call that fails. Programs look at their secret every 30 seconds, so what is
# old stays good for a while (--grace) after the new one is written. No value is an argument, or is shown.
#
#   rotate.sh keys  --environment NAME --stage STAGE < new.json
#                                                    a JSON object of texts, such as {"spaces_key": "…", "spaces_secret": "…"} or
#                                                    {"mongo_uri": "…"}, into the secret of STAGE and of each other stage that has the same
#                                                    values of these keys now. Who has others keeps them, such as one that only reads.
#                                                    Make the new key at its owner before, and take back the old one after it
#   rotate.sh keys  … --alone                        into the secret of STAGE and no other: a key of its own, where it shares one so far
#   rotate.sh token --environment NAME               a new token for the load test: the service knows both tokens before the load
#                                                    test brings the new one, and forgets the old one last
#
#     --stage STAGE      whose secret (docs/secrets.md), or release, which is of the workflows
#     --mount NAME       of the KV engine, version 2                              [secret]
#     --name NAME        of the token in api_tokens                               [loadtest]
#     --grace SECONDS    how long programs may take until they know of a change   [60]
#
# Where it was broken off it can be run again. It needs bao or vault, logged in as someone who may read and write these secrets
# (VAULT_ADDR, VAULT_TOKEN), and jq; for a token openssl, too. Exit codes: 0 done, 1 failed, 2 wrong use.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=common.sh
. "$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/common.sh"

stage='' name=loadtest grace=60 alone=''
what=${1:-}
case $what in
  -h | --help) usage; exit 0 ;;
  keys | token) shift ;;
  *) wrong_use "say keys or token" ;;
esac
while [ $# -gt 0 ]; do
  if [ "$1" = --alone ]; then
    alone=1
    shift
    continue
  fi
  [ $# -ge 2 ] || wrong_use "$1 is no option, or needs a value"
  case $1 in
    --environment) environment=$2 ;;
    --stage) stage=$2 ;;
    --mount) mount=$2 ;;
    --name) name=$2 ;;
    --grace) grace=$2 ;;
    *) wrong_use "there is no option $1" ;;
  esac
  shift 2
done
named --environment "$environment"
named --mount "$mount"
named --name "$name"
[[ $grace =~ ^[0-9]+$ ]] || wrong_use "--grace is a number of seconds"
# That of the workflows is for no role that bootstrap.sh makes.
secrets="$stages release"
[ "$what" = token ] || [[ " $secrets " == *" $stage "* ]] || wrong_use "keys needs --stage, one of $secrets"
connect

# secret STAGE: all of it with its version, for the eyes of this script; nothing where there is none
secret() { read_path "$mount/data/prowl/$environment/$1"; }

# write STAGE FOUND VALUES WHAT: sets these keys of it, unless somebody else has changed the secret meanwhile
write() {
  local version
  version=$(jq '.data.metadata.version' <<< "$2")
  jq -n 'input as $found | input as $values
    | {options: {cas: $found.data.metadata.version}, data: (($found.data.data // {}) + $values)}' <<< "$2 $3" \
    | "$cli" write "$mount/data/prowl/$environment/$1" - > /dev/null
  echo "$(path_of "$1"), version $((version + 1)): $4"
}

# compare FOUND OLD VALUES: whether a secret has all keys of VALUES, and with the values that OLD has: none, same, or other
compare() {
  jq -rn '[inputs] as [$found, $old, $values]
    | [$found, $old | (.data.data // {}) as $has | $values | keys | map($has[.])] as [$here, $there]
    | if any($here[]; . == null) then "none" elif $here == $there then "same" else "other" end' <<< "$1 $2 $3"
}

keys() {
  local values old other found names written=0
  values=$(cat)
  jq -e 'type == "object" and length > 0 and all(.[]; type == "string" and length > 0)' <<< "$values" > /dev/null 2>&1 \
    || wrong_use "give the new values on standard input, as a JSON object of texts"
  names=$(jq -r 'keys | join(", ")' <<< "$values")
  old=$(secret "$stage")
  # Only where all of them are there: half of a pair of keys would be a wrong one.
  [ "$(compare "${old:-null}" "${old:-null}" "$values")" = same ] || fail "$(path_of "$stage") has not all of the keys $names"
  for other in $secrets; do
    if [ "$other" = "$stage" ] || [ -n "$alone" ]; then continue; fi
    found=$(secret "$other")
    case $(compare "${found:-null}" "$old" "$values") in
      same) write "$other" "$found" "$values" "$names"; written=$((written + 1)) ;;
      other) echo "$(path_of "$other"): left as it is, since it has other values" ;;
    esac
  done
  # The last one: a run that was broken off is run again, and knows by it what is old.
  write "$stage" "$old" "$values" "$names"
  written=$((written + 1))
  sleep "$grace"
  echo "secrets written: $written; whoever reads them knows the new values by now, and the old ones may be taken back"
}

# tokens FOUND ONLY: api_tokens between commas, and of those called $name only ONLY, unless it is empty
tokens() {
  jq -rn --arg name "$name:" 'input as $found | input as $only
    | ($found.data.data.api_tokens // "") | [splits("[\n,]") | gsub("^\\s+|\\s+$"; "") | select(. != "")]
    | map(select($only == "" or (startswith($name) | not) or . == $name + $only)) | join(",")' <<< "$1 $(as_text "$2")"
}
# As JSON; printf is part of the shell, so the value is no argument of a program.
as_text() { printf '%s' "$1" | jq -Rs .; }
given() { printf '{"%s": %s}' "$1" "$(as_text "$2")"; }

token() {
  local fresh service load known
  fresh=$(openssl rand -hex 32)
  service=$(secret inference)
  load=$(secret loadtest)
  if [ -z "$service" ] || [ -z "$load" ]; then fail "write $(path_of inference) and $(path_of loadtest) first"; fi

  known=$(tokens "$service" "")
  write inference "$service" "$(given api_tokens "${known:+$known,}$name:$fresh")" "a further token called $name"
  sleep "$grace"
  write loadtest "$load" "$(given prowl_token "$fresh")" "brings the new token"
  sleep "$grace"
  service=$(secret inference)
  write inference "$service" "$(given api_tokens "$(tokens "$service" "$fresh")")" "of those called $name the new token alone"
}

"$what"
