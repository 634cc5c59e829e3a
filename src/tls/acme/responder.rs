//! Answers http-01 challenges (RFC 8555 §8.3), and nothing else. It listens while an order is under way
//! only.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Answers = Arc<RwLock<HashMap<String, String>>>;

/// Dropped, it listens no more.
pub(super) struct Responder {
    answers: Answers,
    task: JoinHandle<()>,
}

impl Responder {
    /// Listens. The error says where it could not.
    pub(super) async fn bind(address: SocketAddr) -> Result<Self, String> {
        let socket = TcpListener::bind(address)
            .await
            .map_err(|error| format!("challenges cannot be answered: cannot listen on {address}: {error}"))?;
        let answers = Answers::default();
        let router = Router::new()
            .route("/.well-known/acme-challenge/{token}", get(answer))
            .with_state(Arc::clone(&answers));
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(socket, router).await {
                tracing::warn!(%error, "challenges are not answered any more");
            }
        });
        Ok(Self { answers, task })
    }

    /// From now on this token is answered so.
    pub(super) fn answer(&self, token: &str, authorization: &str) {
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), authorization.to_owned());
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(answers): State<Answers>, Path(token): Path<String>) -> Response {
    let found = answers.read().unwrap_or_else(PoisonError::into_inner).get(&token).cloned();
    match found {
        Some(text) => ([(header::CONTENT_TYPE, "application/octet-stream")], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
