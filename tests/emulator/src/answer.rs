//! What goes back to a client: the body, whole or cut off, and the few plain answers all services give.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::{Frame, SizeHint};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::Value;
use tokio::time::Sleep;

use crate::connection::Connection;

/// Time for a part of a body to reach the socket.
const LEAVING: Duration = Duration::from_millis(50);

/// An answer of any service.
pub(crate) type Answer = Response<Body>;

/// Bytes to send, and how they end.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pieces: VecDeque<Bytes>,
    ending: Ending,
}

#[derive(Debug, Default)]
enum Ending {
    /// All there is, with its length known.
    #[default]
    Whole,
    /// All there is, sent without a length.
    Streamed,
    /// Something is missing: the connection ends once there was time for the sent part to leave.
    ///
    /// To fail the body at once would let the failure overtake it: HTTP/2 drops what a reset stream has queued.
    Cut { connection: Arc<Connection>, leaving: Pin<Box<Sleep>> },
    /// Something is missing and never comes.
    Stalled,
}

impl Body {
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self { pieces: VecDeque::from([bytes.into()]), ending: Ending::Whole }
    }

    /// A JSON object with one `value` member, `size` bytes in all, sent piece by piece.
    pub(crate) fn of_size(size: u64) -> Self {
        const HEAD: &[u8] = br#"{"value":""#;
        const TAIL: &[u8] = br#""}"#;
        const PIECE: usize = 64 * 1024;
        let filler = Bytes::from(vec![b'x'; PIECE]);
        let mut left = usize::try_from(size).unwrap_or(usize::MAX).saturating_sub(HEAD.len() + TAIL.len());
        let mut pieces = VecDeque::from([Bytes::from_static(HEAD)]);
        while left > 0 {
            let piece = filler.slice(..left.min(PIECE));
            left -= piece.len();
            pieces.push_back(piece);
        }
        pieces.push_back(Bytes::from_static(TAIL));
        Self { pieces, ending: Ending::Streamed }
    }

    /// The bytes of a body that was not sent yet.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.pieces.iter().flatten().copied().collect()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Ending::Cut { connection, leaving } = &mut self.ending {
            ready!(leaving.as_mut().poll(cx));
            connection.end();
            return Poll::Pending;
        }
        if matches!(self.ending, Ending::Stalled) {
            return Poll::Pending;
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && matches!(self.ending, Ending::Whole | Ending::Streamed)
    }

    fn size_hint(&self) -> SizeHint {
        match self.ending {
            Ending::Whole => SizeHint::with_exact(self.pieces.iter().map(|piece| piece.len() as u64).sum()),
            Ending::Streamed | Ending::Cut { .. } | Ending::Stalled => SizeHint::default(),
        }
    }
}

/// An answer without headers of its own.
pub(crate) fn bare(status: StatusCode, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Answer {
    let mut answer = bare(status, Body::whole(body.to_string()));
    set(&mut answer, CONTENT_TYPE.as_str(), "application/json; charset=utf-8");
    answer
}

/// An answer in plain text.
pub(crate) fn text(status: StatusCode, body: &str) -> Answer {
    let mut answer = bare(status, Body::whole(body.to_owned()));
    set(&mut answer, CONTENT_TYPE.as_str(), "text/plain; charset=utf-8");
    answer
}

/// An answer of a front end, which does not speak JSON.
pub(crate) fn html(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or("Error");
    let code = status.as_u16();
    let page = format!(
        "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\"\"http://www.w3.org/TR/html4/strict.dtd\">\r\n\
         <HTML><HEAD><TITLE>{reason}</TITLE></HEAD>\r\n\
         <BODY><h2>{reason}</h2>\r\n<hr><p>HTTP Error {code}.</p>\r\n</BODY></HTML>\r\n"
    );
    let mut answer = bare(status, Body::whole(page));
    set(&mut answer, CONTENT_TYPE.as_str(), "text/html; charset=us-ascii");
    answer
}

/// Marks an answer that may be compressed.
#[derive(Debug, Clone, Copy)]
struct MayBeGzip;

/// Lets an answer be compressed for a client that offers to take it so.
pub(crate) fn allow_gzip(answer: &mut Answer) {
    answer.extensions_mut().insert(MayBeGzip);
}

/// Compresses an answer that may be; like the service, it then tells no length.
pub(crate) fn gzip(answer: Answer) -> Answer {
    if answer.extensions().get::<MayBeGzip>().is_none() || !matches!(answer.body().ending, Ending::Whole) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&body.bytes()).and_then(|()| encoder.finish());
    let Ok(packed) = packed else { return Response::from_parts(parts, body) };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body { pieces: VecDeque::from([packed.into()]), ending: Ending::Streamed })
}

/// Sets a header; text that HTTP cannot carry is left out.
pub(crate) fn set(answer: &mut Answer, name: &str, value: &str) {
    let name = hyper::header::HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
        answer.headers_mut().append(name, value);
    }
}

/// Announces the whole body but sends the first half of it.
pub(crate) fn cut(answer: Answer, connection: &Arc<Connection>) -> Answer {
    let leaving = Box::pin(tokio::time::sleep(LEAVING));
    half(answer, Ending::Cut { connection: connection.clone(), leaving })
}

/// The same, and the rest never comes, on a connection that lives on.
pub(crate) fn stalled(answer: Answer) -> Answer {
    half(answer, Ending::Stalled)
}

fn half(answer: Answer, ending: Ending) -> Answer {
    let (mut parts, body) = answer.into_parts();
    let bytes = Bytes::from(body.bytes());
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let pieces = VecDeque::from([bytes.slice(..bytes.len() / 2)]);
    Response::from_parts(parts, Body { pieces, ending })
}
