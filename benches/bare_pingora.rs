//! A bare Pingora proxy: round robin over the given backends and nothing else.
//!
//! It is what `benches/proxy/run` measures Evenkeel against. Everything is
//! Pingora's default but the address and the number of threads. It is a bench
//! target so that it is built like the product and not shipped with it.

use std::process::ExitCode;

use async_trait::async_trait;
use pingora_core::prelude::*;
use pingora_core::server::RunArgs;
use pingora_core::server::configuration::ServerConf;
use pingora_load_balancing::LoadBalancer;
use pingora_load_balancing::selection::RoundRobin;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

/// Backends looked at for one request; with all of them healthy the first one is taken.
const MAX_ITERATIONS: usize = 256;

struct Bare(LoadBalancer<RoundRobin>);

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let backend = self
            .0
            .select(b"", MAX_ITERATIONS)
            .ok_or_else(|| Error::explain(HTTPStatus(503), "no backend"))?;
        Ok(Box::new(HttpPeer::new(backend, false, String::new())))
    }
}

fn main() -> ExitCode {
    // `cargo bench` runs every bench target, this one with `--bench` alone: nothing to do then.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let [address, threads, backends @ ..] = arguments.as_slice() else {
        return ExitCode::SUCCESS;
    };
    let (Ok(threads), Ok(backends)) = (threads.parse(), LoadBalancer::try_from_iter(backends))
    else {
        return ExitCode::from(2);
    };
    serve(address, threads, backends)
}

fn serve(address: &str, threads: usize, backends: LoadBalancer<RoundRobin>) -> ExitCode {
    let conf = ServerConf {
        threads,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut proxy = http_proxy_service(&server.configuration, Bare(backends));
    proxy.add_tcp(address);
    server.add_service(proxy);
    server.run(RunArgs::default());
    ExitCode::SUCCESS
}
