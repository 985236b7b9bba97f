//! Drivers: keys that fit the type, credentials, and consent where a program is run.

use std::path::Path as FilePath;
use std::time::Duration;

use super::super::context::{Context, FileKind};
use super::super::engine;
use super::super::keys::{note_foreign, or_default, require};
use crate::config::path::Path;
use crate::config::problem::quoted;
use crate::config::raw::{self, DriverKind as Kind};
use crate::config::run::{Driver, Endpoint};

/// For one call or run.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Keys by the types that have them.
const KEYS: [(&str, &[Kind]); 10] = [
    ("endpoint", &[Kind::Docker, Kind::Swarm]),
    ("tls", &[Kind::Docker, Kind::Swarm]),
    ("service", &[Kind::Docker, Kind::Swarm]),
    ("project", &[Kind::Docker]),
    ("url", &[Kind::Webhook]),
    ("secret", &[Kind::Webhook]),
    ("allow_exec", &[Kind::Exec]),
    ("program", &[Kind::Exec]),
    ("arguments", &[Kind::Exec]),
    ("timeout", &[Kind::Webhook, Kind::Exec]),
];

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Docker => "docker",
        Kind::Swarm => "swarm",
        Kind::Webhook => "webhook",
        Kind::Exec => "exec",
    }
}

/// The driver as run; `None`, with problems noted, where it cannot be.
pub(super) fn driver(
    written: raw::Driver,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Driver> {
    let kind = written.kind?;
    note_foreign(kind, &KEYS, word, path, context);
    match kind {
        Kind::Docker | Kind::Swarm => of_engine(kind, written, path, context),
        Kind::Webhook => webhook(written, path, context),
        Kind::Exec => exec(written, path, context),
    }
}

fn of_engine(
    kind: Kind,
    mut written: raw::Driver,
    path: &Path<'_>,
    context: &mut Context<'_>,
) -> Option<Driver> {
    require("service", written.service.is_some(), "", path, context);
    let endpoint = engine::endpoint(
        address(&written).as_ref(),
        written.tls.take(),
        path,
        context,
    );
    let service = written.service?.value;
    Some(match kind {
        Kind::Swarm => Driver::Swarm { endpoint, service },
        _ => Driver::Docker {
            endpoint,
            project: written.project.map(|name| name.value),
            service,
        },
    })
}

fn address(written: &raw::Driver) -> Option<Endpoint> {
    written.endpoint.as_ref().map(|at| at.value.clone())
}

fn webhook(written: raw::Driver, path: &Path<'_>, context: &mut Context<'_>) -> Option<Driver> {
    require("url", written.url.is_some(), "", path, context);
    let purpose = ": it signs the calls, so that nobody else's count";
    require("secret", written.secret.is_some(), purpose, path, context);
    let timeout = or_default(written.timeout.as_ref(), TIMEOUT, path, "timeout", context);
    Some(Driver::Webhook {
        url: written.url?.value,
        secret: written.secret?.value,
        timeout: timeout?,
    })
}

fn exec(written: raw::Driver, path: &Path<'_>, context: &mut Context<'_>) -> Option<Driver> {
    let consent = path.key("allow_exec");
    let is_broken = written.allow_exec.is_none() && context.is_given(&consent);
    if written.allow_exec != Some(true) && !is_broken {
        let message = "runs a program on this machine, which is off by default; say `allow_exec: true` if that is meant";
        context.add_at_key(path, "type", message);
    }
    require("program", written.program.is_some(), "", path, context);
    if let Some(program) = &written.program {
        note_program(&program.value, &path.key("program"), context);
    }
    let list = path.key("arguments");
    for (index, argument) in written.arguments.iter().enumerate() {
        if argument.contains('\0') {
            context.add(&list.index(index), "no argument can hold a NUL");
        }
    }
    let timeout = or_default(written.timeout.as_ref(), TIMEOUT, path, "timeout", context);
    Some(Driver::Exec {
        program: written.program?.value,
        arguments: written.arguments,
        timeout: timeout?,
    })
}

/// What a relative path names depends on where the process was started, and a bare name on `PATH`.
fn note_program(program: &FilePath, path: &Path<'_>, context: &mut Context<'_>) {
    if program.is_absolute() {
        context.check_file(path, program, FileKind::Program);
    } else {
        let message = format!(
            "expected an absolute path such as /usr/local/bin/scale, found {}",
            quoted(&program.display().to_string())
        );
        context.add(path, message);
    }
}

/// Notes services that two targets would give different sizes.
pub(super) fn note_shared<'d>(
    drivers: impl Iterator<Item = Option<&'d raw::Driver>>,
    list: &Path<'_>,
    context: &mut Context<'_>,
) {
    let mut known: Vec<(usize, &raw::Driver)> = Vec::new();
    for (index, driver) in drivers.enumerate() {
        let Some(driver) = driver else { continue };
        let first = known.iter().find(|(_, other)| is_shared(driver, other));
        if let Some((first, _)) = first {
            let message = format!("the service is already scaled by {}", list.index(*first));
            let target = list.index(index);
            context.add(&target.key("driver").key("service"), message);
        }
        known.push((index, driver));
    }
}

fn is_shared(one: &raw::Driver, other: &raw::Driver) -> bool {
    let service = |driver: &raw::Driver| driver.service.as_ref().map(|name| name.value.clone());
    let project = |driver: &raw::Driver| driver.project.as_ref().map(|name| name.value.clone());
    let projects_differ = project(one)
        .zip(project(other))
        .is_some_and(|(one, other)| one != other);
    let endpoint = |driver: &raw::Driver| engine::address(address(driver).as_ref());
    matches!(one.kind, Some(Kind::Docker | Kind::Swarm))
        && one.kind == other.kind
        && service(one).is_some()
        && service(one) == service(other)
        && endpoint(one) == endpoint(other)
        && !projects_differ
}
