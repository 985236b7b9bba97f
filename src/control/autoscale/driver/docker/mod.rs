//! The containers of a compose service.
//!
//! Compose keeps no state of its own: what belongs to a project is what has its
//! labels. So a container that is made with the same labels and the next number
//! belongs to it, `docker compose ps` shows it and `docker compose down` takes it
//! away. The same labels are all that this driver goes by, asked for anew each
//! time.
//!
//! Each container is inspected, because the list does not say how a container
//! ended or how often, and because it may lag behind what happened since. What
//! was seen or made is therefore remembered, and looked at whether it is listed
//! or not. A list that has what is not there, and has it again when asked once
//! more, is not believed: what else it says may be as old. Besides, a template is
//! remembered, for a service whose containers are all gone.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bollard::models::ContainerInspectResponse;
use futures_util::future::join_all;

use super::contract::{Driver, DriverError, Instance};
use crate::config::Endpoint;
use engine::{Created, Engine};
use memory::Memory;
use seen::Seen;

mod engine;
mod labels;
mod memory;
mod replica;
mod seen;

/// Containers of one service that are looked at; more are somebody's mistake.
const MAX_CONTAINERS: usize = 1000;

/// Containers that are inspected at a time.
const AT_A_TIME: usize = 8;

/// Numbers that are tried when names are taken.
const MAX_NAMES: u32 = 20;

/// Handles the containers of one service.
pub(super) struct Docker {
    engine: Engine,
    project: Option<String>,
    service: String,
    upstream: String,
    /// What the last container that could be copied was like.
    template: Mutex<Option<ContainerInspectResponse>>,
    memory: Mutex<Memory>,
}

impl Docker {
    pub(super) fn new(
        endpoint: Endpoint,
        project: Option<String>,
        service: String,
        upstream: String,
    ) -> Self {
        Self {
            engine: Engine::new(endpoint),
            project,
            service,
            upstream,
            template: Mutex::new(None),
            memory: Mutex::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service's containers, in the order of their numbers, and the best template among them
    /// remembered; with them the name of one that has come since the last look.
    async fn look(&self) -> Result<(Vec<Seen>, Option<String>), DriverError> {
        let listed = self.list().await?;
        if listed.len() > MAX_CONTAINERS {
            return Err(DriverError::Impossible(format!(
                "the service `{}` has {} containers; {MAX_CONTAINERS} are looked at",
                self.service,
                listed.len()
            )));
        }
        let ids = self.memory().with(&listed);
        let mut seen = Vec::with_capacity(ids.len());
        let mut absent = BTreeSet::new();
        for some in ids.chunks(AT_A_TIME) {
            let inspected = join_all(some.iter().map(|id| self.engine.inspect(id))).await;
            for (id, inspected) in some.iter().zip(inspected) {
                match inspected? {
                    Some(one) => seen.push(Seen(one)),
                    None if listed.contains(id) => {
                        absent.insert(id.clone());
                    }
                    None => {}
                }
            }
        }
        self.doubt(&absent).await?;
        seen.retain(|one| self.is_ours(one).is_ok());
        self.in_one_project(&seen)?;
        seen.sort_by_key(Seen::number);
        self.remember(&seen);
        let mut memory = self.memory();
        let news = seen.iter().find(|one| memory.is_news(one.id()));
        let news = news.map(|one| one.instance().name);
        memory.keep(seen.iter().map(Seen::id), &listed);
        Ok((seen, news))
    }

    async fn list(&self) -> Result<BTreeSet<String>, DriverError> {
        let listed = self.engine.list(self.labels()).await?;
        Ok(listed.into_iter().filter_map(|one| one.id).collect())
    }

    /// Fails where the list goes on to say that containers are there that are `absent`, unless it
    /// was here that they were ended: then only the list is late.
    async fn doubt(&self, absent: &BTreeSet<String>) -> Result<(), DriverError> {
        if absent.iter().all(|id| self.memory().was_ended(id)) {
            return Ok(());
        }
        let again = self.list().await?;
        let mut strange = absent.intersection(&again);
        let strange = strange.find(|id| !self.memory().was_ended(id));
        strange.map_or(Ok(()), |id| {
            let reason = format!("it has {id}, of which the Engine says that it is not there");
            Err(DriverError::nonsense("list containers", &reason))
        })
    }

    /// What the Engine is asked by. Containers of `docker compose run` serve nobody.
    fn labels(&self) -> Vec<String> {
        let mut all = vec![
            format!("{}={}", labels::UPSTREAM, self.upstream),
            format!("{}={}", labels::SERVICE, self.service),
            format!("{}=False", labels::ONE_OFF),
        ];
        let project = self.project.iter();
        all.extend(project.map(|project| format!("{}={project}", labels::PROJECT)));
        all
    }

    /// An error says why it is not.
    fn is_ours(&self, one: &Seen) -> Result<(), String> {
        let has = |label: &str, wanted: &str| {
            let is = one.label(label);
            if is == Some(wanted) {
                return Ok(());
            }
            let is = is.map_or_else(|| "missing".to_owned(), |is| format!("`{is}`"));
            Err(format!("its label `{label}` is {is}, not `{wanted}`"))
        };
        has(labels::UPSTREAM, &self.upstream)?;
        has(labels::SERVICE, &self.service)?;
        has(labels::ONE_OFF, "False")?;
        self.project
            .as_ref()
            .map_or(Ok(()), |project| has(labels::PROJECT, project))
    }

    fn in_one_project(&self, seen: &[Seen]) -> Result<(), DriverError> {
        let projects: BTreeSet<&str> = seen
            .iter()
            .filter_map(|one| one.label(labels::PROJECT))
            .collect();
        if projects.len() < 2 {
            return Ok(());
        }
        let projects: Vec<&str> = projects.into_iter().take(10).collect();
        Err(DriverError::Impossible(format!(
            "several projects have a service `{}`: {}; say which `project`",
            self.service,
            projects.join(", ")
        )))
    }

    /// One that runs is best, and before all one that Compose made: it is as the compose file has
    /// it now. One that does not run is copied only where nothing better was ever seen.
    fn remember(&self, seen: &[Seen]) {
        let running = |one: &&Seen| one.runs();
        let best = seen
            .iter()
            .filter(running)
            .find(|one| one.is_by_compose())
            .or_else(|| seen.iter().find(running));
        let mut template = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        let best = match (best, &*template) {
            (None, None) => seen.first(),
            (best, _) => best,
        };
        if let Some(best) = best {
            *template = Some(best.0.clone());
        }
    }

    fn template(&self) -> Result<ContainerInspectResponse, DriverError> {
        let template = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        template.clone().ok_or_else(|| {
            DriverError::Impossible(format!(
                "the service `{}` has no container with the label `{}={}` to copy; make one with \
                 `docker compose up`",
                self.service,
                labels::UPSTREAM,
                self.upstream
            ))
        })
    }

    /// The container with this id, if it is one of ours.
    async fn find(&self, id: &str) -> Result<Option<Seen>, DriverError> {
        let Some(one) = self.engine.inspect(id).await?.map(Seen) else {
            return Ok(None);
        };
        self.is_ours(&one).map_err(|reason| DriverError::Foreign {
            id: id.to_owned(),
            reason,
        })?;
        Ok(Some(one))
    }

    /// Makes a copy with the first number from `number` on whose name is free. One that is there
    /// already because the answer to an earlier call was lost is taken instead.
    async fn copy(
        &self,
        template: &ContainerInspectResponse,
        number: u32,
    ) -> Result<String, DriverError> {
        for step in 0..MAX_NAMES {
            let number = number.saturating_add(step);
            let copy = replica::of(template, number, &self.upstream);
            let copy = copy.map_err(DriverError::Impossible)?;
            let name = copy.name;
            let lost = self.memory().begin(&name);
            match self.engine.create(&name, copy.body).await {
                Ok(Created::As(id)) => {
                    self.memory().made(&id);
                    return Ok(id);
                }
                Ok(Created::NameTaken) => {
                    if let Some(id) = self.stray(&name, lost).await? {
                        self.memory().made(&id);
                        return Ok(id);
                    }
                    self.memory().answered();
                    tracing::debug!(name, "docker: a name is taken");
                }
                Err(error) => {
                    if matches!(error, DriverError::Refused { .. }) && !lost {
                        self.memory().answered();
                    }
                    return Err(error);
                }
            }
        }
        Err(DriverError::Impossible(format!(
            "{MAX_NAMES} names for a container of the service `{}` are taken, from number {number} \
             on; remove the containers that have them",
            self.service
        )))
    }

    /// The container that has a name, where it is one of ours that is not known yet and can serve.
    /// Where the answer to the call that may have made it was `lost` and it cannot be seen, the
    /// Engine is still at it: a second one beside it would be one too many.
    async fn stray(&self, name: &str, lost: bool) -> Result<Option<String>, DriverError> {
        let there = self.engine.inspect(name).await;
        match there.map(|there| there.map(Seen)) {
            Ok(Some(one)) => {
                let ours = self.is_ours(&one).is_ok() && (one.runs() || one.is_new());
                let id = one.id().to_owned();
                Ok((ours && !self.memory().knows(&id)).then_some(id))
            }
            Ok(None) if lost => Err(DriverError::refused(
                "create a container",
                409,
                &format!("{name} is being made"),
            )),
            Err(error) if lost => Err(error),
            Ok(None) | Err(_) => Ok(None),
        }
    }

    /// Starts a container, or takes it away. It is not forced: one that runs in spite of the error
    /// stays, and may be serving already.
    async fn start(&self, id: &str) -> Result<Instance, DriverError> {
        let started = self.engine.start(id).await;
        if let Err(error) = &started {
            let inspected = self.engine.inspect(id).await;
            let runs = inspected.is_ok_and(|one| one.is_some_and(|one| Seen(one).runs()));
            if !runs {
                match self.engine.delete(id).await {
                    Ok(()) => self.memory().ended(id),
                    Err(left) => {
                        tracing::warn!(id, %left, "docker: a container that does not start is left");
                    }
                }
                return Err(error.clone());
            }
        }
        let there = self.engine.inspect(id).await?.map(Seen);
        let there =
            there.ok_or_else(|| DriverError::nonsense("start a container", "it is gone"))?;
        Ok(there.instance())
    }
}

#[async_trait]
impl Driver for Docker {
    async fn observe(&self) -> Result<Vec<Instance>, DriverError> {
        let (seen, _) = self.look().await?;
        Ok(seen.iter().map(Seen::instance).collect())
    }

    async fn create(&self) -> Result<Instance, DriverError> {
        let (seen, news) = self.look().await?;
        if let Some(name) = news {
            // Whoever asks for one more counted without it.
            let said = format!("{name} has come meanwhile");
            return Err(DriverError::refused("create a container", 409, &said));
        }
        let last = seen.last().map_or(0, Seen::number);
        let id = self.copy(&self.template()?, last.saturating_add(1)).await?;
        self.start(&id).await
    }

    async fn resume(&self, id: &str) -> Result<Instance, DriverError> {
        let there = self.find(id).await?;
        there.ok_or_else(|| DriverError::refused("start a container", 404, "it is gone"))?;
        self.start(id).await
    }

    async fn remove(&self, id: &str) -> Result<(), DriverError> {
        let Some(one) = self.find(id).await? else {
            return Ok(());
        };
        self.engine.stop(id, one.grace()).await?;
        self.engine.delete(id).await?;
        self.memory().ended(id);
        Ok(())
    }
}
