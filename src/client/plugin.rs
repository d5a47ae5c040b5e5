//! Tokens that a program gives which a kubeconfig names (`exec`, `auth-provider`): the Kubernetes library runs it, and what
//! it puts into a request is taken out here, for kubelets want the same token. Files are left to `credentials`.

use super::credentials::Secret;
use futures_util::future::{BoxFuture, ready};
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use kube::client::middleware::AuthLayer;
use kube::client::{AuthError, Body, ConfigExt};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// How long a program is left alone after it ran: a thousand kubelets that refuse a token ask for one run, not for a
/// thousand.
const PAUSE: Duration = Duration::from_secs(10);

/// Why a program gave no token. What it printed is not said: it may be one.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// It cannot be started.
    #[error("the kubeconfig's program for credentials cannot be started; see that it is installed: {0}")]
    Start(std::io::Error),
    /// It failed.
    #[error("the kubeconfig's program for credentials failed with {0}; run it by hand")]
    Failed(std::process::ExitStatus),
    /// What it printed is no credential.
    #[error("the kubeconfig's program for credentials printed none; run it by hand")]
    NoCredential,
    /// The library refuses the entry.
    #[error("the kubeconfig's user cannot be used: {0}")]
    Refused(String),
    /// The thread that ran it ended.
    #[error("the kubeconfig's program for credentials was interrupted")]
    Interrupted,
}

impl From<kube::Error> for PluginError {
    fn from(error: kube::Error) -> Self {
        let kube::Error::Auth(error) = error else { return Self::Refused(error.to_string()) };
        match error {
            AuthError::AuthExecStart(error) => Self::Start(error),
            AuthError::AuthExecRun { out, .. } => Self::Failed(out.status),
            AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => Self::NoCredential,
            // These begin with what was printed.
            AuthError::AuthExec(_) | AuthError::MalformedTokenExpirationDate(_) => Self::NoCredential,
            other => Self::Refused(other.to_string()),
        }
    }
}

/// A program that gives tokens. The library runs it again shortly before a token expires.
pub struct Plugin {
    config: kube::Config,
    state: Mutex<State>,
}

struct State {
    layer: Arc<AuthLayer>,
    ran: Option<Duration>,
    last: Option<Secret>,
    failing: bool,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plugin")
    }
}

impl Plugin {
    /// Runs the program. None where it gives no token but a certificate, which the library shows by itself.
    ///
    /// # Errors
    /// When it gives nothing.
    pub async fn new(config: &kube::Config) -> Result<Option<Self>, PluginError> {
        let Some(layer) = run(config.clone()).await? else { return Ok(None) };
        let state = State { layer: Arc::new(layer), ran: None, last: None, failing: false };
        Ok(Some(Self { config: config.clone(), state: Mutex::new(state) }))
    }

    /// The token that it gave last.
    pub(super) fn last(&self) -> Option<Secret> {
        self.state().last.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its token; the last one while it fails.
    pub(super) async fn token(&self, now: Duration) -> Option<Secret> {
        let layer = {
            let state = self.state();
            if state.failing && state.ran.is_some_and(|ran| now.saturating_sub(ran) < PAUSE) {
                return state.last.clone();
            }
            state.layer.clone()
        };
        let told = header(&layer).await;
        let mut state = self.state();
        match told {
            Ok(header) => {
                if state.failing {
                    log::info!("the kubeconfig's program gives credentials again");
                }
                state.failing = false;
                state.last = header.and_then(|header| token(&header));
            }
            Err(error) => {
                if !state.failing {
                    log::warn!("{error}");
                }
                (state.failing, state.ran) = (true, Some(now));
            }
        }
        state.last.clone()
    }

    /// Its token after it ran once more, if it did not do so just now.
    pub(super) async fn run_again(&self, now: Duration) -> Option<Secret> {
        {
            let mut state = self.state();
            if state.ran.is_some_and(|ran| now.saturating_sub(ran) < PAUSE) {
                return state.last.clone();
            }
            state.ran = Some(now);
        }
        match run(self.config.clone()).await {
            Ok(Some(layer)) => self.state().layer = Arc::new(layer),
            Ok(None) => {}
            Err(error) => log::warn!("{error}"),
        }
        self.token(now).await
    }
}

/// Has the library run the program, on a thread where that may take its time.
async fn run(config: kube::Config) -> Result<Option<AuthLayer>, PluginError> {
    let ran = tokio::task::spawn_blocking(move || config.auth_layer()).await;
    ran.map_err(|_| PluginError::Interrupted)?.map_err(PluginError::from)
}

/// What the library would send.
async fn header(layer: &AuthLayer) -> Result<Option<HeaderValue>, PluginError> {
    let tell = service_fn(|request: Request<Body>| {
        ready(Ok::<_, BoxError>(Response::new(request.headers().get(AUTHORIZATION).cloned())))
    });
    let asked: BoxFuture<'static, Result<_, BoxError>> =
        Box::pin(layer.layer(tell).oneshot(Request::new(Body::empty())));
    let told = asked.await;
    told.map(Response::into_body).map_err(|error| match error.downcast::<AuthError>() {
        Ok(error) => kube::Error::Auth(*error).into(),
        Err(_) => PluginError::NoCredential,
    })
}

fn token(header: &HeaderValue) -> Option<Secret> {
    header.to_str().ok()?.strip_prefix("Bearer ").map(Secret::new)
}
