//! Builds the router together with a list of its routes, so that tests know every route.

use super::Site;
use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use std::sync::{Arc, LazyLock};

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: String,
    /// The path, with `{…}` for parameters.
    pub path: String,
}

/// Paths that a browser can open.
static PAGES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let routes = super::routes();
    let pages =
        routes.list().iter().filter(|route| route.method == "GET" && !NEEDING_MORE.contains(&&*route.path));
    pages.map(|route| route.path.clone()).collect()
});

/// Paths that need a query.
const NEEDING_MORE: [&str; 3] = ["/bulk", "/login/oidc", "/login/oidc/return"];

/// The page that contains the form of this path: the path itself if it can be opened, otherwise its closest
/// parent that can.
pub(super) fn page_of(path: &str) -> &str {
    let mut cut = path;
    while !cut.is_empty() {
        if PAGES.iter().any(|page| fits(page, cut)) {
            return cut;
        }
        cut = cut.rfind('/').map_or("", |at| &cut[..at]);
    }
    "/"
}

/// Whether a path matches a route.
fn fits(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == part || (wanted.starts_with('{') && !part.is_empty()) => {
            }
            _ => return false,
        }
    }
}

/// A router under construction, with the list of its routes.
#[derive(Default)]
pub struct Routes {
    router: Router<Arc<Site>>,
    list: Vec<Route>,
}

impl Routes {
    /// No routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a handler of GET (and HEAD), which must not change anything.
    #[must_use]
    pub fn get<H: Handler<T, Arc<Site>>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.on(&Method::GET, MethodFilter::GET, path, handler)
    }

    /// Adds a handler of POST.
    #[must_use]
    pub fn post<H: Handler<T, Arc<Site>>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.on(&Method::POST, MethodFilter::POST, path, handler)
    }

    /// Adds a handler of PUT.
    #[must_use]
    pub fn put<H: Handler<T, Arc<Site>>, T: 'static>(self, path: &str, handler: H) -> Self {
        self.on(&Method::PUT, MethodFilter::PUT, path, handler)
    }

    /// Adds a handler of DELETE.
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

    /// Adds other routes.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.list.extend(other.list);
        self.router = self.router.merge(other.router);
        self
    }

    /// All routes, in order.
    pub fn list(&self) -> &[Route] {
        &self.list
    }

    /// The router.
    pub fn into_router(self) -> Router<Arc<Site>> {
        self.router
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_stands_on_a_page_that_can_be_opened() {
        for route in super::super::routes().list().iter().filter(|route| route.method == "POST") {
            let page = page_of(&route.path);
            assert!(page == "/" || PAGES.iter().any(|known| fits(known, page)), "{}: {page}", route.path);
        }
        for (path, page) in [
            ("/held/abc/release", "/held/abc"),
            ("/held/abc/return", "/held/abc/return"),
            ("/bulk", "/"),
            ("/circles", "/circles"),
            ("/circles/3/end", "/circles"),
            ("/login/code/send", "/login/code"),
            ("/login", "/login"),
            ("/language", "/"),
            ("/logout", "/"),
            ("/l/secret", "/l/secret"),
            ("/nowhere/at/all", "/"),
            ("", "/"),
        ] {
            assert_eq!(page_of(path), page, "{path}");
        }
    }
}
