//! The calls of the Engine's API that are needed, each within a time of its own.
//!
//! A client is made for each call, and each call is a connection of its own: the
//! Engine may be restarted or its socket replaced at any time.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, ContainerSummary};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use tokio::time::timeout;

use crate::config::Endpoint;
use crate::control::autoscale::driver::contract::DriverError;
use crate::control::engine;
use crate::control::outbound::root;

/// For a question.
const QUESTION: Duration = Duration::from_secs(10);

/// For what the Engine has to work for: making a file system, starting a process.
const WORK: Duration = Duration::from_secs(30);

/// An Engine.
#[derive(Debug)]
pub(super) struct Engine {
    endpoint: Endpoint,
}

/// What became of making a container.
pub(super) enum Created {
    /// It has this id.
    As(String),
    /// Another has the name.
    NameTaken,
}

impl Engine {
    pub(super) const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint }
    }

    /// All containers with all of these labels, whatever they do.
    pub(super) async fn list(
        &self,
        labels: Vec<String>,
    ) -> Result<Vec<ContainerSummary>, DriverError> {
        let filters = HashMap::from([("label", labels)]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters);
        let engine = self.client()?;
        let call = engine.list_containers(Some(options.build()));
        self.within("list containers", QUESTION, call).await
    }

    /// What the Engine knows about the container with this id or name; `None` when there is none.
    pub(super) async fn inspect(
        &self,
        id: &str,
    ) -> Result<Option<ContainerInspectResponse>, DriverError> {
        if !is_id_or_name(id) {
            return Ok(None);
        }
        let engine = self.client()?;
        let call = engine.inspect_container(id, None);
        let inspected = self.within("inspect a container", QUESTION, call).await;
        unless(is_gone, inspected.map(Some), || None)
    }

    /// Makes a container and does not start it.
    pub(super) async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<Created, DriverError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let engine = self.client()?;
        let call = engine.create_container(Some(options), body);
        let created = self.within("create a container", WORK, call).await;
        let created = created.map(|created| Created::As(created.id));
        unless(is_taken, created, || Created::NameTaken)
    }

    /// Starts a container; one that runs already is a success.
    pub(super) async fn start(&self, id: &str) -> Result<(), DriverError> {
        let engine = self.client()?;
        let call = engine.start_container(id, None);
        self.within("start a container", WORK, call).await
    }

    /// Has a container end within `grace`, and killed if it does not. One that does not run, or is
    /// gone, is a success.
    pub(super) async fn stop(&self, id: &str, grace: Duration) -> Result<(), DriverError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let engine = self.client()?;
        let call = engine.stop_container(id, Some(options));
        let stopped = self.within("stop a container", grace + WORK, call).await;
        unless(is_gone, stopped, || ())
    }

    /// Takes a container that does not run away, with the volumes that only it has. One that is
    /// gone, or being taken away by another, is a success.
    pub(super) async fn delete(&self, id: &str) -> Result<(), DriverError> {
        let options = RemoveContainerOptionsBuilder::new().v(true).build();
        let engine = self.client()?;
        let call = engine.remove_container(id, Some(options));
        let deleted = self.within("remove a container", WORK, call).await;
        let is_done = |status, said: &str| is_gone(status, said) || is_going(status, said);
        unless(is_done, deleted, || ())
    }

    fn client(&self) -> Result<Docker, DriverError> {
        engine::client(&self.endpoint).map_err(|error| self.error("connect", error))
    }

    async fn within<T>(
        &self,
        what: &str,
        limit: Duration,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DriverError> {
        match timeout(limit, call).await {
            Ok(answer) => answer.map_err(|error| self.error(what, error)),
            Err(_) => Err(DriverError::timeout(what, limit)),
        }
    }

    fn error(&self, what: &str, error: Error) -> DriverError {
        match error {
            Error::DockerResponseServerError {
                status_code,
                message,
            } => DriverError::refused(what, status_code, &message),
            Error::JsonDataError { message, .. } => DriverError::nonsense(what, &message),
            Error::JsonSerdeError { err } => DriverError::nonsense(what, &err),
            error => DriverError::Unreachable {
                place: engine::title(&self.endpoint),
                reason: root(&error),
            },
        }
    }
}

/// The answer, or what is made of `instead` where it is refused in `such` a way.
fn unless<T>(
    such: impl FnOnce(u16, &str) -> bool,
    answer: Result<T, DriverError>,
    instead: impl FnOnce() -> T,
) -> Result<T, DriverError> {
    match answer {
        Err(DriverError::Refused { status, said, .. }) if such(status, &said) => Ok(instead()),
        answer => answer,
    }
}

/// In the Engine's words: what stands between may answer 404 to a call that it does not know.
fn is_gone(status: u16, said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    status == 404 && (said.contains("no such container") || said.contains("no container with"))
}

fn is_going(status: u16, said: &str) -> bool {
    status == 409 && said.contains("already in progress")
}

fn is_taken(status: u16, _: &str) -> bool {
    status == 409
}

/// Whether it can be a container's id or name; it becomes part of a path.
fn is_id_or_name(text: &str) -> bool {
    let within = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(within)
}
