//! The one table of metric names, types, labels and meanings.
//!
//! The exposition is written from it and so is `docs/metrics.md`, so that a
//! name cannot be exposed without being documented.

use std::fmt::Write as _;

use super::cell::{LATENCY_BOUNDS, OVERHEAD_BOUNDS};

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until its series is removed or the process restarts.
    Counter,
    /// A value of this moment.
    Gauge,
    /// A distribution over these bounds, in microseconds.
    Histogram(&'static [u64]),
}

const LATENCY: Kind = Kind::Histogram(LATENCY_BOUNDS);
const OVERHEAD: Kind = Kind::Histogram(OVERHEAD_BOUNDS);

macro_rules! families {
    ($($variant:ident: $kind:expr, $name:literal, [$($label:literal),*], $help:literal;)*) => {
        /// A metric family.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Family { $(#[doc = $help] $variant,)* }

        impl Family {
            /// Every family, in the order of their discriminants.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The full name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it counts or shows.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }

            /// Its label names, in the order in which values are given.
            #[must_use]
            pub const fn labels(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($label),*],)* }
            }

            /// Its kind.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => $kind,)* }
            }
        }
    };
}

families! {
    Requests: Kind::Counter, "evenkeel_requests_total", ["listener", "route", "upstream", "method", "code"],
        "Requests finished, by the status the client got or would have got.";
    RequestDuration: LATENCY, "evenkeel_request_duration_seconds", ["route", "upstream", "code_class"],
        "Time from the request's header to the end of the response.";
    ProxyOverhead: OVERHEAD, "evenkeel_proxy_overhead_seconds", ["route"],
        "Part of the request's time that was spent neither waiting for a backend, the client or a free slot, nor in a backoff.";
    Rejects: Kind::Counter, "evenkeel_rejects_total", ["route", "reason"],
        "Requests answered, or given up, without a complete response of a backend.";
    BackendRequests: Kind::Counter, "evenkeel_backend_requests_total", ["upstream", "backend", "code_class"],
        "Attempts to have a request answered by the backend.";
    BackendResponse: LATENCY, "evenkeel_backend_response_seconds", ["upstream", "backend"],
        "Time from the request being sent to the first byte of the backend's response.";
    BackendConnect: LATENCY, "evenkeel_backend_connect_seconds", ["upstream", "backend"],
        "Time to establish a new connection to the backend, TLS included.";
    BackendPicks: Kind::Counter, "evenkeel_backend_picks_total", ["upstream", "backend", "reason"],
        "Times the backend was chosen, by what decided it.";
    BackendInFlight: Kind::Gauge, "evenkeel_backend_in_flight", ["upstream", "backend"],
        "Requests in flight to the backend.";
    BackendConnections: Kind::Gauge, "evenkeel_backend_connections", ["upstream", "backend"],
        "Open connections to the backend, idle ones included.";
    BackendUp: Kind::Gauge, "evenkeel_backend_up", ["upstream", "backend"],
        "Whether the backend may get requests (1) or not (0).";
    BackendWeight: Kind::Gauge, "evenkeel_backend_weight", ["upstream", "backend"],
        "Weight by which the backend is chosen.";
    BackendState: Kind::Gauge, "evenkeel_backend_state", ["upstream", "backend", "state"],
        "The backend's state: 1 for the state it is in, 0 for the others.";
    BackendStateReason: Kind::Gauge, "evenkeel_backend_state_reason", ["upstream", "backend", "reason"],
        "Why the backend is in its state: 1 for the reason there is; the others have no series.";
    BackendShare: Kind::Gauge, "evenkeel_backend_share", ["upstream", "backend"],
        "Part of its weight that the backend gets for now: below 1 in a slow start or as a suspect, 0 when it is out.";
    Ejections: Kind::Counter, "evenkeel_ejections_total", ["upstream", "backend", "reason"],
        "Times the backend was taken out for what requests to it came to.";
    OutlierObserved: Kind::Counter, "evenkeel_outlier_observed_total", ["upstream", "backend", "reason"],
        "Times the backend would have been taken out, were outliers not only observed.";
    AlgorithmSwitches: Kind::Counter, "evenkeel_algorithm_switches_total", ["upstream", "algorithm"],
        "Times `adaptive` changed to this algorithm.";
    EventsLost: Kind::Counter, "evenkeel_events_lost_total", [],
        "Events of backends that nobody could write down in time.";
    HealthCheckDuration: LATENCY, "evenkeel_health_check_duration_seconds", ["upstream", "backend"],
        "Time that health checks of the backend took, failed ones included.";
    HealthChecks: Kind::Counter, "evenkeel_health_checks_total", ["upstream", "backend", "result"],
        "Health checks of the backend, by what they came to.";
    DiscoveryUp: Kind::Gauge, "evenkeel_discovery_up", ["upstream", "source"],
        "Whether the source of backends could be asked the last time (1) or not (0); then its last known backends stay.";
    DiscoveryBackends: Kind::Gauge, "evenkeel_discovery_backends", ["upstream", "source"],
        "Backends that the source last brought, those included that another source or the configuration has too.";
    DiscoverySuccess: Kind::Gauge, "evenkeel_discovery_last_success_timestamp_seconds", ["upstream", "source"],
        "Unix time at which the source was last asked with success.";
    AutoscalerMin: Kind::Gauge, "evenkeel_autoscaler_min", ["upstream"],
        "The fewest backends that there may be.";
    AutoscalerMax: Kind::Gauge, "evenkeel_autoscaler_max", ["upstream"],
        "The most backends that there may be.";
    AutoscalerHeld: Kind::Gauge, "evenkeel_autoscaler_held", ["upstream"],
        "Whether something kept the last decision from being carried out (1) or not (0): a dry run, a pause, the actions of the hour.";
    AutoscalerPaused: Kind::Gauge, "evenkeel_autoscaler_paused", ["upstream"],
        "Whether it is paused (1) or not (0).";
    AutoscalerCurrent: Kind::Gauge, "evenkeel_autoscaler_current", ["upstream"],
        "Backends that the driver had at the last decision, without those on their way out.";
    AutoscalerReady: Kind::Gauge, "evenkeel_autoscaler_ready", ["upstream"],
        "Of them, those that served.";
    AutoscalerDesired: Kind::Gauge, "evenkeel_autoscaler_desired", ["upstream"],
        "Backends that the last decision wants in the end.";
    AutoscalerRecommendation: Kind::Gauge, "evenkeel_autoscaler_recommendation", ["upstream", "source"],
        "Backends needed, not rounded: by the load now (reactive), or by the forecast (predicted).";
    AutoscalerForecastError: Kind::Gauge, "evenkeel_autoscaler_forecast_error_ratio", ["upstream"],
        "Mean absolute error of the forecasts that came due, as a share of what was needed.";
    AutoscalerDecided: Kind::Gauge, "evenkeel_autoscaler_last_decision_timestamp_seconds", ["upstream"],
        "Unix time of the last decision.";
    AutoscalerDecisions: Kind::Counter, "evenkeel_autoscaler_decisions_total", ["upstream", "direction", "reason"],
        "Decisions that said something that the one before did not.";
    AutoscalerActions: Kind::Counter, "evenkeel_autoscaler_actions_total", ["upstream", "direction"],
        "Changes of size that were made.";
    AutoscalerFailures: Kind::Counter, "evenkeel_autoscaler_failures_total", ["upstream", "step"],
        "Calls to the driver that failed, and backends that did not start.";
    Retries: Kind::Counter, "evenkeel_retries_total", ["upstream", "reason"],
        "Attempts that were repeated on another backend, by why the first one failed.";
    RetryBudgetExhausted: Kind::Counter, "evenkeel_retry_budget_exhausted_total", ["upstream"],
        "Retries that were not made because the retry budget was spent.";
    PoolReuse: Kind::Counter, "evenkeel_pool_reuse_total", ["upstream", "reused"],
        "Attempts on a kept connection (true) or on a new one (false).";
    InFlightLimit: Kind::Gauge, "evenkeel_backend_in_flight_limit", ["upstream"],
        "Requests that may be in flight to each backend of the upstream.";
    QueueWaiting: Kind::Gauge, "evenkeel_queue_waiting", ["upstream"],
        "Requests waiting for a free slot of a backend.";
    QueueWait: LATENCY, "evenkeel_queue_wait_seconds", ["upstream"],
        "Time that requests which had to wait for a free slot waited.";
    AlgorithmActive: Kind::Gauge, "evenkeel_algorithm_active", ["upstream", "algorithm"],
        "The upstream's algorithm: 1 for the one in use, 0 for the others.";
    AlgorithmRequests: Kind::Counter, "evenkeel_algorithm_requests_total", ["upstream", "algorithm"],
        "Attempts whose backend was chosen under this algorithm.";
    AlgorithmResponse: LATENCY, "evenkeel_algorithm_response_seconds", ["upstream", "algorithm"],
        "Time to the first byte of responses from backends chosen under this algorithm.";
    ActiveConnections: Kind::Gauge, "evenkeel_active_connections", ["listener"],
        "Open client connections.";
    Bytes: Kind::Counter, "evenkeel_bytes_total", ["listener", "direction"],
        "Body bytes received from clients (in) and sent to them (out).";
    AccessLogDropped: Kind::Counter, "evenkeel_access_log_dropped_total", [],
        "Access log lines lost because the queue was full or writing failed.";
    LogDropped: Kind::Counter, "evenkeel_log_dropped_total", [],
        "Process log lines lost because the queue was full.";
    ConfigReloadSuccess: Kind::Gauge, "evenkeel_config_last_reload_success", [],
        "Whether the configuration was valid when it was last loaded (1) or not (0).";
    ConfigReloadTimestamp: Kind::Gauge, "evenkeel_config_last_reload_timestamp_seconds", [],
        "Unix time at which a valid configuration was last loaded.";
    ConfigReloads: Kind::Counter, "evenkeel_config_reloads_total", ["result"],
        "Configurations that were to replace the running one, by what became of them: applied or refused.";
    CertificateExpiry: Kind::Gauge, "evenkeel_certificate_expiry_timestamp_seconds", ["certificate"],
        "Unix time at which the first certificate of a chain that Evenkeel shows ends.";
    BuildInfo: Kind::Gauge, "evenkeel_build_info", ["version"],
        "Always 1; the label names the version.";
    ProcessCpu: Kind::Counter, "process_cpu_seconds_total", [],
        "User and system CPU time of the process.";
    ProcessResident: Kind::Gauge, "process_resident_memory_bytes", [],
        "Resident memory of the process.";
    ProcessVirtual: Kind::Gauge, "process_virtual_memory_bytes", [],
        "Virtual memory of the process.";
    ProcessOpenFds: Kind::Gauge, "process_open_fds", [],
        "Open file descriptors of the process.";
    ProcessMaxFds: Kind::Gauge, "process_max_fds", [],
        "File descriptors the process may open.";
    ProcessThreads: Kind::Gauge, "process_threads", [],
        "Threads of the process.";
    ProcessStart: Kind::Gauge, "process_start_time_seconds", [],
        "Unix time at which the process started.";
}

const INTRODUCTION: &str = "\
# Metrics

Generated from `src/observe/metrics/family.rs`; a test compares the two.

`GET /metrics` answers in the Prometheus text format. Units are seconds and bytes; there are no averages.
A series appears with its first event; only counters whose zero says something (bytes, the retry budget, connection
reuse, lost log lines, reloads) and one-hot gauges are there from the start. The series of a backend, route or upstream that
leaves the configuration leave with it; those that stay keep their counts.

Five upstreams of twenty backends behind ten routes that lead to each of them make about 13,300 series once everything
has happened everywhere: 80 for a backend, 20 for a class of answers of a route and upstream. A test holds them below
15,000.

";

const LABELS: &str = "
## Labels

| label | values |
|---|---|
| `listener`, `route`, `upstream` | names from the configuration; `route` and `upstream` are `-` where a request had none |
| `backend` | the backend's `host:port` |
| `method` | GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH; anything else is `OTHER` |
| `code` | the status, 100 to 599; anything else is `other` |
| `code_class` | `1xx` to `5xx`, or `other`; for a backend also `failed` (no response: not connected, reset, timed out) and `cancelled` (the client left first) |
| `reason` | of a reject: the word in `X-Evenkeel-Reason`; of a pick or a retry: what decided it; beyond 16 words `other`; of a decision: [a word](autoscaler.md#what-it-says) |
| `source` | of backends: the type of the source and what it looks at, such as `dns:app.internal:5000`; of a recommendation: `reactive`, `predicted` |
| `result` | of a check: `passed`, `refused` (nobody listens at the backend's port), `timeout`, `failed`; of a reload: `applied`, `refused` |
| `state` | `up`, `warming`, `suspect`, `half_open`, `ejected`, `down`, `draining`, `maintenance`, `expired`: see [health.md](health.md) |
| `algorithm` | the names the configuration accepts |
| `direction` | of bytes: `in` (from the client), `out` (to the client); of a decision: `up`, `down`, `hold` |
| `step` | `observe`, `create`, `start`, `tidy`, `remove`, `resize`: what the autoscaler tried; `serve`: a backend was thrown away because it did not |
| `reused` | `true`, `false` |
| `certificate` | its place in the configuration, such as `upstreams.NAME.tls.client_cert` |
";

/// The text of `docs/metrics.md`.
#[must_use]
pub fn documentation() -> String {
    let mut text = String::from(INTRODUCTION);
    text.push_str("| name | type | labels | meaning |\n|---|---|---|---|\n");
    for family in Family::ALL {
        let labels: Vec<_> = family
            .labels()
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        let kind = match family.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let name = family.name();
        writeln!(
            text,
            "| `{name}` | {kind} | {} | {} |",
            labels.join(", "),
            family.help()
        )
        .expect("writing to a string cannot fail");
    }
    text.push_str(LABELS);
    text.push_str("\n## Histogram bounds\n\n");
    let sets = [
        ("`evenkeel_proxy_overhead_seconds`", OVERHEAD_BOUNDS),
        ("Every other histogram", LATENCY_BOUNDS),
    ];
    for (whose, bounds) in sets {
        let bounds: Vec<_> = bounds
            .iter()
            .map(|micros| (*micros as f64 / 1e6).to_string())
            .collect();
        writeln!(text, "{whose}, in seconds: {}.\n", bounds.join(", "))
            .expect("writing to a string cannot fail");
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_the_table_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, documentation()).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(path).unwrap(),
            documentation(),
            "regenerate with: BLESS=1 cargo test --lib the_document_says"
        );
    }

    #[test]
    fn names_follow_the_conventions() {
        for family in Family::ALL {
            let name = family.name();
            assert!(name.starts_with("evenkeel_") || name.starts_with("process_"));
            assert_eq!(
                name.ends_with("_total"),
                family.kind() == Kind::Counter,
                "{name}"
            );
            if matches!(family.kind(), Kind::Histogram(_)) {
                assert!(name.ends_with("_seconds"), "{name}");
            }
            assert_eq!(
                Family::ALL.iter().filter(|f| f.name() == name).count(),
                1,
                "{name} is there once"
            );
        }
    }
}
