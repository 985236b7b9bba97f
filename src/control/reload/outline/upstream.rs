//! An upstream in an outline.

use super::item::Item;
use crate::config::{
    ActiveCheck, ClientCert, Discovery, Ejection, HashKey, Health, HttpProbe, Outlier, Passive,
    Probe, Protocol, Queue, SecureCookie, Source, Sticky, Timeouts, Upstream, UpstreamTls,
};
use crate::control::reload::value::{Keys, count, duration, option, percent, ranges};

/// Who may join. What a source looks at is its id; how, is told only as a difference.
fn sources(discovery: &Discovery, keys: &mut Keys) {
    let Discovery { registry, sources } = discovery;
    keys.say("discovery.registry", option(registry.as_ref()));
    for Source {
        id,
        max_backends,
        kind,
    } in sources
    {
        let text = format!("at most {max_backends}");
        let whole = format!("{max_backends} {kind:?}");
        keys.secretly(&format!("discovery.{id}"), text, whole.as_bytes());
    }
}

/// One upstream, its backends left out.
pub(super) fn upstream(upstream: &Upstream) -> Item {
    let Upstream {
        name,
        algorithm,
        hash_key,
        backends,
        discovery,
        sticky,
        max_in_flight_per_backend,
        queue,
        timeouts,
        max_idle_per_backend,
        protocol,
        tls,
        panic_threshold,
        slow_start,
        health,
    } = upstream;
    let mut keys = Keys::default();
    keys.say("algorithm", algorithm.name());
    let hashed = match hash_key {
        HashKey::ClientIp => "client_ip".to_owned(),
        HashKey::Header(name) => format!("header {name}"),
        HashKey::Cookie(name) => format!("cookie {name}"),
        HashKey::Path => "path".to_owned(),
    };
    keys.say("hash_key", hashed);
    sources(discovery, &mut keys);
    keys.say("sticky", option(sticky.as_ref().map(stickiness)));
    keys.say("max_in_flight_per_backend", max_in_flight_per_backend);
    connection(*queue, *timeouts, &mut keys);
    keys.say("pool.max_idle_per_backend", max_idle_per_backend);
    let protocol = match protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
        Protocol::Auto => "auto",
    };
    keys.say("protocol", protocol);
    keys.say("tls", option(tls.as_ref().map(encryption)));
    keys.say("panic_threshold", percent(*panic_threshold));
    keys.say("slow_start", duration(*slow_start));
    watching(health, &mut keys);
    Item {
        kind: "upstream",
        path: format!("upstreams.{name}"),
        summary: count(backends.len(), "backend"),
        keys,
    }
}

fn connection(queue: Queue, timeouts: Timeouts, keys: &mut Keys) {
    let Queue { size, timeout } = queue;
    keys.say("queue.size", size);
    keys.say("queue.timeout", duration(timeout));
    let Timeouts {
        connect,
        read,
        write,
        idle,
        tunnel,
    } = timeouts;
    let limits = [
        ("timeouts.connect", connect),
        ("timeouts.read", read),
        ("timeouts.write", write),
        ("timeouts.idle", idle),
        ("timeouts.tunnel", tunnel),
    ];
    for (key, limit) in limits {
        keys.say(key, duration(limit));
    }
}

fn stickiness(sticky: &Sticky) -> String {
    let Sticky {
        cookie,
        ttl,
        secure,
    } = sticky;
    let secure = match secure {
        SecureCookie::Auto => "auto",
        SecureCookie::Always => "always",
        SecureCookie::Never => "never",
    };
    format!("cookie {cookie}, ttl {}, secure {secure}", duration(*ttl))
}

fn encryption(tls: &UpstreamTls) -> String {
    let UpstreamTls {
        sni,
        ca,
        client_cert,
        verify,
    } = tls;
    let ca = option(ca.as_ref().map(|path| path.display()));
    let (sni, own) = (option(sni.as_ref()), shown(client_cert.as_ref()));
    format!("sni {sni}, ca {ca}, client_cert {own}, verify {verify}")
}

/// What is shown to the other side.
pub(super) fn shown(client_cert: Option<&ClientCert>) -> String {
    option(client_cert.map(|files| {
        let ClientCert { cert, key } = files;
        format!("{} with {}", cert.display(), key.display())
    }))
}

fn watching(health: &Health, keys: &mut Keys) {
    let Health {
        active,
        passive,
        outlier,
        ejection,
        initially_up,
    } = health;
    match active {
        Some(active) => checking(active, keys),
        None => keys.say("health.active", "null"),
    }
    keys.say("health.passive", option(passive.as_ref().map(failing)));
    keys.say("health.outlier", option(outlier.as_ref().map(slow)));
    let Ejection {
        base,
        max,
        max_ejected,
    } = ejection;
    keys.say("health.ejection.base", duration(*base));
    keys.say("health.ejection.max", duration(*max));
    keys.say("health.ejection.max_ejected", percent(*max_ejected));
    keys.say("health.initial", if *initially_up { "up" } else { "down" });
}

fn checking(active: &ActiveCheck, keys: &mut Keys) {
    let ActiveCheck {
        probe,
        port,
        interval,
        timeout,
        rise,
        fall,
        jitter,
        concurrency,
    } = active;
    let what = probing(probe, keys);
    keys.say("health.active", what);
    keys.say("health.active.port", option(port.as_ref()));
    keys.say("health.active.interval", duration(*interval));
    keys.say("health.active.timeout", duration(*timeout));
    keys.say("health.active.rise", rise);
    keys.say("health.active.fall", fall);
    keys.say("health.active.jitter", percent(*jitter));
    keys.say("health.active.concurrency", concurrency);
}

fn probing(probe: &Probe, keys: &mut Keys) -> String {
    match probe {
        Probe::Http(HttpProbe {
            path,
            host,
            headers,
            expect,
            body,
        }) => {
            for (name, value) in headers {
                let key = format!("health.active.headers.{name}");
                keys.secretly(&key, "(set)".to_owned(), value.as_bytes());
            }
            let (host, body) = (option(host.as_ref()), option(body.as_ref()));
            let expect = ranges(expect);
            format!("http {path}, host {host}, expect {expect}, body {body}")
        }
        Probe::Tcp => "tcp".to_owned(),
        Probe::Grpc { service } => format!("grpc {service:?}"),
    }
}

fn failing(passive: &Passive) -> String {
    let Passive {
        consecutive_failures,
        failure_ratio,
        window,
        min_requests,
    } = passive;
    let (ratio, window) = (percent(*failure_ratio), duration(*window));
    format!(
        "consecutive_failures {consecutive_failures}, failure_ratio {ratio}, window {window}, min_requests {min_requests}"
    )
}

fn slow(outlier: &Outlier) -> String {
    let Outlier {
        enforce,
        deviations,
        ratio,
        floor,
        min_requests,
        windows,
        window,
    } = outlier;
    let mode = if *enforce { "enforce" } else { "observe" };
    let (floor, window) = (duration(*floor), duration(*window));
    format!(
        "mode {mode}, deviations {deviations}, ratio {ratio}, floor {floor}, min_requests {min_requests}, windows {windows}, window {window}"
    )
}
