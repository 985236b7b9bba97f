//! What a scripted Engine knows: containers that are made, started, stopped and removed as a real
//! Engine does it, services of a swarm, and what goes wrong.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::call::{Asked, Call, Fault, Outcome, missing, parameter, refused, segment};
use super::container::{
    IMAGE, address, composed, end, has_health, has_labels, inspected, is_ours, listed,
    networks_mut, state, texts,
};

/// What must hold of the containers with a label of Evenkeel's, whatever goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Law {
    /// No call leaves fewer that run.
    pub(crate) min: usize,
    /// Never are there more that run or are about to.
    pub(crate) max: usize,
}

/// Whether requests are under way at an address.
pub(crate) type Busy = dyn Fn(Ipv4Addr) -> bool + Send;

/// What happened to a container: its id, its name, the action and the signal.
pub(crate) type Happened = (String, String, &'static str, &'static str);

#[derive(Default)]
pub(crate) struct Containers {
    /// As `GET /containers/ID/json` describes them.
    all: Vec<Value>,
    /// What lists say, whatever is true.
    stale: Option<Vec<Value>>,
    faults: BTreeMap<Call, Vec<(Fault, usize)>>,
    exits_with: Option<i64>,
    services: BTreeMap<String, Value>,
    made: u32,
    happened: Vec<Happened>,
    /// Asked for, and done when all goes well again.
    later: Vec<Asked>,
    law: Option<Law>,
    busy: Option<Box<Busy>>,
    broken: Vec<String>,
    /// Seconds by which its clock is ahead.
    ahead: i64,
}

impl Containers {
    /// `count` running containers of a compose service, numbered from 1 on.
    pub(crate) fn up(&mut self, project: &str, service: &str, count: u32, labels: &[(&str, &str)]) {
        for number in 1..=count {
            let body = composed(project, service, number, labels);
            let name = format!("{project}-{service}-{number}");
            let id = self.make(&name, &body);
            self.start(&id);
        }
    }

    /// Makes one that nobody asked for; it is not started. Its id.
    pub(crate) fn make(&mut self, name: &str, body: &Value) -> String {
        self.made += 1;
        let id = format!("{:064x}", 0xabc_0000_0000_u64 + u64::from(self.made));
        let container = inspected(&id, name, body, &self.now());
        self.all.push(container);
        id
    }

    /// The next `times` calls of this kind go wrong.
    pub(crate) fn fail(&mut self, call: Call, fault: Fault, times: usize) {
        self.faults.entry(call).or_default().push((fault, times));
    }

    /// All goes well from now on. What lists lacked is told as events.
    pub(crate) fn heal(&mut self) {
        self.faults.clear();
        self.exits_with = None;
        if self.stale.take().is_some() {
            let any = ("any".to_owned(), "any".to_owned(), "rename", "");
            self.happened.push(any);
        }
        for asked in std::mem::take(&mut self.later) {
            self.carry_out_lawfully(&asked);
        }
    }

    /// What must hold from now on; what breaks it is told by [`Self::broken`].
    pub(crate) fn keep(&mut self, law: Law) {
        self.law = Some(law);
    }

    /// None may be stopped at whose address requests are under way.
    pub(crate) fn spare(&mut self, busy: impl Fn(Ipv4Addr) -> bool + Send + 'static) {
        self.busy = Some(Box::new(busy));
    }

    /// What broke the law.
    pub(crate) fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Its clock is so many seconds ahead from now on, or behind.
    pub(crate) fn set_clock(&mut self, ahead: i64) {
        self.ahead = ahead;
    }

    /// Those with a label of Evenkeel's that run or are about to.
    pub(crate) fn live(&self) -> usize {
        let over = |one: &&Value| one["State"]["Status"] == "exited";
        self.ours().filter(|one| !over(one)).count()
    }

    /// Those with a label of Evenkeel's that run.
    pub(crate) fn running(&self) -> usize {
        let runs = |one: &&Value| one["State"]["Status"] == "running";
        self.ours().filter(runs).count()
    }

    /// Those with a label of Evenkeel's.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Value> {
        self.all.iter().filter(|one| is_ours(one))
    }

    fn now(&self) -> String {
        let since = super::super::prometheus::now();
        let since = Duration::from_secs_f64(since + self.ahead as f64);
        humantime::format_rfc3339_nanos(UNIX_EPOCH + since).to_string()
    }

    /// Containers that are started end at once.
    pub(crate) fn exits_with(&mut self, code: Option<i64>) {
        self.exits_with = code;
    }

    /// Lists say what is true now, for as long as this lasts.
    pub(crate) fn freeze_lists(&mut self) {
        self.stale = Some(self.all.clone());
    }

    pub(crate) fn all(&self) -> &[Value] {
        &self.all
    }

    /// A service of the swarm.
    pub(crate) fn serve(&mut self, name: &str, service: Value) {
        self.services.insert(name.to_owned(), service);
    }

    pub(crate) fn service(&self, name: &str) -> &Value {
        &self.services[name]
    }

    /// Changes a container: `change` gets it as it is inspected.
    pub(crate) fn change(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let path = format!("/{name}");
        let one = self.all.iter_mut().find(|one| one["Name"] == path);
        change(one.expect("there is such a container"));
    }

    /// A container ends by itself.
    pub(crate) fn crash(&mut self, name: &str, code: i64) {
        self.change(name, |one| end(one, code));
        let id = self.named(name);
        self.happened.push((id, name.to_owned(), "die", ""));
    }

    pub(crate) fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// Does what is asked, or what goes wrong instead.
    pub(crate) fn answer(&mut self, asked: &Asked) -> Outcome {
        let Some(fault) = self.fault(asked.call) else {
            return self.carry_out_lawfully(asked);
        };
        match fault {
            Fault::Refused(status, said) => return refused(status, said),
            Fault::Hangs => return Outcome::Hang,
            Fault::Cut => return Outcome::Cut,
            Fault::DoneLater => {
                self.later.push(asked.clone());
                return Outcome::Cut;
            }
            _ => {}
        }
        match (fault, self.carry_out_lawfully(asked)) {
            (Fault::DoneAndHangs, _) => Outcome::Hang,
            (Fault::DoneAndHalf, Outcome::Answer(status, body)) => Outcome::Half(status, body),
            (Fault::DoneAndGarbage, Outcome::Answer(status, _)) => Outcome::Garbage(status),
            (Fault::Slow(pause), Outcome::Answer(status, body)) => {
                Outcome::Slow(pause, status, body)
            }
            _ => Outcome::Cut,
        }
    }

    /// Does what is asked, and notes what law that breaks.
    fn carry_out_lawfully(&mut self, asked: &Asked) -> Outcome {
        let bare = asked.path.split('?').next().unwrap_or_default();
        let id = segment(bare).to_owned();
        let ends = matches!(asked.call, Call::Stop | Call::Remove);
        let target = self.find(&id).cloned().unwrap_or_default();
        let said = format!("{} {}", asked.method, asked.path);
        if !target.is_null() && (ends || asked.call == Call::Start) && !is_ours(&target) {
            self.broken
                .push(format!("{said}: it is none of Evenkeel's"));
        }
        let runs = target["State"]["Status"] == "running";
        let busy = self.busy.as_ref();
        if ends && runs && busy.is_some_and(|busy| busy(address(&id))) {
            self.broken.push(format!("{said}: requests are under way"));
        }
        let before = self.running();
        let outcome = self.carry_out(asked);
        if let Some(law) = self.law.filter(|_| asked.method != "GET") {
            let (live, running) = (self.live(), self.running());
            if live > law.max {
                let names: Vec<&Value> = self.ours().map(|one| &one["Name"]).collect();
                let text = format!("{said}: {live} are more than {}: {names:?}", law.max);
                self.broken.push(text);
            }
            if ends && running < before && running < law.min {
                let text = format!("{said}: {running} are fewer than {}", law.min);
                self.broken.push(text);
            }
        }
        outcome
    }

    fn fault(&mut self, call: Call) -> Option<Fault> {
        let faults = self.faults.get_mut(&call)?;
        let (fault, times) = faults.first_mut()?;
        let fault = *fault;
        *times -= 1;
        if *times == 0 {
            faults.remove(0);
        }
        Some(fault)
    }

    fn carry_out(&mut self, asked: &Asked) -> Outcome {
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let id = segment(path).to_owned();
        match asked.call {
            Call::List => Outcome::Answer(200, Some(self.list(query))),
            Call::Inspect => {
                let named = format!("/{id}");
                let mut all = self.all.iter();
                match all.find(|one| one["Id"] == id || one["Name"] == named) {
                    Some(one) => Outcome::Answer(200, Some(one.clone())),
                    None => missing(&id),
                }
            }
            Call::Create => self.create(query, &asked.body),
            Call::Start => self.start(&id),
            Call::Stop => self.stop(&id),
            Call::Remove => self.remove(&id, query),
            Call::Service => match self.service_of(&id) {
                Some(service) => Outcome::Answer(200, Some(service.clone())),
                None => refused(404, "service not found"),
            },
            Call::Update => self.update(&id, query, &asked.body),
            Call::Ping | Call::Events | Call::Unknown => refused(404, "page not found"),
        }
    }

    fn create(&mut self, query: &str, body: &Value) -> Outcome {
        let name = parameter(query, "name").unwrap_or_default();
        let waits = |asked: &Asked| {
            let query = asked.path.split_once('?').map_or("", |(_, query)| query);
            asked.call == Call::Create && parameter(query, "name").as_ref() == Some(&name)
        };
        let is_taken = self.all.iter().any(|one| one["Name"] == format!("/{name}"));
        if is_taken || self.later.iter().any(waits) {
            let said = format!("Conflict. The container name \"/{name}\" is already in use");
            return refused(409, &said);
        }
        if body["Image"] != IMAGE {
            return refused(404, "No such image");
        }
        let id = self.make(&name, body);
        Outcome::Answer(201, Some(json!({ "Id": id, "Warnings": [] })))
    }

    fn start(&mut self, id: &str) -> Outcome {
        let exits_with = self.exits_with;
        let Some(one) = self.find_mut(id) else {
            return missing(id);
        };
        if one["State"]["Status"] == "running" {
            return Outcome::Answer(304, None);
        }
        one["State"] = state("running", 0);
        let test = one.pointer("/Config/Healthcheck/Test");
        if test.is_some_and(|test| !test.is_null()) {
            one["State"]["Health"] = json!({ "Status": "starting", "FailingStreak": 0, "Log": [] });
        }
        let address = address(id);
        for network in networks_mut(one) {
            network["IPAddress"] = json!(address);
            network["IPPrefixLen"] = json!(8);
        }
        self.happen(id, "start", "");
        if let Some(code) = exits_with {
            end(self.find_mut(id).expect("found above"), code);
            self.happen(id, "die", "");
        }
        Outcome::Answer(204, None)
    }

    fn stop(&mut self, id: &str) -> Outcome {
        let Some(one) = self.find_mut(id) else {
            return missing(id);
        };
        if one["State"]["Status"] != "running" {
            return Outcome::Answer(304, None);
        }
        end(one, 143);
        self.happen(id, "kill", "15");
        self.happen(id, "die", "");
        Outcome::Answer(204, None)
    }

    fn remove(&mut self, id: &str, query: &str) -> Outcome {
        let Some(one) = self.find(id) else {
            return missing(id);
        };
        let forced = parameter(query, "force").as_deref() == Some("true");
        if one["State"]["Status"] == "running" && !forced {
            return refused(
                409,
                "cannot remove container: container is running: stop the container before removing or force remove",
            );
        }
        self.happen(id, "destroy", "");
        self.all.retain(|one| one["Id"] != id);
        Outcome::Answer(204, None)
    }

    fn update(&mut self, id: &str, query: &str, body: &Value) -> Outcome {
        let version = parameter(query, "version").and_then(|text| text.parse::<u64>().ok());
        let Some(service) = self.services.values_mut().find(|one| one["ID"] == id) else {
            return refused(404, "service not found");
        };
        let current = service["Version"]["Index"].as_u64();
        if version != current {
            return refused(
                500,
                "rpc error: code = Unknown desc = update out of sequence",
            );
        }
        service["Spec"] = body.clone();
        service["Version"]["Index"] = json!(current.unwrap_or(0) + 1);
        Outcome::Answer(200, Some(json!({ "Warnings": null })))
    }

    fn service_of(&self, name: &str) -> Option<&Value> {
        let by_id = || self.services.values().find(|one| one["ID"] == name);
        self.services.get(name).or_else(by_id)
    }

    fn list(&self, query: &str) -> Value {
        let all = self.stale.as_ref().unwrap_or(&self.all);
        let filters = parameter(query, "filters").unwrap_or_default();
        let filters: Value = serde_json::from_str(&filters).unwrap_or_default();
        let running_only = !matches!(parameter(query, "all").as_deref(), Some("true" | "1"));
        let wanted = |one: &&Value| {
            let status = one["State"]["Status"].as_str().unwrap_or_default();
            let asked: Vec<&str> = texts(&filters["status"]).collect();
            let fits = if asked.is_empty() {
                !running_only || status == "running"
            } else {
                asked.contains(&status)
            };
            fits && has_health(one, &filters["health"]) && has_labels(one, &filters["label"])
        };
        all.iter().filter(wanted).map(listed).collect()
    }

    fn happen(&mut self, id: &str, action: &'static str, signal: &'static str) {
        let name = self.find(id).and_then(|one| one["Name"].as_str());
        let name = name.unwrap_or_default().trim_start_matches('/').to_owned();
        self.happened.push((id.to_owned(), name, action, signal));
    }

    fn named(&self, name: &str) -> String {
        let one = self
            .all
            .iter()
            .find(|one| one["Name"] == format!("/{name}"));
        let id = one.and_then(|one| one["Id"].as_str());
        id.expect("there is such a container").to_owned()
    }

    fn find(&self, id: &str) -> Option<&Value> {
        self.all.iter().find(|one| one["Id"] == id)
    }

    fn find_mut(&mut self, id: &str) -> Option<&mut Value> {
        self.all.iter_mut().find(|one| one["Id"] == id)
    }
}
