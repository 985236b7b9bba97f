//! What the autoscaler's drivers ask of an Engine, a webhook and a swarm, and what they make of
//! everything that can go wrong there.

mod docker;
mod real;
mod swarm;
mod webhook;

use std::future::Future;
use std::time::Duration;

use evenkeel::config;
use evenkeel::control::autoscale::driver::{Driver, Means, Sizer, means};

use crate::support::Engine;

/// Longer than any call may take.
const TOO_LONG: Duration = Duration::from_secs(90);

fn endpoint(engine: &Engine) -> config::Endpoint {
    let endpoint = engine.endpoint();
    match endpoint.strip_prefix("unix://") {
        Some(path) => config::Endpoint::Unix(path.into()),
        None => config::Endpoint::Tcp(endpoint.replace("tcp://", "")),
    }
}

fn driver(settings: &config::Driver) -> Box<dyn Driver> {
    match means(settings, "main") {
        Ok(Means::Instances(driver)) => driver,
        Ok(Means::Size(_)) => panic!("this driver knows no instances"),
        Err(error) => panic!("{error}"),
    }
}

fn sizer(settings: &config::Driver) -> Box<dyn Sizer> {
    match means(settings, "main") {
        Ok(Means::Size(sizer)) => sizer,
        Ok(Means::Instances(_)) => panic!("this driver knows instances"),
        Err(error) => panic!("{error}"),
    }
}

/// What comes of `call` when time passes beyond every limit as soon as `is_stuck`.
async fn overdue<T>(call: impl Future<Output = T>, mut is_stuck: impl FnMut() -> bool) -> T {
    tokio::pin!(call);
    while !is_stuck() {
        tokio::select! {
            biased;
            done = &mut call => return done,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
    tokio::time::pause();
    tokio::time::advance(TOO_LONG).await;
    tokio::time::resume();
    call.await
}
