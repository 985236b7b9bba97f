//! What Pingora asks of a connection besides bytes: the socket answers, while it is there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, raw_connect::ProxyDigest, tls::SslDigest,
};

use super::Downstream;

#[async_trait]
impl Shutdown for Downstream {
    async fn shutdown(&mut self) {
        if let Some(io) = &mut self.io {
            io.shutdown().await;
        }
    }
}

impl UniqueID for Downstream {
    fn id(&self) -> pingora_core::protocols::UniqueIDType {
        self.io.as_ref().map_or(-1, |io| io.id())
    }
}

impl Ssl for Downstream {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.io.as_ref()?.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.io.as_ref()?.selected_alpn_proto()
    }
}

#[async_trait]
impl Peek for Downstream {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        while self.lookahead.len() < buf.len() {
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        buf.copy_from_slice(&self.lookahead[..buf.len()]);
        Ok(true)
    }
}

impl GetTimingDigest for Downstream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        let io = self.io.as_ref();
        io.map(|io| io.get_timing_digest()).unwrap_or_default()
    }

    fn get_read_pending_time(&self) -> Duration {
        let io = self.io.as_ref();
        io.map(|io| io.get_read_pending_time()).unwrap_or_default()
    }

    fn get_write_pending_time(&self) -> Duration {
        let io = self.io.as_ref();
        io.map(|io| io.get_write_pending_time()).unwrap_or_default()
    }
}

impl GetProxyDigest for Downstream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.io.as_ref()?.get_proxy_digest()
    }
}

impl GetSocketDigest for Downstream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.io.as_ref()?.get_socket_digest()
    }
}
