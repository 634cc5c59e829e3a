//! The health of each part of a running relay, for `/readyz`.

use crate::courier::CourierHandle;
use crate::listener::Alive;
use crate::web::Health;
use std::future::Future;
use std::pin::Pin;
use tokio::sync::watch;

/// The parts besides the store.
pub(super) struct Parts {
    listeners: Vec<Alive>,
    courier: CourierHandle,
    failure: watch::Receiver<Option<String>>,
}

impl Parts {
    pub(super) fn new(
        listeners: Vec<Alive>,
        courier: CourierHandle,
        failure: watch::Receiver<Option<String>>,
    ) -> Self {
        Self { listeners, courier, failure }
    }

    async fn ask(&self) -> Result<(), String> {
        if let Some(why) = self.failure.borrow().as_deref() {
            return Err(why.to_owned());
        }
        if !self.courier.is_whole() {
            return Err("a task of the courier ended".to_owned());
        }
        for listener in &self.listeners {
            if !listener.accepts().await {
                return Err(format!("the listener on {} does not accept connections", listener.address()));
            }
        }
        Ok(())
    }
}

impl Health for Parts {
    fn check(&self) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + '_>> {
        Box::pin(self.ask())
    }
}
