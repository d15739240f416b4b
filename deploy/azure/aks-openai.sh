#!/usr/bin/env bash
# An identity for keyferry in a pod of AKS: see usage, and README.md.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"

usage="usage: aks-openai.sh --resource-group GROUP --cluster NAME --identity NAME --service-account NAMESPACE/NAME [OPTION]...

Lets a ServiceAccount of an AKS cluster be a user-assigned identity, and lets that identity read what is named.
What is there already stays as it is, so that a second run changes nothing.

  --resource-group GROUP          of the cluster and of the identity
  --cluster NAME                  gets its OIDC issuer and workload identity
  --identity NAME                 is made if it is not there
  --service-account NAMESPACE/NAME
  --openai NAME                   an Azure OpenAI resource: Cognitive Services OpenAI User
  --openai-resource-group GROUP   where it is, if it is in another group
  --vault NAME                    a key vault: Key Vault Secrets User
  --secret NAME                   at this secret alone, not at the whole vault; may be repeated
  --workspace ID                  a workspace's resource id, /subscriptions/…: Azure Machine Learning Workspace Connection
                                  Secrets Reader
  --dry-run                       prints the commands that would change something, and runs none of them
  --help"

dry_run=no group='' cluster='' identity='' account='' openai='' openai_group='' vault='' workspace=''
secrets=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --help) printf '%s\n' "$usage"; exit 0 ;;
    --dry-run) dry_run=yes; shift; continue ;;
    --resource-group | --cluster | --identity | --service-account | --openai | --openai-resource-group | --vault | --secret | --workspace)
        value=$(value_of "$1" "$#" "${2-}")
        ;;
    *) misused "unknown argument '$1'" ;;
    esac
    case $1 in
    --resource-group) group=$value ;;
    --cluster) cluster=$value ;;
    --identity) identity=$value ;;
    --service-account) account=$value ;;
    --openai) openai=$value ;;
    --openai-resource-group) openai_group=$value ;;
    --vault) vault=$value ;;
    --secret) secrets+=("$value") ;;
    --workspace) workspace=$value ;;
    esac
    shift 2
done
required --resource-group "$group" --cluster "$cluster" --identity "$identity" --service-account "$account"
case $account in */*/* | /* | */) misused "--service-account is NAMESPACE/NAME" ;; */*) ;; *) misused "--service-account is NAMESPACE/NAME" ;; esac
about "$workspace" "$vault" ${secrets[@]+"${secrets[@]}"}
if [ -n "$openai_group" ] && [ -z "$openai" ]; then misused "--openai-resource-group wants --openai"; fi
signed_in

ready=$(look "the cluster $cluster" az aks show --resource-group "$group" --name "$cluster" \
    --query "oidcIssuerProfile.enabled && securityProfile.workloadIdentity.enabled")
if [ "$ready" != true ]; then
    change az aks update --resource-group "$group" --name "$cluster" --enable-oidc-issuer --enable-workload-identity
fi

principal=$(look "the identities of $group" \
    az identity list --resource-group "$group" --query "[].[name, principalId]" | named "$identity") made=no
if [ -z "$principal" ]; then
    change az identity create --resource-group "$group" --name "$identity"
    made=yes
    # By its name: the list may not have it yet.
    principal=$(awaited "the principal of $identity" \
        az identity show --resource-group "$group" --name "$identity" --query principalId)
fi

issuer=$(look "the cluster $cluster" az aks show --resource-group "$group" --name "$cluster" --query oidcIssuerProfile.issuerUrl)
if [ -z "$issuer" ]; then
    issuer=$(awaited "the issuer of $cluster" \
        az aks show --resource-group "$group" --name "$cluster" --query oidcIssuerProfile.issuerUrl)
fi
subject=system:serviceaccount:${account%/*}:${account#*/} there=''
# A ServiceAccount's name may have dots and no underscores, a credential's no dots, and 120 characters at most.
credential=$cluster-${account%/*}-${account#*/} credential=${credential//./_} credential=${credential:0:120}
credentials() {
    look "the federated credentials of $identity" \
        az identity federated-credential list --resource-group "$group" --identity-name "$identity" --query "$1"
}
if [ "$made" = no ]; then
    there=$(credentials "[?issuer=='$issuer' && subject=='$subject' && contains(audiences, 'api://AzureADTokenExchange')].name")
    taken=$(credentials "[].[name, subject]" | named "$credential")
    if [ -z "$there" ] && [ -n "$taken" ]; then
        fail "$identity has a federated credential $credential of another issuer, subject or audience: if nothing needs it, az identity federated-credential delete --resource-group $group --identity-name $identity --name $credential"
    fi
fi
if [ -z "$there" ]; then
    change az identity federated-credential create --resource-group "$group" --identity-name "$identity" --name "$credential" \
        --issuer "$issuer" --subject "$subject" --audiences api://AzureADTokenExchange
fi

if [ -n "$openai" ]; then
    scope=$(look "the resource $openai" \
        az cognitiveservices account show --resource-group "${openai_group:-$group}" --name "$openai" --query id)
    grant "$principal" "Cognitive Services OpenAI User" "$scope"
fi
if [ -n "$vault" ]; then grant_secrets "$principal" "$vault" ${secrets[@]+"${secrets[@]}"}; fi
if [ -n "$workspace" ]; then grant_connections "$principal" "$workspace"; fi

if [ "$dry_run" = no ]; then
    client=$(look "the identity $identity" az identity show --resource-group "$group" --name "$identity" --query clientId)
    printf '# for the ServiceAccount %s: azure.workload.identity/client-id: %s\n' "$account" "$client"
fi
