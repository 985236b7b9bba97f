//! Asking a running process through its admin API.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::control::admin::client::{Call, CallError};

/// The environment variable with the admin API's token.
const TOKEN: &str = "EVENKEEL_ADMIN_TOKEN";

/// The token as an option, for every command that asks.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Token {
    /// Bearer token of the process that is asked
    #[arg(long, env = TOKEN, hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
}

impl Token {
    /// What a call carries.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.token.as_deref().map(str::as_bytes)
    }
}

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
