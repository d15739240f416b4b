use std::io::{Read as _, Write as _};
use std::net::TcpStream as Caller;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::net::sockopt::set_socket_linger;
use tokio::task::spawn_blocking;

use super::super::body::plain;
use super::*;

/// Answers everybody; of the first who come, who has connected resets the connection while it is looked who that is.
#[derive(Default)]
struct Fickle {
    resets: Mutex<Vec<Caller>>,
    answered: AtomicUsize,
}

impl Answers for Fickle {
    type Caller = ();

    async fn meet(&self, _: End<'_>) -> ((), Share) {
        drop(self.resets.lock().unwrap().pop());
        ((), Share::Strangers)
    }

    async fn answer(&self, _: Request<Incoming>, (): &()) -> Response<Body> {
        self.answered.fetch_add(1, Ordering::SeqCst);
        Response::new(plain(Vec::new()))
    }
}

/// Connects and sends a whole request.
fn ask(address: SocketAddr) -> Caller {
    let mut caller = Caller::connect(address).unwrap();
    caller.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    caller
}

#[tokio::test]
async fn what_a_reset_connection_has_asked_for_is_not_done() {
    let listener = Listener::open(Listen::At("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let address = listener.address().unwrap();
    let gone: Vec<_> = (0..3).map(|_| ask(address)).collect();
    for caller in &gone {
        set_socket_linger(caller, Some(Duration::ZERO)).unwrap();
    }
    // They are accepted in the order in which they came.
    let answers = Arc::new(Fickle { resets: gone.into_iter().rev().collect::<Vec<_>>().into(), ..Fickle::default() });
    let (stop, stopped) = watch::channel(());
    let limits = Limits { connections: Most::shared(512, 1), lifetime: None };
    let serving = tokio::spawn(listener.serve(Arc::clone(&answers), limits, stopped));
    let read = spawn_blocking(move || {
        let mut answer = String::new();
        ask(address).read_to_string(&mut answer).unwrap();
        answer
    });
    assert!(read.await.unwrap().starts_with("HTTP/1.1 200 OK"));
    drop(stop);
    serving.await.unwrap();
    assert_eq!(answers.answered.load(Ordering::SeqCst), 1, "only of who is still there");
}
