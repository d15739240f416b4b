//! Connections of Azure Machine Learning workspaces, in the syntax of its secret injection.
//!
//! Its keywords are Resource Manager's and compared without regard to case. The names of credentials and metadata are
//! the user's: exact, anything but empty, and percent-encoded where they hold `/`, `%`, `?` or `#`.

use super::{ConnectionName, Member, Reference, Workspace};

pub(super) const FORMS: &str = "write 'azureml://connections/<connection>', alone or with '/credentials/<name>', \
                                '/target' or '/metadata/<name>'; to name the workspace too, \
                                'azureml://subscriptions/<id>/resourceGroups/<group>/workspaces/<workspace>/\
                                connections/…'";

/// What follows `azureml:`.
pub(super) fn parse(text: &str) -> Result<Reference, String> {
    let Some(path) = text.strip_prefix("//").filter(|path| !path.starts_with('/')) else {
        return Err(form("after 'azureml:' come exactly two '/'"));
    };
    if path.contains(['?', '#']) {
        return Err(form("'?' and '#' in a name are written '%3F' and '%23'; there is nothing else that has them"));
    }
    let parts: Vec<&str> = path.split('/').collect();
    if parts.last() == Some(&"") {
        return Err(form("a reference does not end with '/'"));
    }
    let (workspace, rest) = workspace(&parts)?;
    let [connections, name, member @ ..] = rest else {
        return Err(form(match rest {
            [word] if is(word, "connections") => "the connection's name is missing",
            _ => "it is no connection, and nothing else of a workspace holds secrets",
        }));
    };
    if !is(connections, "connections") {
        return Err(form(match connections.to_ascii_lowercase().as_str() {
            "connection" => "it is called 'connections', not 'connection'",
            _ => "it is no connection, and nothing else of a workspace holds secrets",
        }));
    }
    Ok(Reference::Connection { workspace, name: ConnectionName::parse(name)?, member: member_of(member)? })
}

fn form(reason: &str) -> String {
    format!("{reason}; {FORMS}")
}

fn is(written: &str, keyword: &str) -> bool {
    written.eq_ignore_ascii_case(keyword)
}

/// The workspace, if one is named, and the rest of the path. As in Resource Manager's ids, the provider may be there.
fn workspace<'a>(parts: &'a [&'a str]) -> Result<(Option<Workspace>, &'a [&'a str]), String> {
    let [first, ..] = parts else { return Ok((None, parts)) };
    if !is(first, "subscriptions") {
        return Ok((None, parts));
    }
    match parts {
        [_, subscription, groups, group, providers, provider, workspaces, name, rest @ ..]
            if is(groups, "resourceGroups")
                && is(providers, "providers")
                && is(provider, "Microsoft.MachineLearningServices")
                && is(workspaces, "workspaces") =>
        {
            Ok((Some(Workspace::new(subscription, group, name)?), rest))
        }
        [_, subscription, groups, group, workspaces, name, rest @ ..]
            if is(groups, "resourceGroups") && is(workspaces, "workspaces") =>
        {
            Ok((Some(Workspace::new(subscription, group, name)?), rest))
        }
        _ => Err(form("after 'subscriptions' come the subscription's id, 'resourceGroups' and 'workspaces'")),
    }
}

/// Which piece is meant, from what follows the connection's name.
fn member_of(parts: &[&str]) -> Result<Member, String> {
    let Some((kind, names)) = parts.split_first() else { return Ok(Member::Whole) };
    let lower = kind.to_ascii_lowercase();
    let make = match lower.as_str() {
        "target" if names.is_empty() => return Ok(Member::Target),
        "target" => return Err(form("there is nothing after 'target'")),
        "credentials" => Member::Credential,
        "metadata" => Member::Metadata,
        "credential" => return Err(form("it is called 'credentials', not 'credential'")),
        _ => return Err(form("after the connection comes '/credentials/<name>', '/target' or '/metadata/<name>'")),
    };
    match names {
        [name] => decoded(name).map(make),
        [] if lower == "metadata" => Err(form("the name of the metadata is missing")),
        [] => Err(form("the credential's name is missing: 'key' for a connection with one key")),
        ["keys", _] => Err(form("'keys/' is left out: the key's own name follows 'credentials/'")),
        _ => Err(form("a '/' in a name is written '%2F'")),
    }
}

/// A name that may hold anything. What is wrong with it is said without it.
fn decoded(name: &str) -> Result<String, String> {
    if name.is_empty() {
        return Err(form("a name is not empty"));
    }
    if name.trim() != name {
        return Err(form("a blank at the beginning or end of a name is written '%20'"));
    }
    let mut bytes = Vec::new();
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit =
            || rest.next().and_then(|digit| char::from(digit).to_digit(16)).and_then(|digit| digit.try_into().ok());
        let (Some(high), Some(low)): (Option<u8>, Option<u8>) = (digit(), digit()) else {
            return Err(form("a '%' in a name is written '%25', and stands before two hexadecimal digits otherwise"));
        };
        bytes.push(high << 4 | low);
    }
    String::from_utf8(bytes).map_err(|_| form("what is percent-encoded in a name is not UTF-8"))
}
