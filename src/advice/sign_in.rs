//! What to do when nobody can sign in: each kind of identity fails in ways of its own.

use super::{BY_ITSELF, CERTIFICATE, Who};
use crate::config::identity::{Identity, Managed, Which};
use crate::failure::{Failure, Kind};
use crate::reference::Object;

const CREDENTIALS: &str =
    "compare with: az identity federated-credential list --identity-name <identity> --resource-group <group>";

const ENDPOINT: &str = "az ml online-endpoint show --name <endpoint> --workspace-name <workspace> --resource-group <group> \
     --query identity";

/// What to do about a failure to sign in.
pub(super) fn on(failure: &Failure, who: &Who<'_>) -> String {
    let code = failure.code.as_str();
    let own = match who.identity {
        Some(Identity::ClientSecret(_)) => on_secret(code, who),
        Some(Identity::ClientCertificate(_)) => on_certificate(code, who),
        Some(Identity::Managed(_)) => on_managed(code, who),
        Some(Identity::AzureCli(_)) => on_azure_cli(code, who),
        Some(Identity::Detected(_)) => on_managed(code, who).or_else(|| on_azure_cli(code, who)),
        Some(Identity::Workload(_)) | None => on_workload(code, who),
    };
    own.or_else(|| on_entra(code, who)).unwrap_or_else(|| match (failure.kind, who.identity) {
        (Kind::Outage | Kind::Throttled, _) => BY_ITSELF.to_owned(),
        (_, Some(Identity::AzureCli(_))) => {
            let scope = who.scope.as_ref().map(|scope| format!(" --scope {scope}")).unwrap_or_default();
            format!("log in anew: {}{scope}", login(who))
        }
        _ => format!("check {} in tenant {}: az ad sp show --id {}", who.called, who.tenant, who.assignee),
    })
}

/// What to do when nobody gives tokens for what was asked for.
pub(super) fn on_audience(failure: &Failure, object: &Object, who: &Who<'_>) -> Option<String> {
    let is_unknown = matches!(
        failure.code.as_str(),
        "AADSTS70011"
            | "AADSTS700022"
            | "AADSTS500011"
            | "imds-invalid-resource"
            | "identity-endpoint-invalid-resource"
            | "msi-endpoint-invalid-resource"
    );
    is_unknown.then(|| match object {
        Object::Token { scope, .. } => format!(
            "tenant {} knows no application {}, or none that tokens can be asked for: correct the scope of the reference, \
             letter by letter, or have the application registered there; look with: az ad sp show --id {}",
            who.tenant,
            scope.resource(),
            scope.resource()
        ),
        Object::Vault { .. } => "tokens are for one service of the cloud: set 'cloud' to the vault's; compare with: az \
             cloud show --query suffixes.keyvaultDns"
            .to_owned(),
        Object::Connection { .. } | Object::File(_) => "tokens are for one service of the cloud: set 'cloud' to the \
             subscription's; compare with: az cloud show --query endpoints.resourceManager"
            .to_owned(),
    })
}

/// What Entra says to whatever signs in there with a credential of its own, and what is in the way to it.
fn on_entra(code: &str, who: &Who<'_>) -> Option<String> {
    let Who { called, assignee, tenant, graph, .. } = who;
    Some(match code {
        "AADSTS700016" => {
            format!("{called} is not an application of tenant {tenant}; look with: az ad sp show --id {assignee}")
        }
        "AADSTS501051" => format!(
            "assign {called} a role of the application that the scope names; those it has: az rest --method get --url \
             \"https://graph.microsoft.com/v1.0/{graph}/appRoleAssignments\""
        ),
        "AADSTS90002" | "AADSTS900023" => {
            format!(
                "there is no tenant {tenant} in this cloud; look with: az account show --query tenantId --output tsv"
            )
        }
        "AADSTS50196" => {
            format!(
                "Entra has been asked too often by {called}: it is tried again later, less often; is another process \
                 asking in a loop?"
            )
        }
        "AADSTS90055" => format!("tenant {tenant} asks Entra too often: it is tried again later"),
        "AADSTS90061" => format!(
            "Entra could not reach the issuer of the token of {called}: its OpenID document must \
             be public; look with: az aks show --name <cluster> --resource-group <group> --query \
             oidcIssuerProfile.issuerUrl"
        ),
        "dns" | "refused" | "unreachable" | "connect" | "tls" => format!(
            "{called} signs in at the authority (AZURE_AUTHORITY_HOST): it must be reachable from here; see to DNS, \
             network policies and firewalls"
        ),
        "certificate" => CERTIFICATE.to_owned(),
        _ => return None,
    })
}

fn on_workload(code: &str, who: &Who<'_>) -> Option<String> {
    let Who { called, assignee, .. } = who;
    let (token_file, is_bound) = match who.identity {
        Some(Identity::Workload(workload)) => (workload.token_file.display().to_string(), workload.proxy.is_some()),
        _ => ("the token file".to_owned(), false),
    };
    Some(match code {
        "token-file-missing" => format!(
            "{called} signs in with it: label the pod azure.workload.identity/use: \"true\" and see that the workload \
             identity webhook runs, or set AZURE_FEDERATED_TOKEN_FILE"
        ),
        "token-file-empty" | "token-file-unreadable" | "token-file-malformed" => {
            format!(
                "{called} signs in with it: it must hold one signed service-account token and be readable by \
                 keyferry's uid: ls -lL {token_file}"
            )
        }
        "token-proxy-unreachable" => "the cluster's token proxy (AZURE_KUBERNETES_TOKEN_PROXY) must be reachable from \
             the pod; see to network policies, and: az feature show --namespace Microsoft.ContainerService --name \
             IdentityBindingPreview"
            .to_owned(),
        "token-proxy-certificate" => "its certificate must be of the name in AZURE_KUBERNETES_SNI_NAME and of the \
             authority in AZURE_KUBERNETES_CA_FILE: restart the pod, so that the webhook sets them anew"
            .to_owned(),
        "token-proxy-ca-missing"
        | "token-proxy-ca-empty"
        | "token-proxy-ca-unreadable"
        | "token-proxy-ca-malformed" => "the workload identity webhook mounts it in pods with the annotation \
             azure.workload.identity/use-identity-binding: \"true\": look with: kubectl describe pod <pod>"
            .to_owned(),
        "AADSTS700211" => {
            format!("no federated credential of {called} names this token's issuer; {CREDENTIALS}")
        }
        "AADSTS700212" if is_bound => format!(
            "the token of {called} in {token_file} must be of the audience api://AKSIdentityBinding, which the cluster's \
             token proxy wants: annotate the pod azure.workload.identity/use-identity-binding: \"true\" and restart it, so \
             that the webhook mounts such a token"
        ),
        "AADSTS700212" => {
            format!(
                "the token's audience is not the federated credential's (api://AzureADTokenExchange) of {called}; \
                 {CREDENTIALS}"
            )
        }
        "AADSTS70021" | "AADSTS700213" | "AADSTS7002137" | "AADSTS7002138" => format!(
            "no federated credential of {called} matches this token's subject \
             (system:serviceaccount:<namespace>:<service account>, case counts); a new one takes minutes to work; \
             {CREDENTIALS}"
        ),
        "AADSTS700024" => format!(
            "the token of {called} in {token_file} is not valid at this time: the file is stale, or a clock is \
             off; compare its exp with the output of: date -u +%s"
        ),
        "AADSTS700027" | "AADSTS50027" | "AADSTS50013" => format!(
            "Entra cannot verify the token of {called} in {token_file}: its issuer's published keys must be \
             reachable and current; {CREDENTIALS}"
        ),
        "http-403" | "http-401" if is_bound => format!(
            "the cluster's token proxy refuses the pod's service account: it needs the verb use-managed-identity on \
             {assignee} of cid.wi.aks.azure.com; look with: kubectl auth can-i use-managed-identity \
             {assignee}.cid.wi.aks.azure.com --as system:serviceaccount:<namespace>:<service account>"
        ),
        _ => return None,
    })
}

fn on_secret(code: &str, who: &Who<'_>) -> Option<String> {
    let Who { called, assignee, .. } = who;
    let new = format!("make a new one: az ad app credential reset --id {assignee} --append --query password");
    Some(match code {
        "secret-file-missing" | "secret-file-empty" | "secret-file-unreadable" | "secret-file-malformed" => format!(
            "{called} signs in with it: it must hold the client secret and be readable by keyferry's uid; {new}"
        ),
        "secret-variable" => format!("set AZURE_CLIENT_SECRET to the client secret of {called}, or give 'secretFile'"),
        "AADSTS7000215" => format!(
            "this is no secret of {called} (the secret's value is wanted, not its id); look with: az ad app credential \
             list --id {assignee}; {new}"
        ),
        "AADSTS7000222" => format!("the secret of {called} has expired; {new}"),
        "AADSTS7000216" => format!("Entra got no secret of {called}; {new}"),
        _ => return None,
    })
}

fn on_certificate(code: &str, who: &Who<'_>) -> Option<String> {
    let Who { called, assignee, .. } = who;
    let list = format!("look with: az ad app credential list --id {assignee} --cert");
    Some(match code {
        "certificate-missing" | "certificate-unreadable" | "certificate-empty" => format!(
            "{called} signs in with it: it must hold certificate and key in PEM and be readable by keyferry's uid"
        ),
        "certificate-encrypted" => format!(
            "{called} signs in with a key that has no password: openssl pkey -in app.pem -out key.pem takes it from a PEM \
             key (the certificate stays beside it in one file); a PFX is converted with: openssl pkcs12 -in app.pfx -nodes \
             -out app.pem"
        ),
        "certificate-without-key" | "certificate-malformed" => format!(
            "{called} signs in with certificate and key in one PEM file; convert a PFX with: openssl pkcs12 -in app.pfx \
             -nodes -out app.pem"
        ),
        "certificate-not-rsa" => format!(
            "give {called} an RSA certificate: az ad app credential reset --id {assignee} --create-cert --append"
        ),
        "certificate-of-another-key" => {
            format!("put the certificate that belongs to the key of {called} into the file; {list}")
        }
        "AADSTS700027" | "AADSTS7000229" | "AADSTS50027" | "AADSTS50013" => format!(
            "Entra does not know this certificate of {called}, or it has expired; {list}; add it: az ad app credential \
             reset --id {assignee} --cert @app.pem --append"
        ),
        "AADSTS700024" => "the assertion was signed just now: this machine's clock is off; compare it with the output \
             of: date -u"
            .to_owned(),
        _ => return None,
    })
}

fn on_managed(code: &str, who: &Who<'_>) -> Option<String> {
    let called = &who.called;
    let by_hand = "or choose another with 'identity'";
    Some(match code {
        "identity-not-found" => format!(
            "assign {called} here: az vm identity show --name <vm> --resource-group <group>, az webapp identity show \
             --name <app> --resource-group <group> or {ENDPOINT}; its id, from 'identity' in the configuration or from \
             AZURE_CLIENT_ID, must be that of one that is assigned; {by_hand}"
        ),
        "several-identities" => "choose one: 'identity: {managed: {clientId: …}}' or AZURE_CLIENT_ID; az vm identity show \
             --name <vm> --resource-group <group> lists them"
            .to_owned(),
        "imds-unreachable" => format!(
            "{called} signs in at IMDS (169.254.169.254), which must be reachable without a proxy: this must be a virtual \
             machine of Azure's, and no network policy or IMDS restriction may be in the way: az aks show --name \
             <cluster> --resource-group <group> --query networkProfile; {by_hand}"
        ),
        "imds-updating" => "IMDS is being updated and is back within minutes: it is tried again by itself".to_owned(),
        "imds-throttled" => "IMDS answers a few requests a second for the whole machine: it is tried again later; who \
             else asks it on this node?"
            .to_owned(),
        "imds-http-400" => format!("IMDS refuses the request for {called}: az identity list --query \"[].clientId\""),
        "imds-http-401" | "imds-http-403" => {
            "IMDS does not let this pod in: an IMDS restriction or a proxy of the node refuses it; use workload identity"
                .to_owned()
        }
        "identity-endpoint-unreachable" => "the platform's endpoint (IDENTITY_ENDPOINT) must be reachable in the \
             container; restart the app: az webapp restart --name <app> --resource-group <group>"
            .to_owned(),
        "identity-endpoint-refuses-the-secret" | "identity-endpoint-secret-malformed" => "IDENTITY_HEADER must be the one that the platform gave this container: \
             do not set it by hand; restart the app: az webapp restart --name <app> --resource-group <group>"
            .to_owned(),
        "identity-endpoint-http-400" => format!(
            "App Service refuses the request for {called}: az webapp identity show --name <app> --resource-group <group>"
        ),
        "identity-endpoint-throttled" => "App Service's endpoint is asked too often: it is tried again later".to_owned(),
        "msi-endpoint-unreachable" => "Azure ML's endpoint (MSI_ENDPOINT) must be reachable in the container; look with: \
             az ml online-deployment get-logs --name <deployment> --endpoint-name <endpoint> --workspace-name <workspace> \
             --resource-group <group>"
            .to_owned(),
        "msi-endpoint-refuses-the-secret" | "msi-endpoint-secret-malformed" => "MSI_SECRET must be the one that Azure ML gave this container: do not set it \
             by hand, and pass both MSI_ENDPOINT and MSI_SECRET on unchanged"
            .to_owned(),
        "msi-endpoint-http-400" => format!(
            "Azure ML refuses the request for {called}; a user-assigned identity needs its clientId in \
             'identity: {{managed: {{clientId: …}}}}': {ENDPOINT}"
        ),
        "msi-endpoint-throttled" => "Azure ML's endpoint is asked too often: it is tried again later".to_owned(),
        "public-address" => format!(
            "look where IDENTITY_ENDPOINT, MSI_ENDPOINT or AZURE_POD_IDENTITY_AUTHORITY_HOST leads: the secret that goes \
             there must not leave this machine's network; {by_hand}"
        ),
        "no-identity" => {
            let alone = match who.identity {
                Some(Identity::Detected(Managed { which: Which::Client(_), .. })) => {
                    "AZURE_CLIENT_ID alone names a managed identity: with AZURE_TENANT_ID and a credential's variable it \
                     names an application; or "
                }
                _ => "",
            };
            format!(
                "{alone}choose by hand: 'identity: {{workload: {{}}}}' in a pod labelled azure.workload.identity/use: \
                 \"true\", {{managed: {{}}}} on Azure's machines, {{clientSecret: {{}}}} or {{clientCertificate: {{}}}} \
                 elsewhere; on a laptop install the Azure CLI and run: az login"
            )
        }
        _ => return None,
    })
}

fn login(who: &Who<'_>) -> String {
    match who.tenant {
        "<tenant-id>" => "az login".to_owned(),
        tenant => format!("az login --tenant {tenant}"),
    }
}

fn on_azure_cli(code: &str, who: &Who<'_>) -> Option<String> {
    let login = login(who);
    let what = who.scope.as_ref().map_or("--resource-type arm".to_owned(), |scope| format!("--scope {scope}"));
    let tenant = if who.tenant == "<tenant-id>" { String::new() } else { format!(" --tenant {}", who.tenant) };
    // The token itself stays off the terminal.
    let ask = format!("az account get-access-token {what}{tenant} --query expiresOn");
    Some(match code {
        "az-not-installed" | "az-unusable" => format!(
            "install it (https://aka.ms/azure-cli), put it into PATH and run: {login}; or choose another with 'identity'"
        ),
        "az-not-logged-in" => format!("log in: {login}"),
        "az-timeout" => format!("see what takes it so long: {ask} --debug"),
        "az-failed" | "az-bad-answer" => format!("see what it says: {ask}; a new login may help: {login}"),
        _ => return None,
    })
}
