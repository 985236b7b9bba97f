//! `/ws`: sends back every text and binary message; pings and closes are answered.

use futures_util::{SinkExt, StreamExt};
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::body::Answer;
use super::connection::Stopping;

const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Accepts the upgrade and echoes until either side ends; 426 when none was asked for.
pub(super) fn answer(request: &Parts, upgrade: OnUpgrade, stopping: Stopping) -> Response<Answer> {
    let websocket = HeaderValue::from_static("websocket");
    let asked = request
        .headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let mut response = Response::new(Answer::default());
    let headers = response.headers_mut();
    headers.insert(UPGRADE, websocket);
    let key = request.headers.get(SEC_WEBSOCKET_KEY).filter(|_| asked);
    let accept = key.and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok());
    if let Some(accept) = accept {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        tokio::spawn(serve(upgrade, stopping));
    } else {
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
    }
    response
}

async fn serve(upgrade: OnUpgrade, mut stopping: Stopping) {
    let Ok(upgraded) = upgrade.await else { return };
    let limits = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let mut socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await;
    tokio::select! {
        ended = echo(&mut socket) => {
            if let Err(error) = ended {
                log::debug!("WebSocket ended: {error}");
            }
        }
        () = stopping.begun() => {
            let going_away = CloseFrame { code: CloseCode::Away, reason: "the backend stops".into() };
            // The client may be gone already; then there is nobody to tell.
            let _ = socket.close(Some(going_away)).await;
        }
    }
}

async fn echo(socket: &mut WebSocketStream<TokioIo<Upgraded>>) -> Result<(), Error> {
    while let Some(message) = socket.next().await {
        match message? {
            message @ (Message::Text(_) | Message::Binary(_)) => socket.send(message).await?,
            // The library queues the pong and the closing frame; they leave with this flush.
            Message::Ping(_) | Message::Close(_) => match socket.flush().await {
                Ok(()) | Err(Error::ConnectionClosed) => {}
                Err(error) => return Err(error),
            },
            Message::Pong(_) | Message::Frame(_) => {}
        }
    }
    Ok(())
}
