//! Hosts that hang in every way a host can: each attempt ends in seconds, whoever is well is published meanwhile, and it
//! mends by itself. Run with `--nocapture` for how long each took.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use keyferry_emulator::{Fault, Misbehaviour, NewConnections, Service, Settings};

use crate::harness::{Running, World, at_once, end, until_holds};

/// What "ends in seconds" means, with room for a machine that is busy with other tests.
const SECONDS: Duration = Duration::from_secs(20);

/// A way to hang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// TCP is accepted and nothing is ever said.
    Mute,
    /// The request is read and never answered, while HTTP/2 PINGs are.
    Unanswered,
    /// No packet is answered, not even a SYN.
    Dropped,
}

/// A port of loopback where SYNs go unanswered: nobody accepts, and the queue is full.
struct DeadPort {
    listener: TcpListener,
    queue: Vec<TcpStream>,
}

impl DeadPort {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let _inside = runtime.enter();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(0).unwrap().into_std().unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        let queue = std::iter::from_fn(connect).collect();
        Self { listener, queue }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// From now on whoever comes is led to another address, until the test binary ends.
    fn lead_to(self, address: SocketAddr) {
        drop(self.queue);
        self.listener.set_nonblocking(false).unwrap();
        std::thread::spawn(move || {
            for client in self.listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(address) else { continue };
                for (mut from, mut to) in [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server.try_clone().unwrap(), client.try_clone().unwrap()),
                ] {
                    std::thread::spawn(move || {
                        io::copy(&mut from, &mut to).unwrap_or_default();
                        to.shutdown(std::net::Shutdown::Both).unwrap_or_default();
                    });
                }
            }
        });
    }
}

/// A world of two vaults, `well` and `sick`, with three secrets each and one identity; one host of it hangs.
struct Sickbed {
    world: World,
    service: Service,
    config: String,
    authority: String,
    /// As messages name it.
    patient: String,
    dead: Option<DeadPort>,
}

impl Sickbed {
    fn new(service: Service, how: How) -> Self {
        let world = World::new();
        let mut config = world.preamble(&["well", "sick"]);
        writeln!(config, "files: {{dir: {}}}\nrefresh: {{interval: 1s, settle: 0s}}\nsecrets:", world.out().display())
            .unwrap();
        for vault in ["sick", "well"] {
            for number in 0..3 {
                let name = format!("{vault}{number}");
                world.emulator.put_secret(vault, &name, "here");
                writeln!(config, "  {name}: keyvault:{vault}/secrets/{name}").unwrap();
            }
        }
        let (mut authority, mut vault) = (world.emulator.authority(), world.emulator.vault_url("sick"));
        let mut dead = None;
        match how {
            How::Mute | How::Unanswered => {
                let hang = if how == How::Mute { Misbehaviour::NoTls } else { Misbehaviour::NeverAnswer };
                let fault = Fault::new(service, hang);
                world.emulator.fault(if service == Service::Vault { fault.of_vault("sick") } else { fault });
            }
            How::Dropped => {
                let port = DeadPort::new();
                let old = world.emulator.address(service).port().to_string();
                let url = if service == Service::Vault { &mut vault } else { &mut authority };
                let moved = url.replace(&old, &port.port().to_string());
                config = config.replace(url.as_str(), &moved);
                *url = moved;
                dead = Some(port);
            }
        }
        let patient = match service {
            Service::Vault => format!("vault {}", vault.trim_start_matches("https://")),
            Service::Entra => "signing in with identity 'default'".to_owned(),
            other => unreachable!("{other:?} is not asked here"),
        };
        Self { world, service, config, authority, patient, dead }
    }

    fn keyferry(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.world.keyferry(&self.config, args);
        command.env("AZURE_AUTHORITY_HOST", &self.authority);
        command
    }

    fn heal(&mut self) {
        self.world.emulator.clear_faults();
        if let Some(dead) = self.dead.take() {
            dead.lead_to(self.world.emulator.address(self.service));
        }
    }
}

fn ways() -> Vec<(Service, How)> {
    let hows = [How::Mute, How::Unanswered, How::Dropped];
    [Service::Vault, Service::Entra].into_iter().flat_map(|service| hows.map(|how| (service, how))).collect()
}

#[test]
fn run_sees_it_in_seconds_and_mends_by_itself() {
    at_once(&ways(), |&(service, how)| {
        let mut bed = Sickbed::new(service, how);
        let begun = Instant::now();
        let agent = Running::start(&mut bed.keyferry(&["run"]));
        let mut others = None;
        if service == Service::Vault {
            until_holds(&bed.world.out().join("well2"), "here");
            others = Some(begun.elapsed());
        }
        agent.wait_for(&format!("{} failed", bed.patient), 1);
        let seen = begun.elapsed();
        assert_eq!(bed.world.read("sick0"), None);
        bed.heal();
        let healed = Instant::now();
        until_holds(&bed.world.out().join("sick2"), "here");
        let back = healed.elapsed();
        let connections = bed.world.emulator.connections(service);
        println!(
            "run  | {service:?} {how:?} | others there {others:.1?} | seen {seen:.1?} | back {back:.1?} | \
             {connections} connections"
        );
        assert!(connections <= 8, "{service:?} {how:?}: {connections}");
        assert!(seen < SECONDS && back < SECONDS && others.is_none_or(|others| others < SECONDS));
        let (code, lines) = agent.stop();
        assert_eq!(code, Some(0));
        let told = |piece: &str| lines.iter().filter(|line| line.contains(piece)).count();
        assert_eq!((told(&format!("{} failed", bed.patient)), told(" failed")), (1, 1), "{lines:#?}");
        assert_eq!((told(&format!("{} works again", bed.patient)), told("works again")), (1, 1), "{lines:#?}");
    });
}

#[test]
fn init_ends_on_time_says_who_is_missing_and_the_next_one_succeeds() {
    at_once(&ways(), |&(service, how)| {
        let mut bed = Sickbed::new(service, how);
        let ended = end(&mut bed.keyferry(&["init", "--timeout", "8s"]));
        println!("init | {service:?} {how:?} | ended after {:.1?}", ended.took);
        ended.expect(69, &[]);
        assert!(ended.took < Duration::from_secs(12), "{ended:#?}");
        for number in 0..3 {
            let line = ended.about(&format!("sick{number}"));
            // Who hangs for longer than the deadline has not failed yet.
            let reason = if how == How::Unanswered { "there was no answer yet" } else { "(timeout)" };
            assert!(line.contains(reason), "{line}");
        }
        let others = ended.last_words().iter().filter(|word| word.starts_with("secret well")).count();
        assert_eq!(others, if service == Service::Vault { 0 } else { 3 }, "{ended:#?}");
        if service == Service::Vault && how != How::Unanswered {
            assert_eq!(bed.world.read("well0").as_deref(), Some("here"));
        }
        bed.heal();
        end(&mut bed.keyferry(&["init", "--timeout", "30s"])).expect(0, &[]);
        assert_eq!(bed.world.read("sick0").as_deref(), Some("here"));
    });
}

/// One vault with one secret that is asked for each second, and tokens that are made anew every two.
fn heartbeat() -> (World, Running) {
    let world = World::with(Settings { token_lifetime: 4, ..Settings::default() });
    world.emulator.put_secret("demo", "s", "first");
    let config = world.config("refresh: {interval: 1s, settle: 0s}\nsecrets: {s: keyvault:demo/secrets/s}\n");
    let agent = world.run(&config);
    until_holds(&world.out().join("s"), "first");
    (world, agent)
}

#[test]
fn a_kept_connection_that_dies_in_silence_is_noticed_and_replaced() {
    let cases = [
        (Service::Vault, NewConnections::Served),
        (Service::Vault, NewConnections::Frozen),
        (Service::Entra, NewConnections::Served),
        (Service::Entra, NewConnections::Frozen),
    ];
    at_once(&cases, |&(service, new)| {
        let (world, agent) = heartbeat();
        // Some requests later the connections are warm ones.
        assert!(world.emulator.wait_until(SECONDS, |log| {
            log.iter().filter(|request| request.service == Service::Entra).count() >= 3
        }));
        let connections = world.emulator.connections(service);
        world.emulator.freeze_connections(service, new);
        let frozen = Instant::now();
        let patient =
            if service == Service::Vault { "vault demo.vault.localhost" } else { "signing in with identity 'default'" };
        agent.wait_for(patient, 1);
        let seen = frozen.elapsed();
        assert!(agent.lines().iter().any(|line| line.contains(patient) && line.contains(" failed")));
        assert_eq!(world.read("s").as_deref(), Some("first"), "what is published stays");
        world.emulator.put_secret("demo", "s", "second");
        world.emulator.thaw(service);
        let thawed = Instant::now();
        until_holds(&world.out().join("s"), "second");
        let back = thawed.elapsed();
        println!("freeze | {service:?} {new:?} | seen {seen:.1?} | back {back:.1?}");
        assert!(seen < SECONDS && back < SECONDS);
        let more = world.emulator.connections(service) - connections;
        assert!(more <= 4, "{service:?} {new:?}: {more} new connections");
        let (_, lines) = agent.stop();
        assert_eq!(lines.iter().filter(|line| line.contains("works again")).count(), 1, "{lines:#?}");
    });
}

#[test]
fn a_signal_ends_it_at_once_whatever_hangs() {
    at_once(&ways(), |&(service, how)| {
        let bed = Sickbed::new(service, how);
        let agent = Running::start(&mut bed.keyferry(&["run"]));
        agent.wait_for("runs", 1);
        if how == How::Unanswered {
            let sick = |request: &keyferry_emulator::Logged| {
                request.service == service && request.vault.as_deref().is_none_or(|vault| vault == "sick")
            };
            assert!(bed.world.emulator.wait_until(SECONDS, |log| log.iter().any(sick)), "it hangs");
        } else {
            agent.wait_for(&format!("{} failed", bed.patient), 1);
        }
        let told = Instant::now();
        let (code, _) = agent.stop();
        println!("SIGTERM | {service:?} {how:?} | ended after {:.0?}", told.elapsed());
        assert_eq!(code, Some(0));
        assert!(told.elapsed() < Duration::from_secs(3), "{:?}", told.elapsed());
    });
}
