//! Answers http-01 challenges (RFC 8555 §8.3) and nothing else. It listens only while an order is in
//! progress, or all the time if another relay that shares the certificate may order.

use super::Shared;
use crate::connections::{self, Bounds};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it answers with: what this relay ordered, and what others that share the certificate did.
#[derive(Clone, Default)]
struct Answers {
    own: Arc<RwLock<HashMap<String, String>>>,
    shared: Option<Arc<dyn Shared>>,
}

/// A listening responder. Dropping it stops listening.
pub(super) struct Responder {
    answers: Answers,
    task: JoinHandle<()>,
}

impl Responder {
    /// Starts to listen. The error is a text that names the address.
    pub(super) async fn bind(address: SocketAddr, shared: Option<Arc<dyn Shared>>) -> Result<Self, String> {
        let socket = TcpListener::bind(address).await.map_err(|error| {
            format!("ACME challenges cannot be answered: cannot listen on {address}: {error}")
        })?;
        let answers = Answers { shared, ..Answers::default() };
        let router = Router::new()
            .route("/.well-known/acme-challenge/{token}", get(answer))
            .with_state(answers.clone());
        let task = tokio::spawn(async move {
            if let Err(error) =
                connections::serve(socket, router, bounds(), connections::Tally::default()).await
            {
                tracing::warn!(%error, "ACME challenges cannot be answered any more");
            }
        });
        Ok(Self { answers, task })
    }

    /// Answers requests for this token with `authorization` from now on.
    ///
    /// # Errors
    /// The other relays cannot be told; the text is for the log.
    pub(super) async fn answer(&self, token: &str, authorization: &str) -> Result<(), String> {
        {
            let mut answers = self.answers.own.write().unwrap_or_else(PoisonError::into_inner);
            answers.insert(token.to_owned(), authorization.to_owned());
        }
        match &self.answers.shared {
            Some(shared) => shared.challenge(token, authorization).await,
            None => Ok(()),
        }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Limits for the responder: an authority sends one request from each of a few addresses, but the port is
/// open to everybody.
fn bounds() -> Bounds {
    Bounds {
        all: 64,
        per_address: 16,
        header: Duration::from_secs(5),
        life: Duration::from_secs(30),
        ..Bounds::default()
    }
}

async fn answer(State(answers): State<Answers>, Path(token): Path<String>) -> Response {
    let own = answers.own.read().unwrap_or_else(PoisonError::into_inner).get(&token).cloned();
    let found = match (own, &answers.shared) {
        (None, Some(shared)) => shared.answer(&token).await,
        (own, _) => own,
    };
    match found {
        Some(text) => ([(header::CONTENT_TYPE, "application/octet-stream")], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn asked(address: SocketAddr, token: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /.well-known/acme-challenge/{token} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }

    /// Anybody can connect while an order is in progress; the authority must still be answered.
    #[tokio::test]
    async fn silent_clients_do_not_keep_the_authority_out() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let responder = Responder::bind(free, None).await.unwrap();
        responder.answer("token", "token.print").await.unwrap();
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(free).await.unwrap());
        }
        let answer = asked(free, "token").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("token.print"), "{answer}");
        assert!(asked(free, "other").await.starts_with("HTTP/1.1 404"));
        let mut ended = 0;
        for stream in &mut silent {
            let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut [0; 1])).await;
            // Closed or reset: either way it is gone.
            ended += usize::from(read.is_ok());
        }
        assert!(ended >= 200 - bounds().per_address - 1, "{ended} of 200 were left");
    }
}
