# shellcheck shell=bash
# What the scripts beside it share: they source it, and nobody runs it. Each script sets `usage` and `dry_run`.
# shellcheck disable=SC2154,SC2016

script=$(basename "$0")

fail() { # why, and what to do
    printf '%s: %s\n' "$script" "$*" >&2
    exit 1
}

misused() {
    printf '%s: %s\n\n%s\n' "$script" "$*" "$usage" >&2
    exit 64
}

# value_of OPTION COUNT VALUE: the value that has to follow an option.
value_of() {
    if [ "$2" -lt 2 ] || [ -z "$3" ] || [ "${3#-}" != "$3" ]; then misused "$1 wants a value"; fi
    # Queries and scopes are made of it, where a quote would mean something else.
    case $3 in *[!A-Za-z0-9._/:\(\)-]*) misused "$1: '$3' holds a character that is not passed on" ;; esac
    printf '%s' "$3"
}

# required OPTION VALUE [OPTION VALUE]...: tells of all that are missing at once.
required() {
    local missing=()
    while [ "$#" -gt 0 ]; do
        if [ -z "$2" ]; then missing+=("$1"); fi
        shift 2
    done
    if [ "${#missing[@]}" -gt 0 ]; then misused "missing: ${missing[*]}"; fi
}

signed_in() {
    command -v az >/dev/null || fail "az is not in PATH: install the Azure CLI, https://aka.ms/azure-cli"
    az account show --output none || fail "az is not signed in: run az login, and az account set --subscription NAME"
}

# about WORKSPACE VAULT [SECRET]...: what both scripts want of these options, of which each may be empty.
about() {
    local id='^/subscriptions/.+/workspaces/[^/]+$'
    if [ -n "$1" ] && ! [[ $1 =~ $id ]]; then misused "--workspace is a resource id: /subscriptions/…/workspaces/NAME"; fi
    if [ -z "$2" ] && [ "$#" -gt 2 ]; then misused "--secret wants --vault"; fi
}

shown() {
    local word line=()
    for word in "$@"; do
        case $word in
        '$('*) line+=("\"$word\"") ;;
        *[!A-Za-z0-9._/:@=-]*) line+=("'$word'") ;;
        *) line+=("$word") ;;
        esac
    done
    printf '%s\n' "${line[*]}"
}

# Everything that changes something goes through here: printed, and run unless this is a dry run.
change() {
    shown "$@"
    if [ "$dry_run" = yes ]; then return; fi
    "$@" --output none || fail "stopped at: $(shown "$@")"
}

# look WHAT az ...: what is there. An answer is no change, so a dry run looks as well.
look() {
    local what=$1
    shift
    "$@" --output tsv || fail "cannot look at $what"
}

# named NAME: of lines of a name and a value, the value of that name. Azure's names ignore case, and its queries do not.
named() { awk -F '\t' -v name="$1" 'tolower($1) == tolower(name) { print $2 }'; }

# awaited WHAT az ...: what is there once the commands before it have run. A dry run has run none: it shows how to ask.
awaited() {
    local what=$1 found
    shift
    if [ "$dry_run" = yes ]; then
        printf '$(%s)' "$(shown "$@" --output tsv)"
        return
    fi
    found=$(look "$what" "$@") || return 1
    [ -n "$found" ] || fail "Azure does not tell $what yet: run this again in a minute"
    printf '%s' "$found"
}

# grant PRINCIPAL ROLE SCOPE: unless it has it there already. The type spares Azure the look-up of a principal that its
# directory may not know yet.
grant() {
    local principal=$1 role=$2 scope=$3 there=
    case $principal in
    # az would take it for anybody, and find the role of somebody else.
    '') fail "nobody is named who gets the role $role" ;;
    '$('*) ;; # an identity that is not there has no role
    *)
        there=$(look "the roles at $scope" az role assignment list --assignee-object-id "$principal" --role "$role" --scope "$scope" \
            --fill-principal-name false --query "[].id")
        ;;
    esac
    if [ -n "$there" ]; then return; fi
    change az role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
        --role "$role" --scope "$scope"
}

# grant_secrets PRINCIPAL VAULT [SECRET]...: at each secret that is named; without any, at the whole vault.
grant_secrets() {
    local principal=$1 name=$2 vault rbac secret
    shift 2
    vault=$(look "the vault $name" az keyvault show --name "$name" --query id)
    rbac=$(look "the vault $name" az keyvault show --name "$name" --query properties.enableRbacAuthorization)
    # An older vault may tell nothing, which means access policies.
    if [ "$rbac" != true ]; then
        fail "the vault $name goes by access policies, where roles open nothing: az keyvault set-policy --name $name --secret-permissions get --object-id PRINCIPAL"
    fi
    if [ "$#" -eq 0 ]; then grant "$principal" "Key Vault Secrets User" "$vault"; fi
    for secret in "$@"; do grant "$principal" "Key Vault Secrets User" "$vault/secrets/$secret"; done
}

# grant_connections PRINCIPAL WORKSPACE
grant_connections() {
    grant "$1" "Azure Machine Learning Workspace Connection Secrets Reader" "$2"
}
