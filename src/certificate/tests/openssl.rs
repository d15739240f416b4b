//! Fixtures, made when the tests run by the tool that everybody checks certificates with.
#![expect(clippy::disallowed_methods, reason = "openssl reads and writes files")]

use std::fs;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::SecretValue;

/// A folder in which openssl works.
pub(super) struct Desk(tempfile::TempDir);

impl Desk {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Runs one command and gives what it prints.
    pub(super) fn openssl(&self, line: &str) -> Vec<u8> {
        self.run(line).unwrap_or_else(|error| panic!("openssl {line}: {error}"))
    }

    /// Whether the command is content.
    pub(super) fn agrees(&self, line: &str) -> bool {
        self.run(line).is_ok()
    }

    fn run(&self, line: &str) -> Result<Vec<u8>, String> {
        let mut command = Command::new("openssl");
        command.args(line.split_whitespace()).current_dir(self.0.path()).stdin(Stdio::null());
        let output = command.output().expect("openssl is installed");
        if output.status.success() {
            Ok(output.stdout)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }

    pub(super) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// A certificate and its key, as `NAME.pem` and `NAME.key`; without an issuer its own one.
    pub(super) fn issue(&self, name: &str, subject: &str, issuer: Option<&str>, keys: Kind, is_ca: bool, days: i32) {
        self.openssl(&format!("genpkey {} -out {name}.key", keys.options()));
        self.certify(name, subject, issuer, is_ca, days);
    }

    /// A certificate for the key that is there.
    pub(super) fn certify(&self, name: &str, subject: &str, issuer: Option<&str>, is_ca: bool, days: i32) {
        let ca = if is_ca { "TRUE" } else { "FALSE" };
        let ids = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
        self.write("extensions", format!("{ids}basicConstraints=critical,CA:{ca}\n"));
        self.openssl(&format!("req -new -key {name}.key -subj /CN={subject} -out request"));
        let signed_by = match issuer {
            Some(issuer) => format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial"),
            None => format!("-signkey {name}.key"),
        };
        self.openssl(&format!("x509 -req -in request {signed_by} -days {days} -extfile extensions -out {name}.pem"));
    }

    /// A container of a key and certificates, in base64.
    pub(super) fn pfx(&self, options: &str) -> SecretValue {
        self.openssl(&format!("pkcs12 -export -passout pass: -out made.pfx {options}"));
        base64(&self.read("made.pfx"))
    }
}

/// As the vault encodes containers.
pub(super) fn base64(bytes: &[u8]) -> SecretValue {
    SecretValue::new(STANDARD.encode(bytes).into_bytes())
}

/// The keys that Key Vault makes certificates with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    P256K,
}

impl Kind {
    fn options(self) -> String {
        let curve = match self {
            Self::Rsa => return "-algorithm RSA -pkeyopt rsa_keygen_bits:2048".to_owned(),
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::P256K => "secp256k1",
        };
        format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve} -pkeyopt ec_param_enc:named_curve")
    }
}

/// A root, an intermediate and a leaf, with nothing else on the desk; `chain.pem` is both authorities.
fn chain(keys: Kind) -> Desk {
    let desk = Desk::new();
    desk.issue("root", "root", None, keys, true, 3650);
    desk.issue("middle", "middle", Some("root"), keys, true, 1000);
    desk.issue("leaf", "leaf", Some("middle"), keys, false, 90);
    desk.write("chain.pem", [desk.read("root.pem"), desk.read("middle.pem")].concat());
    desk
}

/// Made once: an RSA key costs time. Nobody may write there but containers, under the lock.
static RSA: LazyLock<std::sync::Mutex<Desk>> = LazyLock::new(|| std::sync::Mutex::new(chain(Kind::Rsa)));

/// A desk with a chain of such keys.
pub(super) fn with_chain<T>(keys: Kind, work: impl FnOnce(&Desk) -> T) -> T {
    match keys {
        Kind::Rsa => work(&RSA.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        _ => work(&chain(keys)),
    }
}
