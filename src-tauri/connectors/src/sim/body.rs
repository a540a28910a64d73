//! Reading the body of a request: at most so many bytes, gzip undone.

use std::io::Read;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;

/// No partner's request comes near this size; a larger one is a mistake or a decompression bomb.
const LARGEST_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefusal {
    /// The connection ended early, or the body is larger than any real one.
    #[error("the body is incomplete or too large")]
    Unreadable,
    /// Something other than gzip.
    #[error("content-encoding is neither gzip nor identity")]
    UnknownEncoding,
    /// Declared as gzip, and is not.
    #[error("the body is not valid gzip")]
    NotGzip,
}

/// Reads the whole body and undoes `Content-Encoding: gzip`.
///
/// # Errors
/// [`BodyRefusal`] says which of the ways in which a body can be wrong it is.
pub async fn read_body(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, BodyRefusal> {
    let bytes = axum::body::to_bytes(body, LARGEST_BODY_BYTES).await.map_err(|_| BodyRefusal::Unreadable)?;
    match headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("").to_ascii_lowercase()) {
        None => Ok(bytes.to_vec()),
        Some(encoding) if encoding == "identity" => Ok(bytes.to_vec()),
        Some(encoding) if encoding == "gzip" => {
            let mut plain = Vec::new();
            let limit = u64::try_from(LARGEST_BODY_BYTES).unwrap_or(u64::MAX);
            let read = flate2::read::GzDecoder::new(bytes.as_ref())
                .take(limit)
                .read_to_end(&mut plain)
                .map_err(|_| BodyRefusal::NotGzip)?;
            if read == LARGEST_BODY_BYTES { Err(BodyRefusal::Unreadable) } else { Ok(plain) }
        }
        Some(_) => Err(BodyRefusal::UnknownEncoding),
    }
}
