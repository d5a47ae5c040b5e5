//! The bearer token on its way to the API server: read again at once where it is refused, and then sent once more. Where
//! it comes from is left to `credentials`.

use super::credentials::{Secret, Token};
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use kube::client::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service, ServiceExt};

/// Puts a token into every request.
pub(super) struct Bearer(pub Arc<Token>);

impl<S> Layer<S> for Bearer {
    type Service = WithBearer<S>;

    fn layer(&self, inner: S) -> WithBearer<S> {
        WithBearer { inner, token: self.0.clone() }
    }
}

/// A service whose requests carry a token.
pub(super) struct WithBearer<S> {
    inner: S,
    token: Arc<Token>,
}

type Answering<B, E> = BoxFuture<'static, Result<Response<B>, E>>;

impl<S, B> Service<Request<Body>> for WithBearer<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Answering<B, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Answering<B, S::Error> {
        let spare = self.inner.clone();
        let (mut inner, token) = (std::mem::replace(&mut self.inner, spare), self.token.clone());
        Box::pin(async move {
            let Some(sent) = token.get().await else { return inner.call(request).await };
            carry(&mut request, &sent);
            let again = copy(&request);
            let response = inner.call(request).await?;
            let Some(mut again) = again.filter(|_| response.status() == StatusCode::UNAUTHORIZED) else {
                return Ok(response);
            };
            if !token.refused(&sent).await {
                return Ok(response);
            }
            let Some(renewed) = token.get().await else { return Ok(response) };
            carry(&mut again, &renewed);
            inner.oneshot(again).await
        })
    }
}

/// A token that makes no header is not sent: the server then says that it knows nobody.
fn carry(request: &mut Request<Body>, token: &Secret) {
    if let Ok(mut header) = HeaderValue::try_from(format!("Bearer {}", token.reveal())) {
        header.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, header);
    }
}

/// The same request once more, where its body can be had twice.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let mut copy = Request::new(request.body().try_clone()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    *copy.extensions_mut() = request.extensions().clone();
    Some(copy)
}
