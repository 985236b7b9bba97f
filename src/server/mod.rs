//! The composition root: builds every part, hands Pingora its services, owns
//! the order in which they start and stop.

mod admin;
mod bind;
mod closing;
mod control;
mod error;
mod heir;
mod identity;
mod live;
mod once;
mod origin;
mod oversight;
mod panics;
mod signals;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerOptions;
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server as Pingora};
use pingora::services::background::background_service;
use pingora::services::listening::Service;
use pingora_proxy::{HttpProxy, http_proxy};

use crate::clock;
use crate::config::Config;
use crate::control::admin::Seen;
use crate::control::autoscale::lease::Alone;
use crate::control::autoscale::{Autoscaler, Surroundings};
use crate::control::discovery::Sources;
use crate::control::health::HealthChecks;
use crate::control::lifecycle::Lifecycle;
use crate::control::reconcile::{Commands, Inherited, Lasting, Reconciler};
use crate::control::reload::{Means, Reloader, Reloads, Source};
use crate::control::timeline::{Happening, Timeline};
use crate::listen::{self, Connections, Frontend};
use crate::observe::Decisions;
use crate::observe::logging::LogGuard;
use crate::observe::metrics::Metrics;
use crate::observe::{AccessLog, Recorder};
use crate::proxy::{Doorman, Proxy, Transport};
use crate::snapshot::Published;
use crate::upstream::Journal;
use admin::Admin;
use closing::Closing;
use control::Control;
pub use error::StartError;
use heir::Heir;
use oversight::Oversight;
pub use signals::Interrupt;

/// Tries that Pingora lets one request make: more than the configuration ever allows.
const MAX_TRIES: usize = 16;

/// Events of backends that wait to be written down.
const JOURNAL_CAPACITY: usize = 4_096;

/// What Pingora gives a drain: more than the longest `drain_timeout`, after which the process ends
/// by itself. That can change while it runs, and this cannot.
const GRACE: Duration = Duration::from_secs(3_605);

/// Idle connections to backends that are kept at least, for backends that a reload may add.
const LEAST_IDLE: usize = 4_096;

/// How the process is started.
#[derive(Debug, Default)]
pub struct Options {
    /// Take the sockets over from the running process.
    pub upgrade: bool,
    /// Where the two processes meet; `None` derives it from the configuration file's path.
    pub upgrade_socket: Option<PathBuf>,
    /// What an interrupt (Ctrl-C) does.
    pub interrupt: Interrupt,
    /// Where the configuration came from, to be read again.
    pub source: Source,
    /// The process log, to be flushed at the end.
    pub log: Option<LogGuard>,
}

/// A load balancer that is ready to run.
pub struct Server {
    pingora: Pingora,
    interrupt: Interrupt,
    metrics: Arc<Metrics>,
    published: Arc<Published<Transport>>,
    lifecycle: Arc<Lifecycle>,
    reloads: Reloads,
    closing: Arc<Closing>,
}

impl Server {
    /// Builds everything `config` asks for. Nothing is served before [`Server::run`].
    pub fn new(config: Config, options: Options) -> Result<Self, StartError> {
        panics::install();
        raise_file_limit();
        let config = Arc::new(config);
        if !options.upgrade {
            bind::check(&config)?;
        }
        let metrics = Arc::new(Metrics::new());
        let (journal, events) = Journal::new(JOURNAL_CAPACITY);
        let timeline = Arc::new(Timeline::default());
        let before = runtime().map_err(StartError::Runtime)?;
        let origin = before.block_on(origin::load(&config, None))?;
        let recorder = Arc::new(recorder(&config, &metrics)?);
        // Whatever can fail has been done: from here on the process before this one may end.
        let (mut pingora, inherited) = pingora(&config, &options)?;
        let lasting = lasting(&metrics, &journal);
        let (reconciler, commands) = Reconciler::new(origin, lasting, &inherited, clock::now());
        let published = Arc::clone(reconciler.published());
        let connections = Arc::new(Connections::new(&config));
        let dropped = options.log.as_ref().map(LogGuard::dropped);
        live::report(&metrics, &published, &connections, &journal, dropped);
        metrics.config_loaded(clock::unix_seconds() as f64);

        let conf = Arc::clone(&pingora.configuration);
        let frontend = frontend(&config, &conf, &published, &connections, &recorder);
        pingora.add_service(listening(&config, frontend));
        let closing = Arc::new(Closing::new(Arc::clone(&recorder), options.log));
        let control = Control {
            published: Arc::clone(&published),
            endpoint: config.metrics.clone(),
            metrics: Arc::clone(&metrics),
            connections: Arc::clone(&connections),
            closing: Arc::clone(&closing),
        };
        pingora.add_service(background_service("control", control));
        let sources = sources(&published, &commands, &metrics, &timeline);
        pingora.add_service(background_service("discovery", sources));
        let checks = HealthChecks::new(Arc::clone(&published), Transport::check_peer);
        let lifecycle = Arc::new(Lifecycle::default());
        let clients = Arc::clone(&connections);
        let decisions = Arc::clone(recorder.decisions());
        let means = means(&reconciler, &metrics, connections, recorder, &timeline);
        let (reloader, reloads) = Reloader::new(means, &config, options.source);
        let seen = seen(&timeline, &checks, clients, &reloads, decisions);
        let autoscaler = autoscaler(&published, &commands, &seen, &metrics, &lifecycle);
        pingora.add_service(background_service("autoscaler", autoscaler));
        let parts = admin::Parts {
            reconciler,
            commands,
            reloader,
            seen,
        };
        let (phase, counts) = (Arc::clone(&lifecycle), Arc::clone(&metrics));
        let admin = Admin::new(config.admin.clone(), parts, phase, counts);
        pingora.add_service(background_service("admin", admin));
        let oversight = Oversight::new(&published, &metrics, &timeline, events);
        pingora.add_service(background_service("oversight", oversight));
        pingora.add_service(background_service("health checks", checks));
        Ok(Self {
            pingora,
            interrupt: options.interrupt,
            metrics,
            published,
            lifecycle,
            reloads,
            closing,
        })
    }

    /// The metrics, for a display in the same process.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Serves until a signal ends it.
    pub fn run(self) {
        for listener in &self.published.load().config().listeners {
            tracing::info!(listener = listener.name, address = %listener.address, "listening");
        }
        let socket = PathBuf::from(&self.pingora.configuration.upgrade_sock);
        self.pingora.run(RunArgs {
            shutdown_signal: Box::new(signals::Signals::new(
                self.interrupt,
                socket,
                self.lifecycle,
                self.reloads,
            )),
        });
        tracing::info!("stopped");
        self.closing.close();
    }
}

fn lasting(metrics: &Arc<Metrics>, journal: &Journal) -> Lasting {
    Lasting {
        metrics: Arc::clone(metrics),
        journal: journal.clone(),
        random: rand::random(),
        seed: rand::random(),
    }
}

fn raise_file_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// Where the admin API looks.
fn seen(
    timeline: &Arc<Timeline>,
    checks: &HealthChecks<Transport>,
    connections: Arc<Connections>,
    reloads: &Reloads,
    decisions: Arc<Decisions>,
) -> Seen {
    Seen {
        decisions,
        timeline: Arc::clone(timeline),
        traffic: Arc::default(),
        autoscaler: Arc::default(),
        checks: Arc::clone(checks.latest()),
        connections: Box::new(move || connections.total()),
        reloads: Some(reloads.clone()),
    }
}

fn recorder(config: &Config, metrics: &Metrics) -> Result<Recorder, StartError> {
    let open = |log| AccessLog::open(log, metrics.access_log_dropped());
    let log = config.access_log.as_ref().map(open).transpose();
    Ok(Recorder::new(log.map_err(StartError::AccessLog)?))
}

/// For what is waited for before anything is served.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn sources(
    published: &Arc<Published<Transport>>,
    commands: &Commands,
    metrics: &Arc<Metrics>,
    timeline: &Arc<Timeline>,
) -> Sources<Transport> {
    let (published, metrics) = (Arc::clone(published), Arc::clone(metrics));
    Sources::new(published, commands.clone(), metrics, Arc::clone(timeline))
}

fn autoscaler(
    published: &Arc<Published<Transport>>,
    commands: &Commands,
    seen: &Seen,
    metrics: &Arc<Metrics>,
    lifecycle: &Arc<Lifecycle>,
) -> Autoscaler<Transport> {
    Autoscaler::new(Surroundings {
        published: Arc::clone(published),
        commands: commands.clone(),
        traffic: Arc::clone(&seen.traffic),
        timeline: Arc::clone(&seen.timeline),
        metrics: Arc::clone(metrics),
        board: Arc::clone(&seen.autoscaler),
        lease: Arc::new(Alone),
        lifecycle: Arc::clone(lifecycle),
    })
}

/// What is needed to go over to another configuration.
fn means(
    reconciler: &Reconciler<Transport>,
    metrics: &Arc<Metrics>,
    connections: Arc<Connections>,
    recorder: Arc<Recorder>,
    timeline: &Arc<Timeline>,
) -> Means<Transport> {
    let timeline = Arc::clone(timeline);
    let published = Arc::clone(reconciler.published());
    Means {
        loads: reconciler.loads(),
        loader: Box::new(move |config| {
            let running = published.load().shared_config();
            Box::pin(origin::reload(config, running))
        }),
        adapter: Box::new(move |config| {
            connections.adapt(config);
            recorder.adapt(config.access_log.as_ref());
        }),
        witness: Box::new(move |trigger, result| {
            timeline.note(Happening::Reload {
                trigger,
                result: result.map(str::to_owned).map_err(<[String]>::to_vec),
            });
        }),
        metrics: Arc::clone(metrics),
    }
}

/// Pingora, with the sockets of the running process where they are taken over, and what that
/// process was told.
fn pingora(config: &Config, options: &Options) -> Result<(Pingora, Inherited), StartError> {
    let opt = Opt {
        upgrade: options.upgrade,
        ..Opt::default()
    };
    let conf = pingora_conf(config, options);
    let mut pingora = Pingora::new_with_opt_and_conf(opt, conf);
    let admin = config.admin.clone().filter(|_| options.upgrade);
    let heir = admin
        .map(|admin| Heir::begin(admin, runtime()?))
        .transpose()
        .map_err(StartError::Runtime)?;
    pingora.bootstrap();
    Ok((pingora, heir.map(Heir::end).unwrap_or_default()))
}

fn listening(
    config: &Config,
    frontend: Frontend<HttpProxy<Proxy>, Doorman>,
) -> Service<Frontend<HttpProxy<Proxy>, Doorman>> {
    let mut service = Service::new("http".to_owned(), frontend);
    for listener in &config.listeners {
        service.add_listener(listen::endpoint(listener));
    }
    service
}

/// Takes connections, and serves what comes through them.
fn frontend(
    config: &Config,
    conf: &Arc<ServerConf>,
    published: &Arc<Published<Transport>>,
    connections: &Arc<Connections>,
    recorder: &Arc<Recorder>,
) -> Frontend<HttpProxy<Proxy>, Doorman> {
    let app = Arc::new(app(config, conf, published, connections, recorder));
    let doorman = Doorman::new(Arc::clone(published), Arc::clone(recorder));
    Frontend::new(app, Arc::clone(connections), doorman)
}

fn app(
    config: &Config,
    conf: &Arc<ServerConf>,
    published: &Arc<Published<Transport>>,
    connections: &Arc<Connections>,
    recorder: &Arc<Recorder>,
) -> HttpProxy<Proxy> {
    let proxy = Proxy::new(
        Arc::clone(published),
        Arc::clone(connections),
        Arc::clone(recorder),
    );
    let mut app = http_proxy(conf, proxy);
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = config.listeners.iter().map(|l| l.keepalive).max();
    app.server_options = Some(options);
    // Pingora has one limit for all HTTP/2 connections: the largest any listener allows.
    let header_bytes = config.listeners.iter().map(|l| l.max_header_bytes).max();
    let mut h2 = default_h2_options();
    h2.max_header_list_size(u32::try_from(header_bytes.unwrap_or(0)).unwrap_or(u32::MAX));
    app.h2_options = Some(h2);
    app
}

fn pingora_conf(config: &Config, options: &Options) -> ServerConf {
    let workers = config.server.workers.get();
    let idle: usize = config
        .upstreams
        .iter()
        .map(|upstream| {
            let backends = upstream.backends.len() + upstream.discovery.max_backends();
            upstream.max_idle_per_backend * backends
        })
        .sum();
    let socket = options
        .upgrade_socket
        .clone()
        .unwrap_or_else(|| bind::upgrade_socket(config, options.source.path.as_deref()));
    ServerConf {
        threads: workers,
        listener_tasks_per_fd: workers,
        max_retries: MAX_TRIES,
        // Pingora multiplies by the number of threads.
        upstream_keepalive_pool_size: idle.max(LEAST_IDLE).div_ceil(workers).max(64),
        upgrade_sock: socket.to_string_lossy().into_owned(),
        grace_period_seconds: Some(GRACE.as_secs()),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    }
}
