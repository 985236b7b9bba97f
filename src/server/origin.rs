//! What a configuration names, looked up and read: at the start, and for each reload.

use std::sync::Arc;

use super::error::StartError;
use super::identity;
use crate::config::Config;
use crate::control::discovery;
use crate::control::reconcile::Origin;
use crate::proxy::{Identity, Transport};

/// Everything `config` names, as a whole or not at all; of its sources, what those see that are not
/// asked for `running`.
pub(super) async fn load(
    config: &Arc<Config>,
    running: Option<&Config>,
) -> Result<Origin<Transport>, StartError> {
    let configured = discovery::resolve(&config.upstreams).await?;
    let identities = config
        .upstreams
        .iter()
        .map(identity::load)
        .collect::<Result<Vec<Identity>, StartError>>()?;
    let sightings = discovery::first(config, running).await;
    let own = Arc::clone(config);
    Ok(Origin {
        config: Arc::clone(config),
        configured,
        sightings,
        transports: Box::new(move |index, member| {
            Transport::new(&own.upstreams[index], &identities[index], member)
        }),
    })
}

/// The same for a process that serves already; what is wrong is said as in a start that fails.
pub(super) async fn reload(
    config: Arc<Config>,
    running: Arc<Config>,
) -> Result<Origin<Transport>, Vec<String>> {
    let loaded = load(&config, Some(&running)).await;
    loaded.map_err(|error| vec![error.to_string()])
}
