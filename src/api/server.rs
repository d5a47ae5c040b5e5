//! The HTTP server: limits, compression, counting, and the table of routes. It does not listen for signals: who ends it
//! is left to `topology`.

use super::Api;
use super::accept::{Connection, Door};
use super::archive::Archive;
use super::certificates::Certificates;
use super::error::ApiError;
use super::limits::{Gate, Limits, gate};
use super::manners::{form_of_answer, not_found, spare_short, tidy_path};
use super::routes::{HISTORICAL, ROUTES, Route, services};
use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Extensions, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{App, Error, web};
use std::net::TcpListener;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long a client may take to see that its connection is closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(2);
/// How long open requests may take once the server is to stop.
const STOP_WITHIN_SECONDS: u64 = 5;
/// Threads that answer: questions are asked of one aggregator, so more than a few gain nothing.
const WORKERS: usize = 2;
/// Threads beside each of them for long work, so that short questions need not wait for it.
const BESIDE: usize = 2;

/// The server on an open socket, not yet running. It speaks TLS where there are certificates.
///
/// # Errors
/// When the socket cannot be listened on.
pub fn server(
    api: &Api,
    listener: TcpListener,
    limits: Limits,
    certificates: Option<&Certificates>,
) -> std::io::Result<Server> {
    let api = web::Data::new(api.clone());
    let gate = web::Data::new(Gate::new(limits, certificates.and_then(Certificates::names)));
    let tls = certificates.map(Certificates::current);
    let door = Door::new(limits, tls, api.telemetry.clone());
    let builder = Server::build()
        .workers(WORKERS)
        .worker_max_blocking_threads(BESIDE)
        .max_concurrent_connections(limits.connections)
        .disable_signals()
        .shutdown_timeout(STOP_WITHIN_SECONDS);
    let ending = builder.graceful_shutdown_signal();
    let serve = move || {
        let (ending, entering) = (ending.clone(), ending.clone());
        let app = app(api.clone(), gate.clone()).into_factory();
        let app = app.map_err(|error: Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let ending = ending.clone();
                async move { ending.notified().await }
            })
            .keep_alive(limits.keep_alive)
            .client_request_timeout(limits.head_within)
            .client_disconnect_timeout(CLOSED_WITHIN)
            .on_connect_ext(|connection: &Connection, data: &mut Extensions| {
                data.insert(connection.peer.clone());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let door = door.clone();
        let enter = fn_service(move |stream: TcpStream| {
            let (door, ending) = (door.clone(), entering.clone());
            async move {
                tokio::select! {
                    () = ending.notified() => Err(()),
                    entered = door.enter(stream) => entered.ok_or(()),
                }
            }
        });
        enter.and_then(http.map_err(drop))
    };
    Ok(builder.listen("api", listener, serve)?.run())
}

/// What is answered, and how.
fn app(
    api: web::Data<Api>,
    limits: web::Data<Gate>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let paths =
        web::PathConfig::default().error_handler(|error, _| ApiError::BadPath(error.to_string()).into());
    let app = App::new()
        .app_data(api.clone())
        .app_data(limits)
        .app_data(paths)
        .wrap(from_fn(tidy_path))
        .wrap(from_fn(spare_short))
        .wrap(Compress::default())
        .wrap(from_fn(form_of_answer))
        .wrap(from_fn(gate))
        .wrap(from_fn(name_shard))
        .wrap(from_fn(count));
    // Each thread has a connection of its own.
    let (app, historical) = match api.archive.as_ref() {
        Some(connect) => (app.app_data(web::Data::new(Archive(connect()))), HISTORICAL),
        None => (app, &[][..]),
    };
    let routes: Vec<&Route> = ROUTES.iter().chain(historical).collect();
    app.service(services(&routes)).default_service(web::to(not_found))
}

/// The header that says of which part of the clusters an answer tells.
pub const SHARD: HeaderName = HeaderName::from_static("x-heapster-shard");
/// Below these paths, the model and the metrics, all is of one shard's nodes.
const OF_NODES: [&str; 4] = ["/api/v1/model", "/api/v1/metric-export", "/api/v1/export", "/apis/"];

/// Whether what this path answers is of one shard's nodes.
pub fn is_of_nodes(path: &str) -> bool {
    OF_NODES.iter().any(|root| path.starts_with(root))
}

async fn name_shard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shard = request.app_data::<web::Data<Api>>().and_then(|api| api.settings.shard);
    let told = shard.filter(|_| is_of_nodes(request.path()));
    let mut response = next.call(request).await?;
    if let Some(Ok(value)) = told.map(|shard| HeaderValue::from_str(&shard.to_string())) {
        response.headers_mut().insert(SHARD, value);
    }
    Ok(response)
}

async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let api = request.app_data::<web::Data<Api>>().cloned();
    let response = next.call(request).await?;
    if let Some(api) = api {
        api.telemetry.requests.of([response.status().as_str()]).inc();
    }
    Ok(response)
}
