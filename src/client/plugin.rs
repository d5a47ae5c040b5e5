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

/// The most characters of what a program said on standard error that are shown.
const SHOWN: usize = 200;

/// Why a program gave no token. What it printed is not said: it may be one.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// It cannot be started.
    #[error(
        "the kubeconfig's program for credentials, {0:?}, cannot be started; see that it is installed: {1}"
    )]
    Start(String, std::io::Error),
    /// It failed: with which status, and what it said on standard error.
    #[error("the kubeconfig's program for credentials, {0:?}, failed with {1}{2}; run it by hand")]
    Failed(String, std::process::ExitStatus, String),
    /// What it printed is no credential.
    #[error("the kubeconfig's program for credentials, {0:?}, printed none; run it by hand")]
    NoCredential(String),
    /// The library refuses the entry.
    #[error("the kubeconfig's user cannot be used: {0}")]
    Refused(String),
    /// The thread that ran it ended.
    #[error("the kubeconfig's program for credentials, {0:?}, was interrupted")]
    Interrupted(String),
}

impl PluginError {
    fn new(program: String, error: AuthError) -> Self {
        match error {
            AuthError::AuthExecStart(error) => Self::Start(program, error),
            AuthError::AuthExecRun { out, .. } => {
                let text = String::from_utf8_lossy(&out.stderr);
                let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let said: String = text.chars().take(SHOWN).collect();
                let said = if said.is_empty() { said } else { format!(", saying {said:?}") };
                Self::Failed(program, out.status, said)
            }
            AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => Self::NoCredential(program),
            // These begin with what was printed.
            AuthError::AuthExec(_) | AuthError::MalformedTokenExpirationDate(_) => {
                Self::NoCredential(program)
            }
            other => Self::Refused(other.to_string()),
        }
    }
}

/// The path of the program that a login names, without what it is given.
fn program(config: &kube::Config) -> String {
    let auth = &config.auth_info;
    let exec = auth.exec.as_ref().and_then(|exec| exec.command.clone());
    let provider = auth.auth_provider.as_ref().and_then(|provider| provider.config.get("cmd-path").cloned());
    exec.or(provider).unwrap_or_default()
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
    failing: Option<Failing>,
}

/// When the program failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failing {
    /// As the library ran it, because its token was about to expire.
    Renewing,
    /// As it was run because somebody refused its token.
    Refused,
}

impl State {
    fn failed(&mut self, how: Failing, error: &PluginError) {
        if self.failing.replace(how).is_none() {
            log::warn!("{error}");
        }
    }

    fn gave(&mut self) {
        if self.failing.take().is_some() {
            log::info!("the kubeconfig's program gives credentials again");
        }
    }
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
        let state = State { layer: Arc::new(layer), ran: None, last: None, failing: None };
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
            if state.failing.is_some() && state.ran.is_some_and(|ran| now.saturating_sub(ran) < PAUSE) {
                return state.last.clone();
            }
            state.layer.clone()
        };
        let told = header(&layer, &self.config).await;
        let mut state = self.state();
        match told {
            Ok(header) => {
                let told = header.and_then(|header| token(&header));
                // A token that never expires is told without the program being run.
                if state.failing == Some(Failing::Renewing) || told != state.last {
                    state.gave();
                }
                state.last = told;
            }
            Err(error) => {
                state.failed(Failing::Renewing, &error);
                state.ran = Some(now);
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
            Ok(layer) => {
                let mut state = self.state();
                if let Some(layer) = layer {
                    state.layer = Arc::new(layer);
                }
                state.gave();
            }
            Err(error) => {
                let mut state = self.state();
                state.failed(Failing::Refused, &error);
                return state.last.clone();
            }
        }
        self.token(now).await
    }
}

/// Has the library run the program, on a thread where that may take its time.
async fn run(config: kube::Config) -> Result<Option<AuthLayer>, PluginError> {
    let name = program(&config);
    let ran = tokio::task::spawn_blocking(move || config.auth_layer()).await;
    ran.map_err(|_| PluginError::Interrupted(name.clone()))?.map_err(|error| match error {
        kube::Error::Auth(error) => PluginError::new(name, error),
        other => PluginError::Refused(other.to_string()),
    })
}

/// What the library would send.
async fn header(layer: &AuthLayer, config: &kube::Config) -> Result<Option<HeaderValue>, PluginError> {
    let tell = service_fn(|request: Request<Body>| {
        ready(Ok::<_, BoxError>(Response::new(request.headers().get(AUTHORIZATION).cloned())))
    });
    let asked: BoxFuture<'static, Result<_, BoxError>> =
        Box::pin(layer.layer(tell).oneshot(Request::new(Body::empty())));
    let told = asked.await;
    told.map(Response::into_body).map_err(|error| match error.downcast::<AuthError>() {
        Ok(error) => PluginError::new(program(config), *error),
        Err(_) => PluginError::NoCredential(program(config)),
    })
}

fn token(header: &HeaderValue) -> Option<Secret> {
    header.to_str().ok()?.strip_prefix("Bearer ").map(Secret::new)
}
