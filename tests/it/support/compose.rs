//! A Compose project on a real Engine, whose containers run this very binary.
//!
//! Needs an Engine, so it is tried where the environment has `EVENKEEL_TEST_DOCKER`. Nothing is
//! pulled: the image is the binary and the libraries that it is linked with.

use std::path::PathBuf;
use std::process::Command;

use super::{Folder, show};

/// A project that is taken down when the test ends, however it does.
pub(crate) struct Project {
    pub(crate) name: String,
    folder: Folder,
}

impl Project {
    /// Starts the services of a compose file, in which `@image@` stands for the image; `None`, which
    /// is told, where no Engine may be used.
    pub(crate) fn up(purpose: &str, file: &str) -> Option<Self> {
        if std::env::var_os("EVENKEEL_TEST_DOCKER").is_none() {
            show("not tried: EVENKEEL_TEST_DOCKER is not set");
            return None;
        }
        let project = Self {
            name: format!("evenkeel-{purpose}-{}", std::process::id()),
            folder: Folder::new(),
        };
        let root = project.folder.path("tree");
        let (root, image) = (root.display(), project.image());
        let binary = env!("CARGO_BIN_EXE_evenkeel");
        shell(&format!(
            "mkdir -p {root} && cp {binary} {root}/evenkeel && ldd {binary} | grep -o '/[^ ]*' | sort -u |
             while read -r one; do mkdir -p {root}$(dirname $one) && cp -L $one {root}$one; done &&
             tar -C {root} -c . | docker import - {image}"
        ));
        let file = file.replace("@image@", &project.image());
        std::fs::write(project.folder.path("compose.yml"), file).expect("it is writable");
        project.compose("up --detach");
        Some(project)
    }

    /// Where the Engine listens.
    pub(crate) fn socket() -> PathBuf {
        let host = std::env::var("DOCKER_HOST").unwrap_or("unix:///var/run/docker.sock".to_owned());
        host.strip_prefix("unix://").expect("a socket").into()
    }

    /// Containers and networks that are left of it.
    pub(crate) fn left(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.name);
        shell(&format!(
            "docker ps -aq --filter {label}; docker network ls -q --filter {label}"
        ))
    }

    fn image(&self) -> String {
        format!("{}:local", self.name)
    }

    /// What Compose says to these arguments.
    pub(crate) fn compose(&self, arguments: &str) -> String {
        let file = self.folder.path("compose.yml");
        let name = &self.name;
        shell(&format!(
            "docker compose --project-name {name} --file {} {arguments}",
            file.display()
        ))
    }

    /// How many containers there are. Compose itself fails when one goes while it looks.
    pub(crate) fn size(&self) -> usize {
        let label = format!("label=com.docker.compose.project={}", self.name);
        shell(&format!("docker ps -aq --filter {label}"))
            .lines()
            .count()
    }

    /// The names that Compose shows.
    pub(crate) fn shown(&self) -> Vec<String> {
        let shown = self.compose("ps --all --format '{{.Name}}'");
        let mut names: Vec<String> = shown.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// What Compose calls a container of the service `web`.
    pub(crate) fn name_of(&self, number: u32) -> String {
        format!("{}-web-{number}", self.name)
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let (name, image) = (&self.name, self.image());
        let all = format!(
            "docker ps -aq --filter label=com.docker.compose.project={name} | xargs -r docker rm -fv;
             docker network ls -q --filter label=com.docker.compose.project={name} | xargs -r docker network rm;
             docker volume ls -q --filter label=com.docker.compose.project={name} | xargs -r docker volume rm;
             docker image rm --force {image}"
        );
        let _ = Command::new("sh").args(["-c", &all]).output();
    }
}

/// What a script prints; one that fails fails the test.
#[track_caller]
pub(crate) fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output();
    let output = output.expect("there is a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{script}: {}",
        text(&output.stderr)
    );
    text(&output.stdout).trim().to_owned()
}
