//! Who makes backends and ends them.
//!
//! Two kinds of drivers, because platforms differ in what they let one say. A
//! [`Driver`] handles single instances: it knows each, so the youngest can be
//! drained before it is ended. A [`Sizer`] only hands a number on, and whoever
//! gets it chooses. Neither decides, retries or waits for a backend to serve:
//! each call does one thing within a bounded time and says what came of it, and
//! what is half done is found again by its labels, not remembered.

use crate::config;
use docker::Docker;
use exec::Exec;
use swarm::Swarm;
use webhook::Webhook;

pub use contract::{Driver, DriverError, Instance, InstanceState, Means, Sizer};

mod call;
mod contract;
mod docker;
mod exec;
mod swarm;
mod webhook;

/// What changes the size of `upstream`, as it is configured. Nobody is spoken to yet; an error is
/// one of the configuration or of this machine's certificates.
pub fn means(driver: &config::Driver, upstream: &str) -> Result<Means, DriverError> {
    let means = match driver {
        config::Driver::Docker {
            endpoint,
            project,
            service,
        } => Means::Instances(Box::new(Docker::new(
            endpoint.clone(),
            project.clone(),
            service.clone(),
            upstream.to_owned(),
        ))),
        config::Driver::Swarm { endpoint, service } => {
            Means::Size(Box::new(Swarm::new(endpoint.clone(), service.clone())))
        }
        config::Driver::Webhook {
            url,
            secret,
            timeout,
        } => {
            let webhook = Webhook::new(url, secret.clone(), *timeout, upstream.to_owned())?;
            Means::Size(Box::new(webhook))
        }
        config::Driver::Exec {
            program,
            arguments,
            timeout,
        } => {
            let exec = Exec::new(
                program.clone(),
                arguments.clone(),
                *timeout,
                upstream.to_owned(),
            )?;
            Means::Size(Box::new(exec))
        }
    };
    Ok(means)
}
