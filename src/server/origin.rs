//! What a configuration names, looked up and read: at the start, and for each reload.

use std::sync::Arc;

use super::error::StartError;
use super::identity;
use crate::config::Config;
use crate::control::discovery;
use crate::control::reconcile::Origin;
use crate::proxy::{Identity, Transport};

/// Everything `config` names, as a whole or not at all.
pub(super) async fn load(config: &Arc<Config>) -> Result<Origin<Transport>, StartError> {
    let configured = discovery::resolve(&config.upstreams).await?;
    let identities = config
        .upstreams
        .iter()
        .map(identity::load)
        .collect::<Result<Vec<Identity>, StartError>>()?;
    let own = Arc::clone(config);
    Ok(Origin {
        config: Arc::clone(config),
        configured,
        transports: Box::new(move |index, member| {
            Transport::new(&own.upstreams[index], &identities[index], member)
        }),
    })
}

/// The same for a process that serves already; what is wrong is said as in a start that fails.
pub(super) async fn reload(config: Arc<Config>) -> Result<Origin<Transport>, Vec<String>> {
    load(&config).await.map_err(|error| vec![error.to_string()])
}
