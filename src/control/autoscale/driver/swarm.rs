//! The replicas of a service of a Docker swarm.
//!
//! An update sends the whole description of the service back. What a typed client
//! does not know would be missing from it, and Swarm would replace every task to
//! take it away. So the description stays the JSON that the manager sent, and one
//! number in it is changed; the version that goes with it makes the manager
//! refuse a description that is not the newest.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;

use super::call::{Answer, Place};
use super::contract::{DriverError, Sizer};
use crate::config::Endpoint;
use crate::control::engine;

/// For one call.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a service's description, which holds its configuration at most.
const MAX_ANSWER: usize = 4 << 20;

/// Where the number of replicas stands in a description.
const REPLICAS: &str = "/Mode/Replicated/Replicas";

/// Sets the replicas of a service.
pub(super) struct Swarm {
    endpoint: Endpoint,
    service: String,
}

/// A service as the manager has it.
struct Service {
    id: String,
    version: u64,
    spec: Value,
}

impl Swarm {
    pub(super) const fn new(endpoint: Endpoint, service: String) -> Self {
        Self { endpoint, service }
    }

    async fn service(&self) -> Result<Service, DriverError> {
        let what = "inspect a service";
        let path = format!("/services/{}", engine::encoded(&self.service));
        let answer = self.call(what, Method::GET, &path, Bytes::new()).await?;
        let mut service: Value = serde_json::from_slice(&answer.body)
            .map_err(|error| DriverError::nonsense(what, &error))?;
        let missing = |key: &str| DriverError::nonsense(what, &format!("it has no `{key}`"));
        let id = service["ID"].as_str().ok_or_else(|| missing("ID"))?;
        let version = service["Version"]["Index"].as_u64();
        Ok(Service {
            id: id.to_owned(),
            version: version.ok_or_else(|| missing("Version"))?,
            spec: service["Spec"].take(),
        })
    }

    fn replicas(&self, service: &Service) -> Result<u32, DriverError> {
        let replicas = service.spec.pointer(REPLICAS).and_then(Value::as_u64);
        let replicas = replicas.and_then(|count| u32::try_from(count).ok());
        replicas.ok_or_else(|| {
            DriverError::Impossible(format!(
                "the service `{}` has no number of replicas; its mode must be `replicated`",
                self.service
            ))
        })
    }

    async fn call(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, DriverError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| DriverError::Impossible(format!("{what}: {error}")))?;
        let place = Place::engine(&self.endpoint)?;
        let answer = place.call(what, request, LIMIT, MAX_ANSWER).await?;
        answer.successful(what)
    }
}

#[async_trait]
impl Sizer for Swarm {
    async fn size(&self) -> Result<Option<u32>, DriverError> {
        self.replicas(&self.service().await?).map(Some)
    }

    async fn resize(&self, _from: u32, to: u32) -> Result<(), DriverError> {
        let what = "update a service";
        let mut service = self.service().await?;
        if self.replicas(&service)? == to {
            return Ok(());
        }
        service.spec["Mode"]["Replicated"]["Replicas"] = to.into();
        let Service { id, version, spec } = service;
        let path = format!(
            "/services/{}/update?version={version}",
            engine::encoded(&id)
        );
        let body = Bytes::from(spec.to_string());
        self.call(what, Method::POST, &path, body).await.map(|_| ())
    }
}
