//! Which programs a configuration has Evenkeel run.
//!
//! Whoever may call the API may steer traffic, but not run programs on this
//! machine: those come from the file, which only its owner can write. So a
//! configuration that comes by another way may name no program, and no
//! arguments, that the file does not.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::{Config, Driver};

/// Programs with their arguments.
#[derive(Debug, Default)]
pub(super) struct Programs(BTreeSet<(PathBuf, Vec<String>)>);

impl Programs {
    pub(super) fn of(config: &Config) -> Self {
        let targets = config.autoscaler.iter().flat_map(|all| &all.targets);
        let programs = targets.filter_map(|target| match &target.driver {
            Driver::Exec {
                program, arguments, ..
            } => Some((program.clone(), arguments.clone())),
            Driver::Docker { .. } | Driver::Swarm { .. } | Driver::Webhook { .. } => None,
        });
        Self(programs.collect())
    }

    /// Everything that is wrong with `wanted`, where these are the file's.
    pub(super) fn allow(&self, wanted: &Config) -> Result<(), Vec<String>> {
        let wanted = Self::of(wanted).0;
        let foreign = wanted.difference(&self.0).map(|(program, arguments)| {
            let call = [program.display().to_string()]
                .into_iter()
                .chain(arguments.iter().cloned());
            let call = call.collect::<Vec<_>>().join(" ");
            format!(
                "autoscaler.targets: `{call}` stands in no `driver: {{ type: exec }}` of the \
                 configuration file; programs come from there alone, not through the API"
            )
        });
        let foreign: Vec<String> = foreign.collect();
        if foreign.is_empty() {
            Ok(())
        } else {
            Err(foreign)
        }
    }
}
