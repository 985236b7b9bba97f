//! The admin API: what the backends are doing, and changing what they should do.
//!
//! | call | what it does |
//! |---|---|
//! | `GET /` | the dashboard, see `page` |
//! | `GET /livez` | 200 while the process runs |
//! | `GET /readyz` | 200, or 503 with reasons |
//! | `GET /api/v1/status` | how the process is, in one sentence and some numbers |
//! | `GET /api/v1/events` | what happened, as a stream or as a list |
//! | `GET /api/v1/config` | the configuration file |
//! | `PUT /api/v1/config` | another configuration |
//! | `POST /api/v1/config/plan` | what another would change |
//! | `POST /api/v1/reload` | reads the file again |
//! | `GET /api/v1/upstreams` | every upstream and its backends |
//! | `GET /api/v1/upstreams/{u}` | one upstream |
//! | `PATCH /api/v1/upstreams/{u}` | its algorithm |
//! | `PATCH /api/v1/upstreams/{u}/backends/{b}` | weight, draining, maintenance |
//! | `PUT /api/v1/upstreams/{u}/backends/{b}/heartbeat` | registers a backend, or renews it |
//! | `DELETE /api/v1/upstreams/{u}/backends/{b}/heartbeat` | takes it out again |
//! | `GET /api/v1/autoscaler` | what the autoscaler sees, decides and does |
//! | `PATCH /api/v1/autoscaler/{u}` | pauses a target, or lets it go on |
//! | `GET /api/v1/autoscaler/{u}/history` | what it saw of a target, to be drawn |
//! | `GET /api/v1/explain` | where a request would go at this moment, and why |
//! | `GET /api/v1/decisions` | the last sampled picks, with who else could have been picked |
//! | `GET /api/v1/openapi.json` | all of this for programs |
//!
//! It reads the published snapshot and hands every change to the reconciler, so
//! nothing here decides or keeps anything; who may call is for `gate` to say.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, patch, post, put};
use tokio::net::TcpListener;

use super::serve::{self, Limits};
pub use api::{Api, Seen};
pub use code::Code;

use answer::Refused;

mod answer;
mod api;
mod autoscaler;
pub mod client;
mod code;
mod config;
mod events;
mod explain;
mod gate;
mod headline;
pub mod inherit;
mod input;
mod openapi;
mod page;
mod ready;
mod round;
mod status;
mod tag;
mod upstreams;
mod view;
mod write;

const LIMITS: Limits = Limits {
    name: "admin",
    connections: 256,
    // The longest wait, and time for everything around it.
    connection: Duration::from_secs(input::MAX_WAIT.as_secs() + 30),
};

/// Serves the API until `shutdown` is ready.
pub async fn serve<T>(listener: TcpListener, api: Api<T>, shutdown: impl Future<Output = ()>)
where
    T: Send + Sync + 'static,
{
    serve::serve(listener, LIMITS, router(api), shutdown).await;
}

fn router<T>(api: Api<T>) -> Router
where
    T: Send + Sync + 'static,
{
    let api = Arc::new(api);
    let guarded = Router::new()
        .route("/api/v1/status", get(status::status::<T>))
        .route("/api/v1/events", get(events::events::<T>))
        .route(
            "/api/v1/config",
            get(config::show::<T>).put(config::replace::<T>),
        )
        .route("/api/v1/config/plan", post(config::plan::<T>))
        .route("/api/v1/reload", post(config::reload::<T>))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/upstreams", get(upstreams::list::<T>))
        .route(
            "/api/v1/upstreams/{upstream}",
            get(upstreams::one::<T>).patch(upstreams::patch::<T>),
        )
        .route(
            "/api/v1/upstreams/{upstream}/backends/{backend}",
            patch(write::patch::<T>),
        )
        .route(
            "/api/v1/upstreams/{upstream}/backends/{backend}/heartbeat",
            put(write::heartbeat::<T>).delete(write::leave::<T>),
        )
        .route("/api/v1/autoscaler", get(autoscaler::list::<T>))
        .route(
            "/api/v1/autoscaler/{upstream}",
            patch(autoscaler::patch::<T>),
        )
        .route(
            "/api/v1/autoscaler/{upstream}/history",
            get(autoscaler::history::<T>),
        )
        .route("/api/v1/explain", get(explain::explain::<T>))
        .route("/api/v1/decisions", get(explain::decisions::<T>))
        .route_layer(from_fn_with_state(Arc::clone(&api), gate::guard::<T>))
        .route_layer(from_fn_with_state(Arc::clone(&api), gate::audit::<T>));
    Router::new()
        .route("/livez", get(ready::livez))
        .route("/readyz", get(ready::readyz::<T>))
        .merge(guarded)
        .merge(page::router())
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .with_state(api)
}

async fn unknown_path() -> Refused {
    let hint = "the API begins at /api/v1/upstreams";
    Refused::new(Code::UnknownPath, "there is nothing here", hint)
}

async fn wrong_method() -> Refused {
    let hint = "the header `Allow` lists those that are";
    Refused::new(Code::WrongMethod, "the method is not allowed here", hint)
}

#[cfg(test)]
mod tests;
