#!/usr/bin/env bash
# Gives a Vault or OpenBao server what Prowl needs of it in one environment: a KV engine, login by Kubernetes, and for each stage
# a policy that reads its own secret and a role for its own service account. What is right already is left alone, and each change
# is a line on stdout. It neither reads nor writes a secret: docs/secrets.md tells which keys each stage needs.
#
#   bootstrap.sh --environment NAME --namespace NAMESPACE [OPTION...]
#
#     --environment NAME       staging or production: part of paths, policies and roles
#     --namespace NAMESPACE    where the chart is installed
#     --release NAME           of the chart; service accounts are called <release>-<stage>          [prowl]
#     --mount NAME             of the KV engine, version 2                                          [secret]
#     --auth-mount NAME        of the login: one for each cluster that uses this server             [kubernetes]
#     --audience NAME          that tokens of pods have to be made for; any that the cluster takes if empty
#     --kubernetes-host URL    of the cluster                                                       [https://kubernetes.default.svc]
#     --kubernetes-ca FILE     what its certificate is checked by; not needed for a server in that cluster
#     --reviewer-token FILE    token that may create TokenReviews; not needed for a server in that cluster
#     --new-reviewer-token     give it anew, since the server does not tell which one it has
#     --dry-run                only tell what would change
#
# It needs bao or vault, logged in as someone who may manage mounts, policies and roles (VAULT_ADDR, VAULT_TOKEN), and jq.
# Exit codes: 0 done, 1 failed, 2 wrong use.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$here/common.sh"

# A token lives for an hour and is renewed by the program that has it, up to a day. Then that program logs in anew.
ttl=3600 max_ttl=86400

namespace='' release=prowl auth_mount=kubernetes audience='' host=https://kubernetes.default.svc ca='' reviewer=''
new_reviewer='' dry_run=''
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --dry-run) dry_run=yes; shift; continue ;;
    --new-reviewer-token) new_reviewer=yes; shift; continue ;;
  esac
  [ $# -ge 2 ] || wrong_use "$1 is no option, or needs a value"
  case $1 in
    --environment) environment=$2 ;;
    --namespace) namespace=$2 ;;
    --release) release=$2 ;;
    --mount) mount=$2 ;;
    --auth-mount) auth_mount=$2 ;;
    --audience) audience=$2 ;;
    --kubernetes-host) host=$2 ;;
    --kubernetes-ca) ca=$2 ;;
    --reviewer-token) reviewer=$2 ;;
    *) wrong_use "there is no option $1" ;;
  esac
  shift 2
done
named --environment "$environment"
named --namespace "$namespace"
named --release "$release"
named --mount "$mount"
named --auth-mount "$auth_mount"
[ -z "$ca" ] || [ -r "$ca" ] || wrong_use "--kubernetes-ca: cannot read $ca"
[ -z "$reviewer" ] || [ -r "$reviewer" ] || wrong_use "--reviewer-token: cannot read $reviewer"
[ -z "$reviewer" ] || [ -n "$ca" ] || wrong_use "--reviewer-token is for a server outside the cluster: give --kubernetes-ca, too"
connect

changes=0
# change WHAT COMMAND...: makes a change, and says which
change() {
  local what=$1 said
  shift
  changes=$((changes + 1))
  if [ -n "$dry_run" ]; then
    echo "would $what"
    return
  fi
  if ! said=$("$cli" "$@" 2>&1 > /dev/null); then
    case $said in
      *"open /var/run/secrets/kubernetes.io/serviceaccount/"*)
        fail "the server is in no pod of a cluster: give --kubernetes-host, --kubernetes-ca and --reviewer-token" ;;
      *) fail "cannot $what: $said" ;;
    esac
  fi
  [ -z "$said" ] || echo "$said" >&2
  echo "$what"
}

# holds FOUND WANTED: whether what was found says all that is wanted
holds() {
  jq -en --argjson found "${1:-null}" --argjson wanted "$2" '
    def plain: if type == "string" then rtrimstr("\n") else . end;
    $found != null and ($wanted | to_entries | all((.value | plain) == ($found.data[.key] | plain)))' > /dev/null
}

kv() {
  local found
  found=$(read_path "sys/mounts/$mount")
  if [ -z "$found" ]; then
    change "enable a KV engine of version 2 at $mount/" secrets enable -path="$mount" -version=2 kv
  elif ! jq -e '.data.type == "kv" and .data.options.version == "2"' <<< "$found" > /dev/null; then
    fail "$mount/ is no KV engine of version 2: name another mount by --mount"
  fi
}

login() {
  local found wanted arguments=("kubernetes_host=$host" "disable_local_ca_jwt=false")
  found=$(read_path "sys/auth/$auth_mount")
  if [ -z "$found" ]; then
    change "enable login by Kubernetes at auth/$auth_mount/" auth enable -path="$auth_mount" kubernetes
  elif ! jq -e '.data.type == "kubernetes"' <<< "$found" > /dev/null; then
    fail "auth/$auth_mount/ is no login by Kubernetes: name another mount by --auth-mount"
  fi

  wanted=$(jq -n --arg host "$host" '{kubernetes_host: $host, disable_local_ca_jwt: false}')
  if [ -n "$ca" ]; then
    arguments=("kubernetes_host=$host" "disable_local_ca_jwt=true" "kubernetes_ca_cert=@$ca")
    wanted=$(jq --rawfile ca "$ca" '.kubernetes_ca_cert = $ca | .disable_local_ca_jwt = true' <<< "$wanted")
  fi
  if [ -n "$reviewer" ]; then
    wanted=$(jq '.token_reviewer_jwt_set = true' <<< "$wanted")
  fi
  found=$(read_path "auth/$auth_mount/config")
  if [ -z "$new_reviewer" ] && holds "$found" "$wanted"; then return; fi
  if [ -n "$reviewer" ]; then
    # From a file, since arguments can be read in the list of processes; an end of line is no part of a token.
    change "set auth/$auth_mount/config: $host" \
      write "auth/$auth_mount/config" "${arguments[@]}" "token_reviewer_jwt=@"<(tr -d '\r\n' < "$reviewer")
  else
    change "set auth/$auth_mount/config: $host" write "auth/$auth_mount/config" "${arguments[@]}"
  fi
}

policy() { # STAGE
  local name=prowl-$environment-$1 found wanted
  wanted=$(sed -e '/^#/d' -e "s|@MOUNT@|$mount|" -e "s|@PATH@|prowl/$environment/$1|" "$here/policy.hcl")
  found=$(read_path "sys/policies/acl/$name")
  if [ "$(jq -r '.data.policy // empty' <<< "$found")" = "$wanted" ]; then return; fi
  change "write policy $name: read $(path_of "$1")" policy write "$name" - <<< "$wanted"
}

role() { # STAGE
  local name=prowl-$environment-$1 account=$release-$1 found wanted
  wanted=$(jq -n --arg account "$account" --arg namespace "$namespace" --arg policy "$name" --arg audience "$audience" \
    --argjson ttl "$ttl" --argjson max_ttl "$max_ttl" '{
      bound_service_account_names: [$account], bound_service_account_namespaces: [$namespace], token_policies: [$policy],
      token_ttl: $ttl, token_max_ttl: $max_ttl, token_period: 0, token_no_default_policy: false,
      audience: (if $audience == "" then null else $audience end)}')
  found=$(read_path "auth/$auth_mount/role/$name")
  if holds "$found" "$wanted"; then return; fi
  change "write role $name: service account $account of namespace $namespace" \
    write "auth/$auth_mount/role/$name" - < <(jq '.audience //= ""' <<< "$wanted")
}

kv
login
for stage in $stages; do
  policy "$stage"
  role "$stage"
done
for stage in $stages; do
  found=$(read_path "$mount/metadata/prowl/$environment/$stage")
  [ -n "$found" ] || echo "to do: write the secret $(path_of "$stage")"
done
case $changes$dry_run in
  0*) echo "nothing to change" ;;
  *yes) echo "$changes changes would be made" ;;
  *) echo "$changes changes made" ;;
esac
