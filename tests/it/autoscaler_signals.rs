//! What the autoscaler makes of a Prometheus that answers well, badly or not at all.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::clock::Moment;
use evenkeel::config::{self, Driver, Percent, ScaleTarget, Secret, Signal, SignalKind, Steps};
use evenkeel::control::autoscale::decide::Reading;
use evenkeel::control::autoscale::prometheus::{Client, QueryError};
use evenkeel::control::autoscale::signals::{Live, Recent, Signals, cpu_query};

use crate::support::prometheus::now;
use crate::support::{Prometheus, Said};

/// From one decision to the next.
const INTERVAL: Duration = Duration::from_secs(15);

/// For answers that come: no machine is so slow.
const PATIENT: Duration = Duration::from_secs(20);

/// For answers that do not come.
const IMPATIENT: Duration = Duration::from_millis(150);

fn settings(url: &str, timeout: Duration) -> config::Prometheus {
    config::Prometheus {
        url: url.to_owned(),
        timeout,
        token: None,
    }
}

fn client(prometheus: &Prometheus) -> Client {
    Client::new(&settings(&prometheus.url(), PATIENT), INTERVAL).expect("an address")
}

/// What a query comes to when the server says this.
async fn asked(said: Said) -> Result<Vec<f64>, QueryError> {
    let prometheus = Prometheus::start(move |_| said.clone());
    client(&prometheus).query("up").await
}

/// The same, where it must fail.
async fn failure(said: Said) -> QueryError {
    asked(said).await.expect_err("it fails")
}

fn signal(name: &str, kind: SignalKind) -> Signal {
    Signal {
        name: name.to_owned(),
        kind,
        up: 0.7,
        down: 0.3,
        target: 0.5,
    }
}

fn target(signals: Vec<Signal>) -> ScaleTarget {
    let steps = Steps {
        window: Duration::ZERO,
        percent: 100,
        backends: 4,
        period: INTERVAL,
    };
    ScaleTarget {
        upstream: "web".to_owned(),
        min: 1,
        max: 10,
        signals,
        tolerance: Percent::default(),
        up: steps,
        down: steps,
        cooldown: Duration::ZERO,
        provisioning: INTERVAL,
        drain_timeout: INTERVAL,
        forecast: None,
        driver: Driver::Exec {
            program: "/bin/true".into(),
            arguments: Vec::new(),
            timeout: INTERVAL,
        },
    }
}

fn live() -> Live {
    Live {
        serving: 4,
        recent: Some(Recent {
            requests: 120.0,
            in_flight: 6.0,
            waiting: 2.0,
            p95: Some(0.1),
        }),
    }
}

fn measured(load: f64, reporting: u32) -> Reading {
    Reading::Measured { load, reporting }
}

fn at(seconds: u64) -> Moment {
    Moment::ZERO.after(Duration::from_secs(seconds))
}

fn why(reading: &Reading) -> &str {
    match reading {
        Reading::Failed(why) => why,
        Reading::Measured { .. } => panic!("{reading:?} did not fail"),
    }
}

#[tokio::test]
async fn every_series_of_an_instant_vector_is_a_value() {
    let prometheus = Prometheus::start(|_| Said::vector(&["0.25", "1e-1", "0"]));
    let query = r#"sum by (id) (rate(cpu{name="a&b=c %+ü"}[1m]))"#;
    let values = client(&prometheus).query(query).await;
    assert_eq!(values, Ok(vec![0.25, 0.1, 0.0]));
    let [asked] = &prometheus.asked()[..] else {
        panic!("it was asked once");
    };
    assert_eq!(asked.call, "POST /api/v1/query");
    assert_eq!(asked.value("query"), query);
    assert_eq!(asked.value("timeout"), "20");
    let form = "content-type: application/x-www-form-urlencoded";
    assert!(asked.head.contains(form), "{}", asked.head);
    assert!(!asked.head.contains("authorization"), "{}", asked.head);
}

#[tokio::test]
async fn a_scalar_is_one_value() {
    let said = Said::data("scalar", &format!(r#"[{},"2.5"]"#, now()));
    assert_eq!(asked(said).await, Ok(vec![2.5]));
}

#[tokio::test]
async fn the_token_and_the_path_of_the_configuration_are_used() {
    let prometheus = Prometheus::start(|_| Said::vector(&["1"]));
    let settings = config::Prometheus {
        url: format!("{}/some/path", prometheus.url()),
        timeout: PATIENT,
        token: Some(Secret::new("Abc.123".to_owned())),
    };
    let client = Client::new(&settings, INTERVAL).expect("an address");
    assert_eq!(client.query("up").await, Ok(vec![1.0]));
    let asked = &prometheus.asked()[0];
    assert_eq!(asked.call, "POST /some/path/api/v1/query");
    assert!(asked.head.contains("authorization: bearer abc.123"));
    assert!(!format!("{client:?}").contains("Abc.123"));
}

#[tokio::test]
async fn a_range_is_the_numbers_of_its_first_series() {
    let points = [(100.0, "1"), (115.0, "NaN"), (130.0, "+Inf"), (145.0, "2")];
    let prometheus = Prometheus::start(move |_| Said::matrix(&points));
    let client = client(&prometheus);
    let found = client.query_range("needed", 100.0, 145.0, INTERVAL).await;
    assert_eq!(found, Ok(vec![(100.0, 1.0), (145.0, 2.0)]));
    let asked = &prometheus.asked()[0];
    assert_eq!(asked.call, "POST /api/v1/query_range");
    let bounds = ["start", "end", "step"].map(|name| asked.value(name).to_owned());
    assert_eq!(bounds, ["100", "145", "15"]);
}

#[tokio::test]
async fn a_long_range_is_asked_for_in_pieces_that_prometheus_allows() {
    let prometheus = Prometheus::start(|asked| {
        let [start, end] = ["start", "end"].map(|name| asked.value(name).to_owned());
        let time = |text: &str| text.parse::<f64>().expect("a time");
        Said::matrix(&[(time(&start), "1"), (time(&end), "2")])
    });
    let client = client(&prometheus);
    let second = Duration::from_secs(1);
    let found = client.query_range("needed", 0.0, 24_999.0, second).await;
    let times: Vec<f64> = found.expect("data").into_iter().map(|(at, _)| at).collect();
    assert_eq!(
        times,
        [0.0, 9_999.0, 10_000.0, 19_999.0, 20_000.0, 24_999.0]
    );
    assert_eq!(prometheus.asked().len(), 3);
}

#[tokio::test]
async fn a_range_without_bound_or_data_is_refused() {
    let prometheus = Prometheus::start(|_| Said::data("matrix", "[]"));
    let client = client(&prometheus);
    let zero = Duration::ZERO;
    for (start, end, step) in [
        (0.0, 1e9, INTERVAL),
        (0.0, 10.0, zero),
        (10.0, 0.0, INTERVAL),
        (f64::NAN, 10.0, INTERVAL),
        (0.0, f64::INFINITY, INTERVAL),
    ] {
        let found = client.query_range("needed", start, end, step).await;
        assert!(matches!(found, Err(QueryError::BadQuery(_))), "{found:?}");
    }
    assert_eq!(prometheus.asked().len(), 0);
    let found = client.query_range("needed", 0.0, 60.0, INTERVAL).await;
    assert_eq!(found, Err(QueryError::NoData));
    prometheus.set(|_| Said::vector(&["1"]));
    let found = client.query_range("needed", 0.0, 60.0, INTERVAL).await;
    assert!(
        matches!(found, Err(QueryError::Foreign { .. })),
        "{found:?}"
    );
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let prometheus = Prometheus::start(|_| Said::End);
    let ended = client(&prometheus).query("up").await.expect_err("it ends");
    assert!(matches!(ended, QueryError::Unreachable { .. }), "{ended}");
    let reserved = crate::support::ports::Port::reserve();
    let url = format!("http://{}", reserved.address());
    let client = Client::new(&settings(&url, PATIENT), INTERVAL).expect("an address");
    let text = client.query("up").await.expect_err("refused").to_string();
    assert!(
        text.starts_with(&format!("{url} cannot be reached")),
        "{text}"
    );
    assert!(text.contains("refused"), "{text}");
    assert!(text.contains("autoscaler.prometheus.url"), "{text}");
    let client = Client::new(&settings("http://no.such.invalid:9", PATIENT), INTERVAL);
    let error = client.expect("an address").query("up").await;
    assert!(
        matches!(error, Err(QueryError::Unreachable { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_takes_too_long_times_out_whole() {
    for said in [Said::Nothing, Said::Drip(Duration::from_millis(20))] {
        let prometheus = Prometheus::start(move |_| said.clone());
        let client = Client::new(&settings(&prometheus.url(), IMPATIENT), INTERVAL);
        let error = client.expect("an address").query("up").await;
        let error = error.expect_err("nothing whole comes");
        assert!(matches!(error, QueryError::TimedOut { .. }), "{error}");
        assert!(error.to_string().contains("within 150ms"), "{error}");
    }
}

#[tokio::test]
async fn what_prometheus_says_of_its_failures_is_repeated() {
    let error = failure(Said::error(503, "timeout", "query timed out in expression")).await;
    assert!(matches!(error, QueryError::Server { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("503 Service Unavailable: timeout: query timed out"),
        "{text}"
    );
    for status in [429, 500, 502, 504] {
        let error = failure(Said::Json(status, "over\u{1b}[2J\r\nloaded".to_owned())).await;
        assert!(matches!(error, QueryError::Server { .. }), "{error:?}");
        assert!(error.to_string().contains("over [2J loaded"), "{error}");
    }
    let error = failure(Said::error(200, "internal", "broken")).await;
    assert!(matches!(error, QueryError::Server { .. }), "{error:?}");
}

#[tokio::test]
async fn a_bad_query_is_the_querys_fault() {
    for (status, kind) in [(400, "bad_data"), (422, "execution"), (200, "bad_data")] {
        let error = failure(Said::error(status, kind, "parse error: unexpected end")).await;
        assert!(matches!(error, QueryError::BadQuery(_)), "{error:?}");
        assert!(
            error.to_string().contains("parse error: unexpected end"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_wrong_address_is_the_configurations_fault() {
    let html = "<html><h1>Welcome</h1></html>";
    for said in [
        Said::Json(200, html.to_owned()),
        Said::Json(200, String::new()),
        Said::Json(200, "{}".to_owned()),
        Said::Json(200, r#"{"status":"success"}"#.to_owned()),
        Said::Json(200, r#"{"status":"success","data":{"resultType":"tensor","result":[]}}"#.to_owned()),
        Said::Json(200, r#"{"status":"success","data":{"resultType":"vector","result":[{"value":[1e999,"1"]}]}}"#.to_owned()),
        Said::Json(200, r#"{"status":"success","data":{"resultType":"vector","result":[{"value":["#.to_owned()),
        Said::Json(200, "[".repeat(100_000)),
        Said::Json(404, html.to_owned()),
        Said::Json(400, html.to_owned()),
        Said::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        Said::Bytes(b"\x16\x03\x01\x00\xff\xfe\r\n\r\n".to_vec()),
        Said::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe".to_vec()),
    ] {
        let error = failure(said.clone()).await;
        assert!(matches!(error, QueryError::Foreign { .. }), "{said:?}: {error:?}");
        assert!(error.to_string().contains("autoscaler.prometheus.url"), "{error}");
        assert!(error.to_string().len() < 600, "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_named_and_not_followed() {
    let other = Prometheus::start(|_| Said::vector(&["1"]));
    let to = format!("{}/api/v1/query", other.url());
    for status in [301, 302, 307, 308] {
        let head =
            format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let error = failure(Said::Bytes(head.into_bytes())).await;
        assert!(matches!(error, QueryError::Redirected { .. }), "{error:?}");
        assert!(error.to_string().contains(&to), "{error}");
    }
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn a_missing_token_is_named() {
    for status in [401, 403] {
        let error = failure(Said::Json(status, "Unauthorized".to_owned())).await;
        assert!(matches!(error, QueryError::Denied { .. }), "{error:?}");
        assert!(
            error.to_string().contains("autoscaler.prometheus.token"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    let huge = " ".repeat((1 << 20) + 1);
    let error = failure(Said::Json(200, huge)).await;
    assert!(matches!(error, QueryError::TooLong(_)), "{error:?}");
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 18, " ".repeat(1 << 18));
    let endless = [&head[..], chunk.repeat(8).as_bytes()].concat();
    let error = failure(Said::Bytes(endless)).await;
    assert!(matches!(error, QueryError::TooLong(_)), "{error:?}");
    let many: Vec<&str> = std::iter::repeat_n("0.5", 1_000).collect();
    assert_eq!(
        asked(Said::vector(&many)).await.expect("it fits").len(),
        1_000
    );
}

#[tokio::test]
async fn what_breaks_off_is_no_answer() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"status\":\"success\"",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"st",
        "HTTP/1.1 200 O",
    ] {
        let error = failure(Said::Bytes(bytes.as_bytes().to_vec())).await;
        assert!(matches!(error, QueryError::Unreachable { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn data_that_are_not_good_enough_are_no_data() {
    assert_eq!(failure(Said::vector(&[])).await, QueryError::NoData);
    for value in ["NaN", "+Inf", "-Inf", "1e999", "many"] {
        let error = failure(Said::vector(&["0.5", value])).await;
        assert_eq!(error, QueryError::NotFinite(value.to_owned()));
    }
    let old = failure(Said::vector_at(now() - 45.0, &["0.5"])).await;
    assert!(matches!(old, QueryError::Stale(-60..=-40)), "{old}");
    let ahead = failure(Said::vector_at(now() + 45.0, &["0.5"])).await;
    assert!(matches!(ahead, QueryError::Stale(30..=50)), "{ahead}");
    let recent = asked(Said::vector_at(now() - 10.0, &["0.5"])).await;
    assert_eq!(recent, Ok(vec![0.5]));
    let histogram = r#"[{"metric":{},"histogram":[1,{"count":"1","sum":"1"}]}]"#;
    let error = failure(Said::data("vector", histogram)).await;
    assert_eq!(error, QueryError::WrongType("a native histogram"));
    let error = failure(Said::matrix(&[(now(), "1")])).await;
    assert_eq!(error, QueryError::WrongType("a range vector"));
    let error = failure(Said::data("string", r#"[1,"text"]"#)).await;
    assert_eq!(error, QueryError::WrongType("a string"));
}

#[tokio::test]
async fn a_warning_means_that_data_may_be_missing() {
    let with = |more: &str| {
        let result = format!(r#"[{{"metric":{{}},"value":[{},"0.5"]}}]"#, now());
        let data = format!(r#""data":{{"resultType":"vector","result":{result}}}"#);
        Said::Json(200, format!(r#"{{"status":"success",{data},{more}}}"#))
    };
    let error = failure(with(r#""warnings":["store 2 does not answer"]"#)).await;
    assert_eq!(
        error,
        QueryError::Partial("store 2 does not answer".to_owned())
    );
    for harmless in [r#""warnings":[]"#, r#""infos":["may be no counter"]"#] {
        assert_eq!(asked(with(harmless)).await, Ok(vec![0.5]));
    }
}

#[tokio::test]
async fn signals_are_loads_in_full_backends_in_their_order() {
    let prometheus = Prometheus::start(|asked| {
        if asked.value("query") == cpu_query("web") {
            Said::vector(&["0.5", "0.75", "1"])
        } else {
            Said::vector(&["30", "60"])
        }
    });
    let query = "jobs".to_owned();
    let target = target(vec![
        signal("cpu", SignalKind::Cpu { query: None }),
        signal("jobs", SignalKind::Query { query, full: 40.0 }),
        signal("requests", SignalKind::Requests { full: 60.0 }),
        signal("in_flight", SignalKind::InFlight { full: 4.0 }),
        signal("queue", SignalKind::Queue { full: 4.0 }),
        signal(
            "p95",
            SignalKind::P95 {
                full: Duration::from_millis(200),
            },
        ),
    ]);
    let mut signals = Signals::new(&target, Some(Arc::new(client(&prometheus))));
    let readings = signals.read(&live(), at(0), 1).await;
    let expected = [
        measured(2.25, 3),
        measured(2.25, 2),
        measured(2.0, 4),
        measured(1.5, 4),
        measured(0.5, 4),
        measured(2.0, 4),
    ];
    assert_eq!(readings, expected);
}

#[tokio::test]
async fn queries_of_a_target_run_at_the_same_time() {
    let together = Arc::new(std::sync::Barrier::new(3));
    let prometheus = Prometheus::start(move |_| {
        together.wait();
        Said::vector(&["1"])
    });
    let one = |name: &str| {
        let query = name.to_owned();
        signal(name, SignalKind::Query { query, full: 1.0 })
    };
    let target = target(vec![one("a"), one("b"), one("c")]);
    let mut signals = Signals::new(&target, Some(Arc::new(client(&prometheus))));
    let readings = signals.read(&live(), at(0), 1).await;
    assert_eq!(
        readings,
        [measured(1.0, 1), measured(1.0, 1), measured(1.0, 1)]
    );
}

/// A server that fails is asked less and less, and again as ever once it answers.
#[tokio::test]
async fn a_failing_server_is_asked_with_pauses_and_the_reading_stays_failed() {
    let prometheus = Prometheus::start(|_| Said::error(503, "unavailable", "starting up"));
    let cpu = vec![signal("cpu", SignalKind::Cpu { query: None })];
    let mut signals = Signals::new(&target(cpu), Some(Arc::new(client(&prometheus))));
    let mut state = 7_u64;
    for second in 0..3_600 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let readings = signals.read(&live(), at(second), state).await;
        assert!(why(&readings[0]).contains("starting up"), "{readings:?}");
    }
    // A mean wait of half a minute: an hour has 120 of them.
    let count = prometheus.asked().len();
    assert!((90..=160).contains(&count), "asked {count} times");
    prometheus.set(|_| Said::vector(&["0.5"]));
    let mut readings = Vec::new();
    for second in 3_600..3_662 {
        readings = signals.read(&live(), at(second), 3).await;
    }
    assert_eq!(readings, [measured(0.5, 1)]);
    let before = prometheus.asked().len();
    signals.read(&live(), at(3_662), 3).await;
    assert_eq!(prometheus.asked().len(), before + 1);
}

#[tokio::test]
async fn data_that_are_missing_are_asked_for_as_ever() {
    let prometheus = Prometheus::start(|_| Said::vector(&[]));
    let cpu = vec![signal("cpu", SignalKind::Cpu { query: None })];
    let mut signals = Signals::new(&target(cpu), Some(Arc::new(client(&prometheus))));
    for _ in 0..10 {
        let readings = signals.read(&live(), at(0), u64::MAX).await;
        let why = why(&readings[0]);
        assert!(why.contains("evenkeel.upstream=web"), "{why}");
        assert!(why.contains("CPU limit"), "{why}");
    }
    assert_eq!(prometheus.asked().len(), 10);
    prometheus.set(|_| Said::vector(&["NaN"]));
    let readings = signals.read(&live(), at(0), 1).await;
    assert!(why(&readings[0]).contains("NaN"), "{readings:?}");
    prometheus.set(|_| Said::vector(&["-5", "6"]));
    let readings = signals.read(&live(), at(0), 1).await;
    assert!(why(&readings[0]).contains("-5"), "{readings:?}");
}
