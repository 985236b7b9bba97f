//! The metrics endpoint, scraped and read.

use std::net::SocketAddr;

use super::client::Client;

/// One scrape.
pub(crate) struct Scrape {
    /// The exposition as sent.
    pub(crate) text: String,
}

impl Scrape {
    pub(crate) fn of(address: SocketAddr) -> Self {
        let response =
            Client::connect(address).request("GET", "/metrics", &[("Connection", "close")], b"");
        assert_eq!(response.status, 200, "{}", response.head);
        Self {
            text: response.text(),
        }
    }

    /// The sum of the series of this name whose labels include these; 0 when there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.series(name, labels).map(|(_, value)| value).sum()
    }

    /// How many series of this name there are, whatever their labels.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.series(name, &[]).count()
    }

    /// Every series with its labels; of a histogram, each bucket is one.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| Some(line.rsplit_once(' ')?.0))
    }

    fn series<'s>(
        &'s self,
        name: &'s str,
        labels: &'s [(&str, &str)],
    ) -> impl Iterator<Item = (&'s str, f64)> {
        self.text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(move |line| {
                let (series, value) = line.rsplit_once(' ')?;
                let (own, written) = series.split_once('{').unwrap_or((series, ""));
                let fits = |(key, value): &(&str, &str)| {
                    let label = format!("{key}=\"{value}\"");
                    written.starts_with(&label) || written.contains(&format!(",{label}"))
                };
                let value = value.parse().ok()?;
                (own == name && labels.iter().all(fits)).then_some((series, value))
            })
    }
}
