//! What answers of name servers say, as sets of addresses.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;

use crate::control::reconcile::Found;

/// The records of an answer, and how long they hold.
pub(super) struct Answer {
    pub(super) records: Vec<RData>,
    pub(super) ttl: Duration,
}

impl Answer {
    /// What was answered; `absent` is the error where there is nothing.
    pub(super) fn of(answer: Result<Lookup, NetError>, absent: &str) -> Result<Self, String> {
        match answer {
            Ok(lookup) => {
                let ttl = lookup.answers().iter().map(|record| record.ttl).min();
                Ok(Self {
                    records: lookup
                        .answers()
                        .iter()
                        .map(|record| record.data.clone())
                        .collect(),
                    ttl: Duration::from_secs(ttl.unwrap_or(0).into()),
                })
            }
            Err(error) if error.is_no_records_found() && !error.is_nx_domain() => {
                Err(absent.to_owned())
            }
            Err(error) => Err(words(&error)),
        }
    }
}

/// What was answered for one kind of address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// These, for so long.
    Has(Vec<IpAddr>, Duration),
    /// None.
    Lacks(String),
    /// Nobody could say.
    Failed(String),
}

impl Family {
    pub(super) fn of(answer: Result<Lookup, NetError>) -> Self {
        const ABSENT: &str = "the name has no address";
        let is_absent = |error: &NetError| error.is_no_records_found();
        let lacks = answer.as_ref().err().is_some_and(is_absent);
        match Answer::of(answer, ABSENT) {
            Ok(Answer { records, ttl }) => {
                let addresses: Vec<IpAddr> = records.iter().filter_map(address).collect();
                if addresses.is_empty() {
                    return Self::Lacks(ABSENT.to_owned());
                }
                Self::Has(addresses, ttl)
            }
            Err(reason) if lacks => Self::Lacks(reason),
            Err(reason) => Self::Failed(reason),
        }
    }

    pub(super) const fn ttl(&self) -> Option<Duration> {
        match self {
            Self::Has(_, ttl) => Some(*ttl),
            Self::Lacks(_) | Self::Failed(_) => None,
        }
    }
}

fn address(record: &RData) -> Option<IpAddr> {
    match record {
        RData::A(four) => Some(IpAddr::V4(four.0)),
        RData::AAAA(six) => Some(IpAddr::V6(six.0)),
        _ => None,
    }
}

/// The addresses after these answers: where nobody could say, those from before. Without a single
/// address that was answered just now, the first failure counts, or else the absence.
pub(super) fn settle(
    mut known: [Vec<IpAddr>; 2],
    families: [Family; 2],
) -> Result<[Vec<IpAddr>; 2], String> {
    let (mut answered, mut failed, mut lacks) = (false, None, None);
    for (known, family) in known.iter_mut().zip(families) {
        match family {
            Family::Has(addresses, _) => {
                answered = true;
                *known = addresses;
            }
            Family::Lacks(reason) => {
                lacks.get_or_insert(reason);
                known.clear();
            }
            Family::Failed(reason) => {
                failed.get_or_insert(reason);
            }
        }
    }
    if answered {
        return Ok(known);
    }
    Err(failed.or(lacks).unwrap_or_default())
}

/// The SRV records of a name (RFC 2782).
pub(super) struct Service(Vec<Instance>);

struct Instance {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

impl Service {
    /// Those among `records`, at most `limit`. One whose target is the root says that there is no
    /// such service.
    pub(super) fn of(records: Vec<RData>, limit: usize) -> Self {
        let instances = records.into_iter().filter_map(|record| match record {
            RData::SRV(srv) if !srv.target.is_root() => Some(Instance {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().to_ascii_lowercase(),
            }),
            _ => None,
        });
        let mut instances: Vec<Instance> = instances.take(limit).collect();
        instances.sort_by_key(|instance| instance.priority);
        Self(instances)
    }

    /// The names to look up.
    pub(super) fn targets(&self) -> BTreeSet<String> {
        let instances = self.0.iter();
        instances.map(|instance| instance.target.clone()).collect()
    }

    /// The backends, with the targets' addresses. The lowest priority serves, the others stand by;
    /// a weight of 0, which is for the least of shares, is 1.
    pub(super) fn found(&self, addresses: &HashMap<String, Vec<IpAddr>>) -> Vec<Found> {
        let lowest = self.0.first().map_or(0, |instance| instance.priority);
        let instances = self.0.iter().filter(|instance| instance.port != 0);
        instances
            .flat_map(|instance| {
                let of_target = addresses.get(&instance.target).into_iter().flatten();
                of_target.map(move |address| Found {
                    name: Some(bare(&instance.target).to_owned()),
                    weight: u32::from(instance.weight).max(1),
                    backup: instance.priority != lowest,
                    ..Found::at(SocketAddr::new(*address, instance.port))
                })
            })
            .collect()
    }
}

/// Without the dot that makes a name complete.
pub(super) fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Why there is no answer, in fewer words than the resolver has.
pub(super) fn words(error: &NetError) -> String {
    match error {
        _ if error.is_nx_domain() => "there is no such name (NXDOMAIN)".to_owned(),
        NetError::Timeout => "the name server does not answer in time".to_owned(),
        NetError::NoConnections => "no name server can be reached".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::SRV;

    use super::*;

    fn addresses(hosts: &[u8]) -> Vec<IpAddr> {
        let address = |host: &u8| IpAddr::from([10, 0, 0, *host]);
        hosts.iter().map(address).collect()
    }

    fn has(hosts: &[u8]) -> Family {
        Family::Has(addresses(hosts), Duration::from_secs(5))
    }

    fn lacks() -> Family {
        Family::Lacks("absent".to_owned())
    }

    fn failed() -> Family {
        Family::Failed("failed".to_owned())
    }

    #[test]
    fn the_failure_of_one_family_is_not_its_absence() {
        let known = || [addresses(&[1]), addresses(&[61])];
        let settled = |families| settle(known(), families);
        assert_eq!(
            settled([has(&[2, 3]), failed()]),
            Ok([addresses(&[2, 3]), addresses(&[61])])
        );
        assert_eq!(settled([has(&[2]), lacks()]), Ok([addresses(&[2]), vec![]]));
        assert_eq!(
            settled([lacks(), has(&[62])]),
            Ok([vec![], addresses(&[62])])
        );
        for families in [
            [failed(), lacks()],
            [lacks(), failed()],
            [failed(), failed()],
        ] {
            assert_eq!(settled(families), Err("failed".to_owned()));
        }
        assert_eq!(settled([lacks(), lacks()]), Err("absent".to_owned()));
    }

    fn srv(priority: u16, weight: u16, port: u16, target: &str) -> RData {
        RData::SRV(SRV::new(
            priority,
            weight,
            port,
            target.parse().expect("a name"),
        ))
    }

    #[test]
    fn srv_records_have_ports_weights_and_who_stands_by() {
        let records = vec![
            srv(20, 5, 81, "C.example."),
            srv(10, 3, 80, "a.example."),
            srv(10, 0, 8080, "b.example."),
            srv(10, 9, 80, "unknown.example."),
            srv(10, 9, 80, "."),
        ];
        let service = Service::of(records, 10);
        let targets: Vec<String> = service.targets().into_iter().collect();
        assert_eq!(
            targets,
            ["a.example.", "b.example.", "c.example.", "unknown.example."]
        );
        let hosts = [
            ("a.example.", vec![1, 2]),
            ("b.example.", vec![3]),
            ("c.example.", vec![4]),
        ];
        let known = hosts.map(|(name, hosts)| (name.to_owned(), addresses(&hosts)));
        let found = service.found(&known.into());
        let short: Vec<_> = found
            .iter()
            .map(|one| (one.address.to_string(), one.weight, one.backup))
            .collect();
        let expected = [
            ("10.0.0.1:80", 3, false),
            ("10.0.0.2:80", 3, false),
            ("10.0.0.3:8080", 1, false),
            ("10.0.0.4:81", 5, true),
        ];
        assert_eq!(
            short,
            expected.map(|(at, weight, backup)| (at.to_owned(), weight, backup))
        );
        assert_eq!(found[0].name.as_deref(), Some("a.example"));
    }

    #[test]
    fn records_are_bounded() {
        let records = (1..100).map(|port| srv(1, 1, port, "a.example.")).collect();
        let known = HashMap::from([("a.example.".to_owned(), addresses(&[1]))]);
        assert_eq!(Service::of(records, 7).found(&known).len(), 7);
    }
}
