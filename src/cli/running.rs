//! Asking a running process through its admin API.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::control::admin::client::{Call, CallError};

/// The environment variable with the admin API's token.
pub(super) const TOKEN: &str = "EVENKEEL_ADMIN_TOKEN";

/// Bytes of the longest answer: every backend of a large configuration.
const MAX_ANSWER: u64 = 16 << 20;

/// The body of the answer to `call`, which may take `patience` with connecting.
pub(super) fn ask(call: &Call<'_>, patience: Duration) -> Result<Vec<u8>, CallError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asked = async {
        let stream = TcpStream::connect(call.authority).await?;
        call.over(stream, MAX_ANSWER).await
    };
    let asked = async { timeout(patience, asked).await };
    let (_, body) = runtime.block_on(asked).unwrap_or(Err(CallError::Timeout))?;
    Ok(body)
}
