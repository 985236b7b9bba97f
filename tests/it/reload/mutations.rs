//! A hundred random changes to a file that has every key: each is taken or refused, with the place,
//! and never in part.

use std::fmt::Write as _;
use std::path::PathBuf;

use evenkeel::config::{Action, Config, load};
use rcgen::{CertificateParams, KeyPair};

use crate::support::deadline::{eventually, wait_until};
use crate::support::{Backend, Evenkeel, show};

const REFERENCE: &str = include_str!("../../../conf/reference.yaml");

const MUTATIONS: u64 = 100;

/// Numbers that look random and are the same in every run (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below a usize")
    }

    fn one_of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.below(all.len())]
    }
}

const VALUES: [&str; 30] = [
    "null",
    "[]",
    "{}",
    "-1",
    "0",
    "1",
    "3",
    "99999999999",
    "1.5",
    "true",
    "\"\"",
    "${X}",
    "${X:-2}",
    "&a 1",
    "*a",
    "|",
    "\"",
    "[",
    "1ms",
    "5s",
    "2m",
    "1h",
    "4KiB",
    "unlimited",
    "auto",
    "adaptive",
    "maglev",
    "http",
    "50%",
    "/new",
];

/// The value of a line, without what makes the structure.
fn value_of(line: &str) -> Option<(usize, usize)> {
    let start = line.find(": ")? + 2;
    let rest = &line[start..];
    let end = rest.find("  #").unwrap_or(rest.len());
    (!rest[..end].trim().is_empty()).then_some((start, start + end))
}

fn mutate(text: &str, numbers: &mut Numbers) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = numbers.below(lines.len());
    match numbers.below(8) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => {
            let line = lines.remove(at);
            let to = numbers.below(lines.len());
            lines.insert(to, line);
        }
        3 => {
            let line = &mut lines[at];
            let position = (0..=numbers.below(line.len() + 1))
                .rev()
                .find(|position| line.is_char_boundary(*position));
            line.insert_str(position.unwrap_or(0), numbers.one_of(&VALUES));
        }
        // Most often a value, so that many are sound.
        _ => {
            if let Some((start, end)) = value_of(&lines[at]) {
                lines[at].replace_range(start..end, numbers.one_of(&VALUES));
            }
        }
    }
    lines.join("\n")
}

/// The reference on addresses and files of this test, with a route that says the number `turn` and
/// a backend that weighs as much.
fn reference(folder: &std::path::Path, backend: &Backend) -> String {
    let address = backend.address().to_string();
    let pem = |name: &str| folder.join(name).display().to_string();
    let text = REFERENCE
        .replace("0.0.0.0:5000", "@web@")
        .replace("0.0.0.0:8000", "@metrics@")
        .replace("127.0.0.1:9901", "@admin@")
        .replace("10.0.0.1:8080", &address)
        .replace("canary.internal:8443", "127.0.0.1:1")
        .replace("client.pem", &pem("client.pem"))
        .replace("client.key", &pem("client.key"))
        .replace("docker/ca.pem", &pem("client.pem"))
        .replace("docker/cert.pem", &pem("client.pem"))
        .replace("docker/key.pem", &pem("client.key"))
        .replace("unix:///var/run/docker.sock", "unix:///nowhere.sock")
        .replace("/usr/local/bin/scale", "/bin/true");
    assert!(text.contains(&address) && text.contains("@admin@"));
    text
}

/// What is to be seen of the configuration number `turn` in two places.
fn marked(text: &str, turn: u64) -> String {
    let route = format!(
        "routes:\n  - {{ name: turn, match: {{ path: {{ exact: /turn }} }}, respond: {{ status: 200, body: \"{turn}\" }} }}\n"
    );
    let upstream = format!(
        "upstreams:\n  turn: {{ backends: [{{ address: \"127.0.0.1:2\", weight: {} }}] }}\n",
        turn + 1
    );
    let mut marked = text
        .replace("routes:                         # 1 to 10000\n", &route)
        .replace(
            "upstreams:                      # at most 10000\n",
            &upstream,
        );
    let _ = write!(marked, "\n# {turn}\n");
    marked
}

/// What the route and the backend should show.
fn shown(config: &Config) -> (Option<String>, Option<u32>) {
    let route = config.routes.iter().find(|route| route.name == "turn");
    let body = route.and_then(|route| match &route.action {
        Action::Respond { body, .. } => Some(body.clone()),
        _ => None,
    });
    let upstream = config.upstreams.iter().find(|one| one.name == "turn");
    let weight = upstream.and_then(|one| one.backends.first());
    (body, weight.map(|backend| backend.weight))
}

fn seen(evenkeel: &Evenkeel) -> (Option<String>, Option<u32>) {
    let answer = evenkeel.get("/turn");
    let weight = evenkeel.metric("evenkeel_backend_weight", &[("upstream", "turn")]);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a weight"
    )]
    let weight = (weight > 0.0).then_some(weight as u32);
    ((answer.status == 200).then(|| answer.text()), weight)
}

fn certificates(folder: &std::path::Path) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["client.test".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("client.pem"), certificate.pem()).expect("writable");
    std::fs::write(folder.join("client.key"), key.serialize_pem()).expect("writable");
}

fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("reload-mutations");
    std::fs::create_dir_all(&folder).expect("the build folder is writable");
    folder
}

#[test]
fn a_hundred_random_changes_are_each_taken_whole_or_refused_with_the_place() {
    let (folder, backend) = (folder(), Backend::named("a"));
    certificates(&folder);
    let reference = reference(&folder, &backend);
    let evenkeel = Evenkeel::start(&marked(&reference, 0));
    let mut expected = (Some("0".to_owned()), Some(1));
    assert_eq!(seen(&evenkeel), expected);
    let (mut numbers, mut taken) = (Numbers(4), 0);
    for turn in 1..=MUTATIONS {
        let text = marked(&mutate(&reference, &mut numbers), turn);
        let before = evenkeel.reloads();
        let said = evenkeel.messages().len();
        evenkeel.rewrite(&text);
        let after = eventually("the file is noticed", || {
            let now = evenkeel.reloads();
            (now != before).then_some(now)
        });
        let file = evenkeel.config_file();
        let written = std::fs::read_to_string(file).expect("it was just written");
        let name = file.display().to_string();
        if after.0 > before.0 {
            taken += 1;
            let config = load(&written, &name, &|_| None);
            let config =
                config.unwrap_or_else(|errors| panic!("it was taken: {errors}\n{written}"));
            expected = shown(&config);
        } else {
            // With a place, or, of a name that cannot be looked up, with that.
            let located = format!("{name}:");
            let is_reason = |line: &str| line.starts_with(&located) || line.contains("look up");
            let told = || evenkeel.messages().split_off(said);
            wait_until("the reason", || told().iter().any(|line| is_reason(line)));
            if let Err(errors) = load(&written, &name, &|_| None) {
                for line in errors.to_string().lines() {
                    wait_until(line, || told().iter().any(|told| told == line));
                }
            }
        }
        assert_eq!(seen(&evenkeel), expected, "number {turn}\n{written}");
        assert!(!evenkeel.process().has_exited());
    }
    show(&format!("{taken} of {MUTATIONS} were taken"));
    let told = evenkeel.process().stderr();
    assert!(!told.contains("report this as a bug"), "{told}");
    assert!(
        (10..=90).contains(&taken),
        "{taken} were taken: too few of one kind"
    );
}
