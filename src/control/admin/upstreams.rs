//! The calls about upstreams as wholes: how they are, and what they choose by.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{Note, Refused, json, noted};
use super::api::Api;
use super::{input, tag, view};
use crate::control::reconcile::Refusal;

type Name = Result<Path<String>, PathRejection>;

/// `GET /api/v1/upstreams`.
pub(super) async fn list<T>(State(api): State<Arc<Api<T>>>) -> Result<Response, Refused>
where
    T: Send + Sync,
{
    let snapshot = api.published.load();
    let mut upstreams = Vec::with_capacity(snapshot.groups().len());
    let mut tags = Vec::with_capacity(upstreams.capacity());
    for group in snapshot.groups() {
        let known = api.known(group.upstream.name()).await?;
        tags.push(known.told.tag);
        upstreams.push(view::upstream(group, &known));
    }
    let answer = json(StatusCode::OK, &view::Upstreams { upstreams });
    Ok(tag::tagged(answer, tag::of_all(tags)))
}

/// `GET /api/v1/upstreams/{u}`.
pub(super) async fn one<T>(State(api): State<Arc<Api<T>>>, path: Name) -> Result<Response, Refused>
where
    T: Send + Sync,
{
    show(&api, &input::upstream(path)?).await
}

/// `PATCH /api/v1/upstreams/{u}`.
pub(super) async fn patch<T>(
    State(api): State<Arc<Api<T>>>,
    path: Name,
    request: Request,
) -> Result<Response, Refused>
where
    T: Send + Sync,
{
    let name = input::upstream(path)?;
    let commands = tag::commands(&api.commands, request.headers())?;
    let algorithm = input::algorithm(&input::json(request).await?)?;
    let before = api.commands.recall(&name).await?;
    commands.steer(&name, algorithm).await?;
    let in_force = |choice: Option<_>| choice.unwrap_or(before.configured).name();
    let text = format!(
        "{name}: algorithm {} -> {}{}",
        in_force(before.algorithm),
        in_force(algorithm),
        if algorithm.is_none() {
            ", as configured"
        } else {
            ""
        },
    );
    let note = Note {
        text,
        is_routine: false,
    };
    Ok(noted(show(&api, &name).await?, note))
}

async fn show<T>(api: &Api<T>, name: &str) -> Result<Response, Refused> {
    let known = api.known(name).await?;
    let snapshot = api.published.load();
    let mut groups = snapshot.groups().iter();
    let group = groups
        .find(|group| group.upstream.name() == name)
        .ok_or_else(|| Refusal::UnknownUpstream(name.to_owned()))?;
    let answer = json(StatusCode::OK, &view::upstream(group, &known));
    Ok(tag::tagged(answer, known.told.tag))
}
