use std::sync::Mutex;

use super::super::reconcile::tests::resolved_backends;
use super::super::reconcile::{Inherited, Lasting, Reconciler};
use super::*;
use crate::clock::Moment;
use crate::snapshot::Published;
use crate::upstream::Journal;

const TEXT: &str = "listeners: [{ name: l, address: '127.0.0.1:1' }]\n\
    routes: [{ name: r, upstream: web }]\n\
    upstreams: { web: { backends: [{ address: '192.0.2.1:1', weight: 1 }] } }\n\
    admin: null\n";

/// A reloader that goes to and fro, and what it leads to.
struct Bench {
    reloads: Reloads,
    published: Arc<Published<()>>,
    metrics: Arc<Metrics>,
    /// What the adapter was given, as numbers of upstreams.
    adapted: Arc<Mutex<Vec<usize>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    /// Starts with [`TEXT`]; a configuration with the upstream `broken` cannot be looked up.
    fn start(path: Option<PathBuf>) -> Self {
        let parsed = config::load(TEXT, "test", &|_| None).expect("valid");
        let config = Arc::new(parsed);
        let metrics = Arc::new(Metrics::new());
        let lasting = Lasting {
            metrics: Arc::clone(&metrics),
            journal: Journal::default(),
            random: [7; 32],
            seed: 1,
        };
        let origin = |config: Arc<Config>| Origin {
            configured: resolved_backends(&config),
            sightings: Vec::new(),
            config,
            transports: Box::new(|_, _| ()),
        };
        let first = origin(Arc::clone(&config));
        let (mut reconciler, commands) =
            Reconciler::new(first, lasting, &Inherited::default(), Moment::ZERO);
        let published = Arc::clone(reconciler.published());
        let adapted = Arc::<Mutex<Vec<usize>>>::default();
        let told = Arc::<Mutex<Vec<String>>>::default();
        let (adapts, tells) = (Arc::clone(&adapted), Arc::clone(&told));
        let means = Means {
            loads: reconciler.loads(),
            loader: Box::new(move |config| {
                let broken = config.upstreams.iter().any(|one| one.name == "broken");
                let loaded = if broken {
                    Err(vec!["cannot look that up".to_owned()])
                } else {
                    Ok(origin(config))
                };
                Box::pin(std::future::ready(loaded))
            }),
            adapter: Box::new(move |config| {
                adapts.lock().unwrap().push(config.upstreams.len());
            }),
            witness: Box::new(move |trigger, result| {
                let words = match result {
                    Ok(summary) => summary.to_owned(),
                    Err(errors) => errors.join("; "),
                };
                tells.lock().unwrap().push(format!("{trigger}: {words}"));
            }),
            metrics: Arc::clone(&metrics),
        };
        let source = Source {
            path,
            text: TEXT.to_owned(),
        };
        let (reloader, reloads) = Reloader::new(means, &config, source);
        tokio::spawn(async move {
            let _commands = commands;
            tokio::join!(reconciler.run(), reloader.run());
        });
        Self {
            reloads,
            published,
            metrics,
            adapted,
            told,
        }
    }

    fn weight(&self) -> u32 {
        self.published.load().groups()[0].upstream.members()[0].weight
    }

    fn exposes(&self, line: &str) -> bool {
        self.metrics.render().lines().any(|one| one == line)
    }
}

fn heavier(weight: u32) -> String {
    TEXT.replace("weight: 1", &format!("weight: {weight}"))
}

#[tokio::test]
async fn a_replacement_is_in_force_when_it_is_answered() {
    let bench = Bench::start(None);
    let planned = bench.reloads.plan(heavier(9)).await.expect("valid");
    assert_eq!(bench.weight(), 1, "a plan changes nothing");
    let plan = bench.reloads.replace(heavier(9)).await.expect("valid");
    assert_eq!(plan, planned);
    assert_eq!((plan.changes.len(), bench.weight()), (1, 9));
    let again = bench.reloads.replace(heavier(9)).await.expect("valid");
    assert!(again.no_change);
    let status = bench.reloads.status();
    assert!(status.replaced && *status.text == *heavier(9));
    assert_eq!(*bench.adapted.lock().unwrap(), [1, 1]);
    assert_eq!(
        *bench.told.lock().unwrap(),
        ["api: 1 backend changed", "api: nothing changed"]
    );
    assert!(bench.exposes("evenkeel_config_last_reload_success 1"));
    assert!(bench.exposes("evenkeel_config_reloads_total{result=\"applied\"} 2"));
}

#[tokio::test]
async fn a_wrong_one_changes_nothing_and_is_told_whole() {
    let bench = Bench::start(None);
    let wrong = heavier(9).replace("name: r", "name: r, timeuot: 1s, upstrem: x");
    let Err(Rejected::Invalid(errors)) = bench.reloads.replace(wrong.clone()).await else {
        panic!("it is wrong");
    };
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].starts_with("config:2:"), "{errors:?}");
    assert_eq!(bench.weight(), 1);
    let last = bench.reloads.status().last.clone().expect("there was one");
    assert_eq!((last.trigger, &last.errors), ("api", &errors));
    assert!(bench.exposes("evenkeel_config_last_reload_success 0"));
    assert!(bench.exposes("evenkeel_config_reloads_total{result=\"refused\"} 1"));
    let planned = bench.reloads.plan(wrong).await;
    assert_eq!(planned, Err(Rejected::Invalid(errors)));
    assert_eq!(bench.told.lock().unwrap().len(), 1, "a plan is no try");
    let back = bench.reloads.replace(heavier(2)).await;
    assert!(
        back.is_ok()
            && bench
                .reloads
                .status()
                .last
                .as_ref()
                .unwrap()
                .errors
                .is_empty()
    );
    assert!(bench.exposes("evenkeel_config_last_reload_success 1"));
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_refused_before_anything_changes() {
    let bench = Bench::start(None);
    let more = "upstreams: { broken: { backends: [{ address: '192.0.2.7:1' }] }, web:";
    let broken = heavier(9).replace("upstreams: { web:", more);
    let refused = bench.reloads.replace(broken).await;
    let errors = vec!["cannot look that up".to_owned()];
    assert_eq!(refused, Err(Rejected::Invalid(errors)));
    assert_eq!(bench.weight(), 1);
    assert!(bench.adapted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_file_there_is_nothing_to_go_back_to() {
    let bench = Bench::start(None);
    assert_eq!(bench.reloads.reload().await, Err(Rejected::NoFile));
}

#[tokio::test]
async fn the_file_is_read_again_on_request_and_when_it_changes() {
    let name = format!("evenkeel-reload-{}.yaml", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, TEXT).unwrap();
    let bench = Bench::start(Some(path.clone()));
    bench.reloads.replace(heavier(5)).await.expect("valid");
    let plan = bench.reloads.reload().await.expect("valid");
    assert_eq!(
        (plan.changes.len(), bench.weight()),
        (1, 1),
        "the file wins"
    );
    let mut published = bench.published.changes();
    std::fs::write(&path, heavier(3)).unwrap();
    published.changed().await.expect("it is published");
    assert_eq!(bench.weight(), 3);
    std::fs::remove_file(&path).unwrap();
    let Err(Rejected::Invalid(errors)) = bench.reloads.reload().await else {
        panic!("it is gone");
    };
    assert!(errors[0].contains("cannot be read"), "{errors:?}");
    assert_eq!(bench.weight(), 3);
}

#[tokio::test]
async fn nobody_waits_for_a_task_that_is_gone() {
    let (sender, orders) = mpsc::channel(1);
    let status = Status {
        text: "".into(),
        loaded_at: 0,
        replaced: false,
        path: None,
        last: None,
        needs_upgrade: Vec::new(),
    };
    let reloads = Reloads::new(sender, Arc::new(Shared::new(status)));
    drop(orders);
    assert_eq!(reloads.reload().await, Err(Rejected::Ended));
}
