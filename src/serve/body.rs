//! What is answered with: text, a secret's bytes as they lie in memory, or a stream of events.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::BoxStream;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;

use crate::secret::{Part, Secret, SecretValue};

/// The body of an answer.
pub(super) type Body = Either<Full<Bytes>, StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>>;

/// Bytes that nobody has to keep secret.
pub(super) fn plain(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// A part of a secret, which stays where it is; empty where it has no such part.
pub(super) fn part(secret: Arc<Secret>, part: Part) -> Body {
    struct Held(Arc<Secret>, Part);
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            self.0.part(self.1).map(SecretValue::expose).unwrap_or_default()
        }
    }
    plain(Bytes::from_owner(Held(secret, part)))
}

/// What was made of secrets for one caller; it is wiped when it has been sent.
pub(super) fn secret(value: SecretValue) -> Body {
    struct Held(SecretValue);
    impl AsRef<[u8]> for Held {
        fn as_ref(&self) -> &[u8] {
            self.0.expose()
        }
    }
    plain(Bytes::from_owner(Held(value)))
}

/// One piece after the other, as they come.
pub(super) fn stream(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    use futures_util::StreamExt as _;
    Either::Right(StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece))).boxed()))
}
