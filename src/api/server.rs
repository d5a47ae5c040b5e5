//! The HTTP server: limits, compression, counting, and the table of routes. It does not listen for signals: who ends it
//! is left to `topology`.

use super::Api;
use super::error::ApiError;
use super::manners::{not_found, tidy_path};
use super::routes::ROUTES;
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{App, Error, HttpServer, web};
use std::net::TcpListener;
use std::time::Duration;

/// How long a client may take to send its headers.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long open requests may take once the server is to stop.
const STOP_WITHIN_SECONDS: u64 = 5;
/// Threads that answer: questions are asked of one aggregator, so more than a few gain nothing.
const WORKERS: usize = 2;

/// The server on an open socket, not yet running.
///
/// # Errors
/// When the socket cannot be listened on.
pub fn server(api: &Api, listener: TcpListener) -> std::io::Result<Server> {
    let api = web::Data::new(api.clone());
    let server = HttpServer::new(move || {
        let paths =
            web::PathConfig::default().error_handler(|error, _| ApiError::BadPath(error.to_string()).into());
        let app = App::new()
            .app_data(api.clone())
            .app_data(paths)
            .wrap(from_fn(tidy_path))
            .wrap(Compress::default())
            .wrap(from_fn(count));
        ROUTES
            .iter()
            .fold(app, |app, route| app.service(route.resource()))
            .default_service(web::to(not_found))
    });
    let server = server
        .workers(WORKERS)
        .disable_signals()
        .client_request_timeout(HEADERS_WITHIN)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(STOP_WITHIN_SECONDS);
    Ok(server.listen(listener)?.run())
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
