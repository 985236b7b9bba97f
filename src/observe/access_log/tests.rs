use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use http::{Method, Version};

use crate::clock::{self, Moment};
use crate::config::{Algorithm, LogFormat, LogPath, Percent};
use crate::observe::metrics::{Metrics, NONE};
use crate::observe::outcome::{Pick, Times};
use crate::reject::Reject;

use super::format::Anchor;
use super::sink::Loss;
use super::*;

/// A directory that is removed with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let name = format!("evenkeel-access-log-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config(path: LogPath) -> config::AccessLog {
    config::AccessLog {
        format: LogFormat::Json,
        path,
        sample: Percent::ALL,
    }
}

fn outcome() -> Outcome<'static> {
    Outcome {
        listener: 0,
        method: &Method::GET,
        status: StatusCode::OK,
        reject: None,
        pick: None,
        attempts: 0,
        retried: &[],
        bytes_in: 0,
        bytes_out: 2,
        started: Moment::from_micros(1_500_000),
        times: Times {
            total: Duration::from_micros(4_400),
            waited: Duration::from_micros(4_300),
            ..Times::default()
        },
    }
}

fn description() -> Description<'static> {
    Description {
        request_id: "0f",
        client: "2001:db8::7".parse().unwrap(),
        host: "example.com",
        path: "/a",
        version: Version::HTTP_11,
        user_agent: None,
        referer: None,
        sticky: None,
    }
}

/// A retried request that met everything.
fn full() -> (Outcome<'static>, Description<'static>) {
    let outcome = Outcome {
        status: StatusCode::BAD_GATEWAY,
        reject: Some(Reject::BackendReset),
        pick: Some(Pick {
            algorithm: Algorithm::Maglev,
            reason: "hash",
        }),
        attempts: 3,
        retried: &["connect", "502"],
        bytes_in: 5,
        times: Times {
            total: Duration::from_micros(4_400),
            queue: Some(Duration::from_millis(1)),
            connect: Some(Duration::from_micros(250)),
            first_byte: Some(Duration::from_millis(2)),
            waited: Duration::from_micros(4_300),
        },
        ..outcome()
    };
    let description = Description {
        user_agent: Some(b"curl/8 \"quoted\""),
        referer: Some(b"https://example.com/\xff\n"),
        sticky: Some("kept"),
        ..description()
    };
    (outcome, description)
}

fn with_handles<T>(use_them: impl FnOnce(&Handles<'_>) -> T) -> T {
    let metrics = Metrics::new();
    let (upstream, backend) = (
        metrics.upstream("api"),
        metrics.backend("api", "10.0.0.1:80"),
    );
    use_them(&Handles {
        route: &metrics.route(&["web"], "main", "api"),
        upstream: Some(&upstream),
        backend: Some(&backend),
    })
}

fn bare_handles<T>(use_them: impl FnOnce(&Handles<'_>) -> T) -> T {
    use_them(&Handles {
        route: &Metrics::new().route(&["web"], NONE, NONE),
        upstream: None,
        backend: None,
    })
}

fn line(format: LogFormat, entry: &Entry) -> String {
    let anchor = Anchor {
        moment: Moment::from_micros(2_000_000),
        wall: SystemTime::UNIX_EPOCH + Duration::from_micros(1_763_715_600_623_456),
    };
    let mut out = Vec::new();
    format::append(format, entry, &anchor, &mut out);
    String::from_utf8(out).unwrap()
}

fn full_line(format: LogFormat) -> String {
    let (outcome, description) = full();
    with_handles(|handles| line(format, &Entry::new(&outcome, handles, &description)))
}

#[test]
fn a_json_line_tells_everything_in_order() {
    let expected = concat!(
        r#"{"time":"2025-11-21T09:00:00.123Z","request_id":"0f","client":"2001:db8::7","#,
        r#""listener":"web","method":"GET","host":"example.com","path":"/a","#,
        r#""protocol":"HTTP/1.1","status":502,"reason":"backend_reset","route":"main","#,
        r#""upstream":"api","backend":"10.0.0.1:80","algorithm":"maglev","#,
        r#""pick_reason":"hash","attempts":3,"retried":["connect","502"],"bytes_in":5,"#,
        r#""bytes_out":2,"total_ms":4.4,"queue_ms":1.0,"connect_ms":0.25,"#,
        r#""first_byte_ms":2.0,"overhead_ms":0.1,"user_agent":"curl/8 \"quoted\"","#,
        r#""referer":"https://example.com/�\n","sticky":"kept"}"#,
    );
    assert_eq!(full_line(LogFormat::Json), format!("{expected}\n"));
}

#[test]
fn a_line_is_dated_from_either_side_of_the_anchor() {
    for (started, expected) in [
        (1_000_000, "2025-11-21T08:59:59.623Z"),
        (2_000_000, "2025-11-21T09:00:00.623Z"),
        (2_100_000, "2025-11-21T09:00:00.723Z"),
    ] {
        let mut outcome = outcome();
        outcome.started = Moment::from_micros(started);
        let entry = bare_handles(|handles| Entry::new(&outcome, handles, &description()));
        let line = line(LogFormat::Json, &entry);
        assert!(
            line.starts_with(&format!("{{\"time\":\"{expected}\"")),
            "{line}"
        );
    }
}

#[test]
fn what_does_not_apply_is_left_out() {
    let expected = concat!(
        r#"{"time":"2025-11-21T09:00:00.123Z","request_id":"0f","client":"2001:db8::7","#,
        r#""listener":"web","method":"GET","host":"example.com","path":"/a","#,
        r#""protocol":"HTTP/1.1","status":200,"route":"-","upstream":"-","attempts":0,"#,
        r#""bytes_in":0,"bytes_out":2,"total_ms":4.4,"overhead_ms":0.1}"#,
    );
    let entry = bare_handles(|handles| Entry::new(&outcome(), handles, &description()));
    assert_eq!(line(LogFormat::Json, &entry), format!("{expected}\n"));
}

#[test]
fn a_text_line_begins_as_the_combined_format() {
    let expected = concat!(
        r#"2001:db8::7 - - [21/Nov/2025:09:00:00 +0000] "GET /a HTTP/1.1" 502 2 "#,
        r#""https://example.com/�\n" "curl/8 \"quoted\"" host="example.com" id="0f" "#,
        r#"listener="web" route="main" upstream="api" backend=10.0.0.1:80 "#,
        "reason=backend_reset algorithm=maglev pick_reason=hash sticky=kept attempts=3 ",
        "retried=connect,502 bytes_in=5 total_ms=4.4 queue_ms=1 connect_ms=0.25 ",
        "first_byte_ms=2 overhead_ms=0.1\n",
    );
    assert_eq!(full_line(LogFormat::Text), expected);
}

#[test]
fn the_document_names_every_field() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/logs.md");
    let document = fs::read_to_string(path).unwrap();
    let line: serde_json::Value = serde_json::from_str(&full_line(LogFormat::Json)).unwrap();
    for key in line.as_object().unwrap().keys() {
        assert!(document.contains(&format!("`{key}`")), "{key}");
    }
    assert_eq!(QUEUE_LINES, 8192, "the document says so");
}

#[test]
fn no_request_can_forge_a_line() {
    let every_byte: Vec<u8> = (0..=255).collect();
    let hostile: [&[u8]; 5] = [
        &every_byte,
        b"\" 200 0 \"-\" \"-\"\n127.0.0.1 - - [",
        b"\\\" \\",
        "\u{2028}\u{2029}\u{85}\u{202e}\u{0}".as_bytes(),
        &[0xf0, 0x9f, 0x98],
    ];
    for bytes in hostile {
        let text = String::from_utf8_lossy(bytes);
        let description = Description {
            request_id: &text,
            host: &text,
            path: &text,
            user_agent: Some(bytes),
            referer: Some(bytes),
            ..description()
        };
        let entry = bare_handles(|handles| Entry::new(&outcome(), handles, &description));

        let json = line(LogFormat::Json, &entry);
        assert_eq!(json.matches('\n').count(), 1);
        let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(parsed["path"], *text);
        assert_eq!(parsed["user_agent"], *text);

        let line = line(LogFormat::Text, &entry);
        let (line, end) = line.split_at(line.len() - 1);
        assert_eq!(end, "\n");
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{2028}'));
        let unescaped = line.replace(r"\\", "").replace(r#"\""#, "");
        assert_eq!(unescaped.matches('"').count(), 16, "{line}");
    }
}

#[test]
fn a_full_queue_drops_and_counts() {
    let dir = Dir::new("full");
    let path = dir.file("log");
    let dropped = Arc::new(Counter::new());
    let (queue, entries) = mpsc::sync_channel(3);
    let (log, writer) = AccessLog::new(
        &config(LogPath::File(path.clone())),
        Arc::clone(&dropped),
        queue,
        entries,
    )
    .unwrap();
    with_handles(|handles| {
        for _ in 0..10 {
            log.log(&outcome(), handles, &description());
        }
    });
    assert_eq!(dropped.get(), 7);
    drop(log);
    writer.run();
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 3);
}

#[test]
fn closing_writes_all_that_was_accepted() {
    let dir = Dir::new("close");
    let path = dir.file("log");
    let dropped = Arc::new(Counter::new());
    let log = AccessLog::open(&config(LogPath::File(path.clone())), Arc::clone(&dropped)).unwrap();
    let send = || with_handles(|handles| log.log(&outcome(), handles, &description()));
    for _ in 0..500 {
        send();
    }
    log.close();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 500);
    send();
    assert_eq!(dropped.get(), 1);
    log.close();
    drop(log);
    assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 500);
}

#[test]
fn an_idle_log_closes_at_once() {
    let dir = Dir::new("idle");
    let log = AccessLog::open(
        &config(LogPath::File(dir.file("log"))),
        Arc::new(Counter::new()),
    )
    .unwrap();
    let before = clock::now();
    drop(log);
    assert!(clock::now().since(before) < CLOSE_TIMEOUT);
}

#[test]
fn a_line_is_written_without_being_asked_for() {
    let dir = Dir::new("alone");
    let path = dir.file("log");
    let log = AccessLog::open(
        &config(LogPath::File(path.clone())),
        Arc::new(Counter::new()),
    )
    .unwrap();
    let before = clock::now();
    for lines in 1..=3 {
        with_handles(|handles| log.log(&outcome(), handles, &description()));
        while fs::read_to_string(&path).unwrap().lines().count() < lines {
            assert!(clock::now().since(before) < Duration::from_secs(10));
            thread::yield_now();
        }
    }
}

#[test]
fn errors_are_logged_whatever_the_sample() {
    let log = |percent| {
        let (queue, entries) = mpsc::sync_channel(1);
        let mut config = config(LogPath::Stderr);
        config.sample = Percent::from_hundredths(percent).unwrap();
        let dropped = Arc::new(Counter::new());
        AccessLog::new(&config, dropped, queue, entries).unwrap().0
    };
    let sampled = log(25.0);
    assert!(sampled.wants(StatusCode::OK, || 0.2499));
    assert!(!sampled.wants(StatusCode::OK, || 0.25));
    assert!(!sampled.wants(StatusCode::NOT_FOUND, || 0.9));
    assert!(sampled.wants(StatusCode::BAD_GATEWAY, || 0.9));
    assert!(!log(0.0).wants(StatusCode::OK, || 0.0));
    assert!(log(0.0).wants(StatusCode::INTERNAL_SERVER_ERROR, || 0.0));
    assert!(log(100.0).wants(StatusCode::OK, || unreachable!("not drawn")));
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let dir = Dir::new("rotate");
    let (path, moved) = (dir.file("log"), dir.file("log.1"));
    fs::write(&path, "before\n").unwrap();
    let mut sink = Sink::open(&LogPath::File(path.clone())).unwrap();
    sink.write(b"one\n").unwrap();
    fs::rename(&path, &moved).unwrap();
    sink.write(b"two\n").unwrap();
    assert_eq!(fs::read_to_string(&moved).unwrap(), "before\none\n");
    assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
    fs::remove_file(&path).unwrap();
    sink.write(b"three\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
}

#[test]
fn a_file_that_cannot_be_opened_anew_stays_in_use() {
    let dir = Dir::new("gone");
    let (path, moved) = (dir.file("log"), dir.file("moved"));
    let mut sink = Sink::open(&LogPath::File(path.clone())).unwrap();
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    let Loss { lines, .. } = sink.write(b"one\n").unwrap_err();
    assert_eq!(lines, 0);
    assert_eq!(fs::read_to_string(&moved).unwrap(), "one\n");
}

#[test]
fn a_torn_line_does_not_spoil_the_next() {
    let dir = Dir::new("torn");
    let path = dir.file("log");
    let mut sink = Sink::open(&LogPath::File(path.clone())).unwrap();
    sink.write(b"half a li").unwrap();
    sink.write(b"whole\n").unwrap();
    sink.write(b"next\n").unwrap();
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        "half a li\nwhole\nnext\n"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn lines_that_cannot_be_written_are_counted() {
    let dropped = Arc::new(Counter::new());
    let full = LogPath::File("/dev/full".into());
    let log = AccessLog::open(&config(full), Arc::clone(&dropped)).unwrap();
    with_handles(|handles| {
        for _ in 0..4 {
            log.log(&outcome(), handles, &description());
        }
    });
    log.close();
    assert_eq!(dropped.get(), 4);
}

#[test]
fn a_destination_that_cannot_be_opened_is_an_error() {
    let path = LogPath::File("/nonexistent/directory/log".into());
    assert!(AccessLog::open(&config(path), Arc::new(Counter::new())).is_err());
}

#[test]
fn failures_are_reported_once_a_minute() {
    let (queue, entries) = mpsc::sync_channel(1);
    let dropped = Arc::new(Counter::new());
    let (_, mut writer) =
        AccessLog::new(&config(LogPath::Stderr), dropped, queue, entries).unwrap();
    let mut reported_at = |seconds: u64| {
        let now = Moment::from_micros(seconds * 1_000_000);
        let loss = Loss {
            lines: 1,
            error: io::ErrorKind::StorageFull.into(),
        };
        writer.report(&loss, now);
        writer.reported == Some(now)
    };
    assert!(reported_at(100));
    assert!(!reported_at(159));
    assert!(reported_at(160));
    assert!(!reported_at(161));
}
