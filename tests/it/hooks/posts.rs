//! What is posted, to whom, and what becomes of every answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::{Bench, CANARY};
use crate::harness::{SOON, Trap, at_once, eventually};

/// A listener that answers with these, one for each connection, and then 204 for ever; it keeps what it was sent.
pub struct Application {
    pub port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Application {
    pub fn start(answers: &[&str]) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").unwrap(), answers)
    }

    fn at(listener: TcpListener, answers: &[&str]) -> Self {
        let application = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = Arc::clone(&application.heard);
        let mut answers: Vec<String> = answers.iter().rev().map(ToString::to_string).collect();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let (mut request, mut length) = (String::new(), 0);
                while reader.read_line(&mut request).unwrap_or(0) > 2 {
                    let line = request.lines().last().unwrap().to_ascii_lowercase();
                    length = line.strip_prefix("content-length: ").map_or(length, |length| length.parse().unwrap());
                }
                let mut body = vec![0; length];
                if reader.read_exact(&mut body).is_err() {
                    continue;
                }
                request.push_str(std::str::from_utf8(&body).unwrap());
                heard.lock().unwrap().push(request);
                let answer = answers.pop().unwrap_or_else(|| "204 No Content\r\n".to_owned());
                let answer = format!("HTTP/1.1 {answer}Content-Length: 0\r\n\r\n");
                // Whoever has given up hears nothing.
                reader.get_mut().write_all(answer.as_bytes()).unwrap_or_default();
            }
        });
        application
    }

    pub fn hook(&self) -> String {
        format!("  - {{http: {{url: \"http://127.0.0.1:{}/-/reload?now=1\"}}}}", self.port)
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub fn bodies(&self) -> Vec<String> {
        let body = |request: &String| request.split_once("\r\n\r\n").unwrap().1.to_owned();
        self.heard().iter().map(body).collect()
    }

    #[track_caller]
    pub fn until_heard(&self, times: usize) {
        let heard = eventually(SOON, || (self.heard().len() >= times).then_some(()));
        assert!(heard.is_some(), "not {times} times, but {:#?}", self.heard());
    }
}

#[test]
fn an_application_that_fails_twice_is_told_until_it_is_well_and_never_a_value() {
    let bench = Bench::new();
    let application = Application::start(&["500 Oh No\r\n", "503 Busy\r\n", "200 OK\r\n"]);
    let agent = bench.run(&application.hook());
    bench.rotate(&agent, "a", "1");
    agent.wait_for("hook works again: POST http://127.0.0.1:", 1);
    assert_eq!(application.bodies(), [r#"{"generation":2,"secrets":["a"]}"#; 3]);
    let request = &application.heard()[0];
    let head = request.to_ascii_lowercase();
    assert!(request.starts_with("POST /-/reload?now=1 HTTP/1.1\r\n"), "{request}");
    for line in [
        &format!("host: 127.0.0.1:{}", application.port),
        "content-type: application/json",
        "user-agent: keyferry/",
        "content-length: 32",
    ] {
        assert!(head.contains(&format!("\r\n{line}")), "no {line} in {request}");
    }
    // Another change is another generation.
    bench.put("a", "2");
    bench.rotate(&agent, "b", "2");
    application.until_heard(4);
    assert_eq!(application.bodies()[3], r#"{"generation":3,"secrets":["a","b"]}"#);
    let (code, lines) = agent.stop();
    assert_eq!(code, Some(0));
    let told = lines.iter().filter(|line| line.contains("hook failed")).count();
    assert_eq!(told, 2, "one for each reason: {lines:#?}");
    for piece in ["it answered 500; look into the application's log", "it answered 503; look into"] {
        assert_eq!(lines.iter().filter(|line| line.contains(piece)).count(), 1, "{lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("now=1")), "a query may hold a password: {lines:#?}");
    let everything = [lines.join("\n"), application.heard().join("\n")].concat();
    assert!(!everything.contains(CANARY), "{everything}");
}

#[test]
fn every_answer_but_a_good_one_is_a_failure_that_says_what_to_do() {
    let cases = [
        ("404 Not Found\r\n", "it answered 404; check the path of the url"),
        ("405 Method Not Allowed\r\n", "it answered 405; the application takes no POST there"),
        ("401 Unauthorized\r\n", "it answered 401; a hook has no password"),
        ("nonsense\r\n", "it gave no HTTP answer; look whether it speaks HTTP/1.1 there"),
    ];
    at_once(&cases, |(answer, told)| {
        let bench = Bench::new();
        let application = Application::start(&[answer]);
        let agent = bench.run(&application.hook());
        bench.rotate(&agent, "a", "1");
        agent.wait_for(told, 1);
        agent.wait_for("hook works again", 1);
        assert_eq!(application.heard().len(), 2);
    });
}

#[test]
fn a_redirect_is_not_followed() {
    let (bench, trap) = (Bench::new(), Trap::set());
    let to = |status: &str| format!("{status}\r\nLocation: http://{}/elsewhere\r\n", trap.address);
    let (moved, found) = (to("307 Temporary Redirect"), to("302 Found"));
    let application = Application::start(&[&moved, &found]);
    let agent = bench.run(&application.hook());
    bench.rotate(&agent, "a", "1");
    agent.wait_for("hook works again", 1);
    assert_eq!(agent.count("it answered 307; a redirect is not followed"), 1);
    assert_eq!(agent.count("it answered 302; a redirect is not followed"), 1);
    assert_eq!(application.heard().len(), 3);
    assert!(trap.caught().is_empty());
}

#[test]
fn no_proxy_hears_of_it() {
    let (bench, trap) = (Bench::new(), Trap::set());
    let application = Application::start(&[]);
    let mut command = bench.command(&application.hook());
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(variable, format!("http://{}", trap.address));
    }
    let agent = bench.started(&mut command);
    bench.rotate(&agent, "a", "1");
    application.until_heard(1);
    agent.wait_for("hook done: POST", 1);
    assert!(trap.caught().is_empty());
}

#[test]
fn an_application_that_starts_late_or_hangs_is_told_when_it_listens() {
    let bench = Bench::new();
    // Bound, and nobody accepts: then it hangs, and later it is well.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let hook = |port| format!("  - {{secrets: [a], http: {{url: \"http://localhost:{port}\"}}}}\n");
    let agent = bench.run(&[hook(port), hook(closed)].concat());
    bench.rotate(&agent, "a", "1");
    agent.wait_for(&format!("POST http://localhost:{closed}/: nobody listens there"), 1);
    agent.wait_for(&format!("POST http://localhost:{port}/: no answer came within 5 seconds"), 1);
    let application = Application::at(listener, &[]);
    agent.wait_for(&format!("hook works again: POST http://localhost:{port}/; changed: a"), 1);
    assert!(application.bodies().iter().all(|body| body == r#"{"generation":2,"secrets":["a"]}"#));
}

#[test]
fn localhost_is_also_ipv6s() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        crate::harness::skip("there is no IPv6");
        return;
    };
    let (bench, port) = (Bench::new(), listener.local_addr().unwrap().port());
    let application = Application::at(listener, &[]);
    let agent = bench.run(&format!("  - {{http: {{url: \"http://localhost:{port}/\"}}}}"));
    bench.rotate(&agent, "a", "1");
    application.until_heard(1);
    agent.wait_for("hook done", 1);
}
