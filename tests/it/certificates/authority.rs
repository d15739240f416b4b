//! Certificates as a real authority makes them: a root, an intermediate, and leaves by the openssl command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keyferry_emulator::{CertificateSpec, Stored};

/// What every leaf is for.
pub(super) const HOST: &str = "web.localhost";

/// As Key Vault was seen to store its certificates, and as openssl does by itself.
pub(super) const LEGACY: &str = "-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1 -iter 2000";
pub(super) const MODERN: &str = "-certpbe AES-256-CBC -keypbe AES-256-CBC -macalg sha256";
/// What keyferry does not read.
pub(super) const REFUSED: &str = "-legacy -certpbe PBE-SHA1-RC4-128 -keypbe PBE-SHA1-3DES";

pub(super) const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
pub(super) const P256: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve";
pub(super) const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384 -pkeyopt ec_param_enc:named_curve";
pub(super) const P521: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-521 -pkeyopt ec_param_enc:named_curve";

/// Runs openssl in a folder and gives what it prints.
#[track_caller]
pub(super) fn openssl(folder: &Path, line: &str) -> Vec<u8> {
    let mut command = Command::new("openssl");
    command.args(line.split_whitespace()).current_dir(folder).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| {
        panic!("openssl cannot be run, and these tests make their certificates with it; .ci/run installs it: {error}")
    });
    assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A root and an intermediate, and a folder in which they work.
pub(super) struct Authority {
    folder: tempfile::TempDir,
    keys: &'static str,
    issued: AtomicU64,
}

/// Made once each.
pub(super) static OF_RSA: LazyLock<Authority> = LazyLock::new(|| Authority::new(RSA));
pub(super) static OF_EC: LazyLock<Authority> = LazyLock::new(|| Authority::new(P256));

impl Authority {
    fn new(keys: &'static str) -> Self {
        let authority = Self { folder: tempfile::tempdir().unwrap(), keys, issued: AtomicU64::new(1) };
        let ids = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
        let ca = format!("{ids}basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n");
        let leaf = format!("{ids}basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:{HOST}\n");
        fs::write(authority.folder.path().join("ca.ext"), ca).unwrap();
        fs::write(authority.folder.path().join("leaf.ext"), leaf).unwrap();
        authority.run(&format!("genpkey {keys} -out root.key"));
        authority.run(&format!("genpkey {keys} -out middle.key"));
        authority.certify("root", "-signkey root.key", "ca.ext", 3650);
        authority.certify("middle", "-CA root.pem -CAkey root.key", "ca.ext", 1000);
        let chain = [authority.text("middle.pem"), authority.text("root.pem")].concat();
        fs::write(authority.folder.path().join("chain.pem"), chain).unwrap();
        authority
    }

    #[track_caller]
    fn run(&self, line: &str) -> Vec<u8> {
        openssl(self.folder.path(), line)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn number(&self) -> u64 {
        self.issued.fetch_add(1, Ordering::Relaxed)
    }

    /// Certifies the key that is there.
    fn certify(&self, name: &str, signer: &str, extensions: &str, days: i32) {
        let number = self.number();
        self.run(&format!("req -new -key {name}.key -subj /CN={name} -out {name}.request"));
        self.run(&format!(
            "x509 -req -in {name}.request {signer} -set_serial {number} -days {days} -extfile {extensions} -out {name}.pem"
        ));
    }

    /// A leaf with a key of its own, good for so many days.
    pub(super) fn issue(&self, days: i32) -> Issued<'_> {
        let name = format!("leaf-{}", self.number());
        self.run(&format!("genpkey {} -out {name}.key", self.keys));
        self.certify(&name, "-CA middle.pem -CAkey middle.key", "leaf.ext", days);
        Issued { by: self, key: self.text(&format!("{name}.key")), leaf: self.text(&format!("{name}.pem")), name }
    }

    pub(super) fn root(&self) -> String {
        self.text("root.pem")
    }
}

/// A leaf and its key.
pub(super) struct Issued<'a> {
    by: &'a Authority,
    name: String,
    /// PKCS#8.
    pub(super) key: String,
    pub(super) leaf: String,
}

impl Issued<'_> {
    pub(super) fn fullchain(&self) -> String {
        format!("{}{}", self.leaf, self.by.text("middle.pem"))
    }

    /// As Key Vault stores PEM: the key first.
    pub(super) fn pem(&self) -> String {
        format!("{}{}{}", self.key, self.leaf, self.by.text("chain.pem"))
    }

    pub(super) fn as_pem(&self) -> CertificateSpec {
        CertificateSpec::new("web", Stored::Pem(self.pem()))
    }

    /// A PFX without a password; converting it would give the PEM.
    pub(super) fn as_pfx(&self, options: &str) -> CertificateSpec {
        let pfx = self.pfx(&format!("-inkey {0}.key -in {0}.pem -certfile chain.pem {options}", self.name));
        CertificateSpec::new("web", Stored::Pfx { base64: pfx, pem: Some(self.pem()) })
    }

    /// As a certificate whose policy keeps its key in the vault was seen to be stored.
    pub(super) fn without_key(&self) -> CertificateSpec {
        let base64 = self.pfx(&format!("-nokeys -in {}.pem -certfile chain.pem {LEGACY}", self.name));
        let pem = Some([self.leaf.clone(), self.by.text("chain.pem")].concat());
        CertificateSpec { exportable: false, ..CertificateSpec::new("web", Stored::Pfx { base64, pem }) }
    }

    fn pfx(&self, options: &str) -> String {
        let file = format!("{}-{}.pfx", self.name, self.by.number());
        self.by.run(&format!("pkcs12 -export -passout pass: -out {file} {options}"));
        STANDARD.encode(fs::read(self.by.folder.path().join(file)).unwrap())
    }
}
