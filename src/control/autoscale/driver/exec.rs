//! A size that a program of the operator's is run with.
//!
//! No shell: the program and its arguments are what the configuration says, and
//! the size is a number. It gets a process group of its own, so that what it has
//! started ends with it when it takes too long.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::FusedFuture as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::contract::{DriverError, Sizer, shortened};

/// Where programs are found when nobody says.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Bytes of each of the two outputs that are kept; the rest is read and forgotten.
const MAX_OUTPUT: usize = 4 << 10;

/// How long the outputs are read after the program has ended: one that it left behind may hold
/// them open.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Runs a program with the size.
pub(super) struct Exec {
    program: PathBuf,
    arguments: Vec<String>,
    timeout: Duration,
    upstream: String,
}

/// A process group, killed when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.map(Pid::from_raw))
    }

    /// Its leader has ended and was waited for: the number may be another's from now on.
    fn is_over(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended just now, which is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Exec {
    pub(super) fn new(
        program: PathBuf,
        arguments: Vec<String>,
        timeout: Duration,
        upstream: String,
    ) -> Result<Self, DriverError> {
        if !program.is_absolute() {
            return Err(DriverError::Impossible(format!(
                "{} is not an absolute path",
                program.display()
            )));
        }
        Ok(Self {
            program,
            arguments,
            timeout,
            upstream,
        })
    }

    fn command(&self, to: u32) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg(to.to_string())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or(PATH.into()))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    fn failed(&self, reason: &(impl ToString + ?Sized)) -> DriverError {
        DriverError::Program {
            program: self.program.display().to_string(),
            reason: reason.to_string(),
        }
    }

    /// Runs it to its end; what it said on standard output and standard error.
    async fn run(&self, to: u32) -> Result<(ExitStatus, [String; 2]), DriverError> {
        let child = self.command(to).spawn();
        let mut child = child.map_err(|error| self.failed(&error))?;
        let mut group = Group::of(&child);
        let outputs = (child.stdout.take(), child.stderr.take());
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let status = {
            let reading = async {
                tokio::join!(read(outputs.0, &mut said), read(outputs.1, &mut complained))
            };
            let reading = reading.fuse();
            tokio::pin!(reading);
            let ended = async {
                tokio::select! {
                    status = child.wait() => status,
                    _ = &mut reading => child.wait().await,
                }
            };
            let status = timeout(self.timeout, ended).await;
            let status = status.map_err(|_| self.overdue())?;
            group.is_over();
            if !reading.is_terminated() {
                let _ = timeout(AFTERWARDS, reading).await;
            }
            status.map_err(|error| self.failed(&error))?
        };
        Ok((status, [said, complained].map(|bytes| told(&bytes))))
    }

    fn overdue(&self) -> DriverError {
        DriverError::timeout(&self.program.display().to_string(), self.timeout)
    }
}

#[async_trait]
impl Sizer for Exec {
    async fn size(&self) -> Result<Option<u32>, DriverError> {
        Ok(None)
    }

    async fn resize(&self, from: u32, to: u32) -> Result<(), DriverError> {
        let (status, [said, complained]) = self.run(to).await?;
        let upstream = &self.upstream;
        if status.success() {
            tracing::info!(
                upstream,
                from,
                to,
                said,
                complained,
                "exec: a size was told"
            );
            return Ok(());
        }
        tracing::warn!(upstream, from, to, said, complained, %status, "exec: the program failed");
        let reason = if complained.is_empty() {
            status.to_string()
        } else {
            format!("{status}: {complained}")
        };
        Err(self.failed(&reason))
    }
}

/// Reads to the end and keeps the beginning.
async fn read(output: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut output) = output else {
        return;
    };
    let mut piece = [0; 1024];
    while let Ok(count @ 1..) = output.read(&mut piece).await {
        let room = MAX_OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..count.min(room)]);
    }
}

fn told(bytes: &[u8]) -> String {
    shortened(&String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests;
