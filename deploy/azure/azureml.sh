#!/usr/bin/env bash
# What the identity of a managed online endpoint may read: see usage, and README.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

usage="usage: azureml.sh --workspace ID --endpoint NAME [OPTION]...

Lets the identity of a managed online endpoint, its own or the one of yours that it has, read the connections of its
workspace, and a vault if one is named. What is there already stays as it is, so that a second run changes nothing.

  --workspace ID    its resource id, /subscriptions/…: Azure Machine Learning Workspace Connection Secrets Reader
  --endpoint NAME   which has to be there: its own identity comes into being with it
  --vault NAME      a key vault: Key Vault Secrets User
  --secret NAME     at this secret alone, not at the whole vault; may be repeated
  --dry-run         prints the commands that would change something, and runs none of them
  --help"

dry_run=no workspace='' endpoint='' vault=''
secrets=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --help) printf '%s\n' "$usage"; exit 0 ;;
    --dry-run) dry_run=yes; shift; continue ;;
    --workspace | --endpoint | --vault | --secret) value=$(value_of "$1" "$#" "${2-}") ;;
    *) misused "unknown argument '$1'" ;;
    esac
    case $1 in
    --workspace) workspace=$value ;;
    --endpoint) endpoint=$value ;;
    --vault) vault=$value ;;
    --secret) secrets+=("$value") ;;
    esac
    shift 2
done
required --workspace "$workspace" --endpoint "$endpoint"
about "$workspace" "$vault" ${secrets[@]+"${secrets[@]}"}
signed_in

# `az resource` is part of az; `az ml` would be an extension.
identities() {
    look "the endpoint $endpoint" az resource show --ids "$workspace/onlineEndpoints/$endpoint" --query "$1"
}
principal=$(identities identity.principalId)
if [ -z "$principal" ]; then principal=$(identities "identity.userAssignedIdentities.*.principalId"); fi
case $principal in
'') fail "the endpoint $endpoint has no identity: create it with identity: {type: system_assigned}" ;;
*$'\n'*) fail "the endpoint $endpoint has several identities: grant the one that AZURE_CLIENT_ID names what it needs by hand" ;;
esac

grant_connections "$principal" "$workspace"
if [ -n "$vault" ]; then grant_secrets "$principal" "$vault" ${secrets[@]+"${secrets[@]}"}; fi
