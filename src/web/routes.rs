//! Routes that can be counted: the router and the list of what it answers are made together, so that a
//! test knows every one.

use super::Site;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use std::sync::Arc;

/// One thing the router answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: String,
    /// The path, with `{…}` for what differs.
    pub path: String,
}

/// A router in the making, with the list of its routes.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<Site>>,
    list: Vec<Route>,
}

impl Routes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// What GET (and HEAD) of a path answers. It changes nothing.
    #[must_use]
    pub fn get<H: Handler<T, Arc<Site>>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.on(&Method::GET, MethodFilter::GET, path, handler)
    }

    /// What POST to a path does.
    #[must_use]
    pub fn post<H: Handler<T, Arc<Site>>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.on(&Method::POST, MethodFilter::POST, path, handler)
    }

    /// What PUT to a path does.
    #[must_use]
    pub fn put<H: Handler<T, Arc<Site>>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.on(&Method::PUT, MethodFilter::PUT, path, handler)
    }

    /// What DELETE of a path does.
    #[must_use]
    pub fn delete<H: Handler<T, Arc<Site>>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.on(&Method::DELETE, MethodFilter::DELETE, path, handler)
    }

    fn on<H: Handler<T, Arc<Site>>, T: 'static>(
        mut self,
        method: &Method,
        filter: MethodFilter,
        path: &str,
        handler: H,
    ) -> Self {
        self.list.push(Route { method: method.to_string(), path: path.to_owned() });
        self.router = self.router.route(path, on(filter, handler));
        self
    }

    /// These and those.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self.router = self.router.merge(other.router);
        self
    }

    /// Every route, in order.
    pub fn list(&self) -> &[Route] {
        &self.list
    }

    /// The router itself.
    pub fn into_router(self) -> Router<Arc<Site>> {
        self.router
    }
}
