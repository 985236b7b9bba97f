//! One scrape in the making: series by family, in the terms of the
//! `prometheus` crate, whose registry orders and encodes them.

use prometheus::core::Desc;
use prometheus::proto;

use crate::config::Algorithm;
use crate::state::State;

use super::cell::Histogram;
use super::family::{Family, Kind};
use super::live::Live;

/// The series collected so far.
pub(super) struct Page {
    by_family: Vec<Vec<proto::Metric>>,
}

impl Page {
    pub(super) fn new() -> Self {
        Self {
            by_family: vec![Vec::new(); Family::ALL.len()],
        }
    }

    /// Adds a counter's series, zero or not.
    pub(super) fn counter(&mut self, family: Family, labels: &[&str], value: u64) {
        self.number(family, labels, value as f64);
    }

    /// Adds a counter's series if it ever counted.
    pub(super) fn counted(&mut self, family: Family, labels: &[&str], value: u64) {
        if value > 0 {
            self.counter(family, labels, value);
        }
    }

    /// Adds a series of a counter or a gauge.
    pub(super) fn number(&mut self, family: Family, labels: &[&str], value: f64) {
        let mut metric = proto::Metric::default();
        if family.kind() == Kind::Counter {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.push(family, labels, metric);
    }

    /// Adds a histogram's series if it ever observed anything.
    pub(super) fn histogram(&mut self, family: Family, labels: &[&str], histogram: &Histogram) {
        let Some(reading) = histogram.read() else {
            return;
        };
        let buckets = reading.buckets.into_iter().map(|(bound, count)| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut out = proto::Histogram::default();
        out.set_bucket(buckets.collect());
        out.set_sample_count(reading.count);
        out.set_sample_sum(reading.sum);
        let mut metric = proto::Metric::default();
        metric.set_histogram(out);
        self.push(family, labels, metric);
    }

    /// Adds the series of one live reading.
    pub(super) fn live(&mut self, live: Live<'_>) {
        match live {
            Live::Listener {
                listener,
                active_connections,
            } => self.number(
                Family::ActiveConnections,
                &[listener],
                active_connections as f64,
            ),
            Live::Upstream {
                upstream,
                algorithm,
                waiting,
                in_flight_limit,
            } => {
                let limit = f64::from(in_flight_limit);
                self.number(Family::InFlightLimit, &[upstream], limit);
                self.number(Family::QueueWaiting, &[upstream], waiting as f64);
                for other in Algorithm::ALL {
                    let active = f64::from(u8::from(*other == algorithm));
                    self.number(Family::AlgorithmActive, &[upstream, other.name()], active);
                }
            }
            Live::Backend {
                upstream,
                backend,
                in_flight,
                connections,
                weight,
                share,
                state,
                reason,
            } => {
                let labels = &[upstream, backend];
                self.number(Family::BackendInFlight, labels, in_flight as f64);
                self.number(Family::BackendConnections, labels, connections as f64);
                self.number(Family::BackendWeight, labels, weight);
                self.number(Family::BackendShare, labels, share);
                let up = f64::from(u8::from(state.is_available()));
                self.number(Family::BackendUp, labels, up);
                let labels = &[upstream, backend, reason.label()];
                self.number(Family::BackendStateReason, labels, 1.0);
                for other in State::ALL {
                    let active = f64::from(u8::from(*other == state));
                    let labels = &[upstream, backend, other.label()];
                    self.number(Family::BackendState, labels, active);
                }
            }
            Live::Certificate {
                certificate,
                expires,
            } => self.number(Family::CertificateExpiry, &[certificate], expires as f64),
            Live::Journal { lost } => self.counter(Family::EventsLost, &[], lost),
            Live::Log { dropped } => self.counter(Family::LogDropped, &[], dropped),
        }
    }

    /// The families that have series.
    pub(super) fn into_families(self) -> Vec<proto::MetricFamily> {
        let series = Family::ALL.iter().zip(self.by_family);
        series
            .filter(|(_, metrics)| !metrics.is_empty())
            .map(|(family, metrics)| {
                let mut out = proto::MetricFamily::default();
                out.set_name(family.name().to_owned());
                out.set_help(family.help().to_owned());
                out.set_field_type(match family.kind() {
                    Kind::Counter => proto::MetricType::COUNTER,
                    Kind::Gauge => proto::MetricType::GAUGE,
                    Kind::Histogram(_) => proto::MetricType::HISTOGRAM,
                });
                out.set_metric(metrics);
                out
            })
            .collect()
    }

    fn push(&mut self, family: Family, labels: &[&str], mut metric: proto::Metric) {
        debug_assert_eq!(labels.len(), family.labels().len(), "{}", family.name());
        let pairs = family.labels().iter().zip(labels).map(|(name, value)| {
            let mut pair = proto::LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        metric.set_label(pairs.collect());
        self.by_family[family as usize].push(metric);
    }
}

/// What the registry wants to know of every family beforehand.
pub(super) fn descriptions() -> Vec<Desc> {
    let describe = |family: &Family| {
        let labels = family.labels().iter().map(|label| (*label).to_owned());
        Desc::new(
            family.name().to_owned(),
            family.help().to_owned(),
            labels.collect(),
            std::collections::HashMap::new(),
        )
        .expect("the table holds valid names")
    };
    Family::ALL.iter().map(describe).collect()
}
