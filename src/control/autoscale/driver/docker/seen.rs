//! A container of the service, as the Engine describes it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use bollard::models::{
    ContainerInspectResponse, ContainerState, ContainerStateStatusEnum as Status, HealthStatusEnum,
};

use super::{labels, replica};
use crate::control::autoscale::driver::contract::{Instance, InstanceState};

/// What Docker waits for where nothing else is said.
const USUAL_GRACE: Duration = Duration::from_secs(10);

/// The longest that it is waited for a container to end.
const MAX_GRACE: Duration = Duration::from_secs(30);

/// A container.
#[derive(Clone, Debug)]
pub(super) struct Seen(pub(super) ContainerInspectResponse);

impl Seen {
    pub(super) fn label(&self, label: &str) -> Option<&str> {
        labels::of(self.0.config.as_ref()?.labels.as_ref(), label)
    }

    pub(super) fn id(&self) -> &str {
        self.0.id.as_deref().unwrap_or_default()
    }

    /// Whether it was made and never started.
    pub(super) fn is_new(&self) -> bool {
        self.state() == InstanceState::Created
    }

    /// Whether it was made by Compose and not here.
    pub(super) fn is_by_compose(&self) -> bool {
        self.label(labels::AUTOSCALER).is_none()
    }

    pub(super) fn number(&self) -> u32 {
        let number = self.label(labels::NUMBER);
        number.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub(super) fn runs(&self) -> bool {
        matches!(
            self.state(),
            InstanceState::Running | InstanceState::Starting
        )
    }

    /// How long it may take to end: its own `stop_grace_period`, within bounds.
    pub(super) fn grace(&self) -> Duration {
        let asked = self
            .0
            .config
            .as_ref()
            .and_then(|config| config.stop_timeout);
        let asked = asked.and_then(|seconds| u64::try_from(seconds).ok());
        asked
            .map_or(USUAL_GRACE, Duration::from_secs)
            .min(MAX_GRACE)
    }

    pub(super) fn instance(&self) -> Instance {
        let restarts = self.0.restart_count.unwrap_or(0);
        Instance {
            id: self.id().to_owned(),
            name: replica::name(&self.0).to_owned(),
            number: self.number(),
            created: self.created(),
            state: self.state(),
            addresses: self.addresses(),
            restarts: u32::try_from(restarts).unwrap_or(0),
            own: self.label(labels::AUTOSCALER).is_some(),
        }
    }

    fn created(&self) -> u64 {
        let time = self.0.created.as_deref();
        let time = time.and_then(|text| humantime::parse_rfc3339(text).ok());
        let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_secs())
    }

    fn state(&self) -> InstanceState {
        let unknown = ContainerState::default();
        let state = self.0.state.as_ref().unwrap_or(&unknown);
        let code = state.exit_code.unwrap_or(0);
        match state.status {
            Some(Status::CREATED) => InstanceState::Created,
            Some(Status::RUNNING) if is_starting(state) => InstanceState::Starting,
            Some(Status::RUNNING) => InstanceState::Running,
            Some(Status::PAUSED) => InstanceState::Paused,
            Some(Status::RESTARTING) => InstanceState::Restarting { code },
            Some(Status::REMOVING | Status::STOPPING) => InstanceState::Removing,
            Some(Status::EXITED | Status::DEAD | Status::EMPTY) | None => {
                InstanceState::Exited { code }
            }
        }
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let settings = self.0.network_settings.as_ref();
        let networks: BTreeMap<_, _> = settings
            .and_then(|settings| settings.networks.as_ref())
            .into_iter()
            .flatten()
            .collect();
        let texts = networks
            .values()
            .flat_map(|network| [&network.ip_address, &network.global_ipv6_address]);
        texts
            .flatten()
            .filter_map(|text| text.parse().ok())
            .collect()
    }
}

fn is_starting(state: &ContainerState) -> bool {
    let health = state.health.as_ref();
    health.and_then(|health| health.status) == Some(HealthStatusEnum::STARTING)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(value: &Value) -> Seen {
        Seen(serde_json::from_value(value.clone()).expect("the Engine's form"))
    }

    fn state(state: &Value) -> InstanceState {
        seen(&json!({ "State": state })).state()
    }

    #[test]
    fn every_state_of_the_engine_has_a_meaning() {
        let status = |status: &str| state(&json!({ "Status": status, "ExitCode": 7 }));
        assert_eq!(status("created"), InstanceState::Created);
        assert_eq!(status("running"), InstanceState::Running);
        assert_eq!(status("paused"), InstanceState::Paused);
        assert_eq!(status("restarting"), InstanceState::Restarting { code: 7 });
        assert_eq!(status("removing"), InstanceState::Removing);
        assert_eq!(status("exited"), InstanceState::Exited { code: 7 });
        assert_eq!(status("dead"), InstanceState::Exited { code: 7 });
        let checked =
            |health: &str| state(&json!({ "Status": "running", "Health": { "Status": health } }));
        assert_eq!(checked("starting"), InstanceState::Starting);
        assert_eq!(checked("healthy"), InstanceState::Running);
        assert_eq!(checked("unhealthy"), InstanceState::Running);
    }

    #[test]
    fn the_grace_is_its_own_within_bounds() {
        let grace = |timeout: Value| seen(&json!({ "Config": { "StopTimeout": timeout } })).grace();
        assert_eq!(grace(json!(5)).as_secs(), 5);
        assert_eq!(grace(json!(null)), USUAL_GRACE);
        assert_eq!(grace(json!(-1)), USUAL_GRACE, "for ever, in Docker's terms");
        assert_eq!(grace(json!(600)), MAX_GRACE);
    }

    #[test]
    fn an_instance_says_when_it_was_made_and_where_it_is() {
        let instance = seen(&json!({
            "Id": "abc", "Name": "/app-web-3", "Created": "2024-01-01T00:00:10.123456789Z",
            "RestartCount": 2, "State": { "Status": "running" },
            "Config": { "Labels": { "com.docker.compose.container-number": "3" } },
            "NetworkSettings": { "Networks": {
                "b": { "IPAddress": "172.19.0.2", "GlobalIPv6Address": "fd00::2" },
                "a": { "IPAddress": "172.18.0.2", "GlobalIPv6Address": "" },
            } },
        }))
        .instance();
        assert_eq!((instance.name.as_str(), instance.number), ("app-web-3", 3));
        assert_eq!((instance.created, instance.restarts), (1_704_067_210, 2));
        let addresses: Vec<String> = instance.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["172.18.0.2", "172.19.0.2", "fd00::2"]);
    }

    #[test]
    fn what_the_engine_leaves_out_does_no_harm() {
        let instance = seen(&json!({ "Id": "abc", "Created": "yesterday" })).instance();
        assert_eq!((instance.created, instance.number), (0, 0));
        assert_eq!(instance.state, InstanceState::Exited { code: 0 });
    }
}
