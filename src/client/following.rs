//! One kind of object followed for ever: listed page by page, watched from there on, listed anew once that has expired. As
//! `kube::runtime::watcher`, but nothing is waited for without end and nothing repeated without a growing pause.

use futures_util::FutureExt;
use futures_util::stream::{self, BoxStream, StreamExt};
use kube::api::{Api, ListParams, WatchEvent, WatchParams};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{DefaultBackoff, Error, Event};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// Objects of one page of a list, as client-go asks for.
const PAGE: u32 = 500;
/// How long a page of a list, or the beginning of a watch, may take.
const ANSWER: Duration = Duration::from_secs(120);
/// The server ends a watch after so many seconds.
const LASTS: u32 = 290;
/// How long a watch may be silent: until the server must have ended it.
const SILENCE: Duration = Duration::from_secs(295);
/// A watch that ends sooner without a word has failed, as for client-go.
const SHORT: Duration = Duration::from_secs(1);

/// An object that can be listed and watched.
pub trait Watched: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static {}
impl<K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static> Watched for K {}

enum At<K> {
    Start,
    Page(Option<String>),
    Listed(String),
    Watching {
        version: String,
        events: BoxStream<'static, kube::Result<WatchEvent<K>>>,
        short: Pin<Box<Sleep>>,
        heard: bool,
    },
}

struct Following<K> {
    api: Api<K>,
    list: ListParams,
    watch: WatchParams,
    at: At<K>,
    ready: VecDeque<Event<K>>,
    backoff: DefaultBackoff,
    pause: Option<Duration>,
}

/// All that happens to the objects of a kind, and every failure.
pub fn following<K: Watched>(
    api: Api<K>,
    labels: Option<&str>,
) -> BoxStream<'static, Result<Event<K>, Error>> {
    let (mut list, mut watch) = (ListParams::default().limit(PAGE), WatchParams::default().timeout(LASTS));
    if let Some(labels) = labels {
        (list, watch) = (list.labels(labels), watch.labels(labels));
    }
    let (ready, backoff) = (VecDeque::new(), DefaultBackoff::default());
    let following = Following { api, list, watch, at: At::Start, ready, backoff, pause: None };
    stream::unfold(following, |mut following| async move { Some((following.next().await, following)) })
        .boxed()
}

impl<K: Watched> Following<K> {
    async fn next(&mut self) -> Result<Event<K>, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(pause) = self.pause.take() {
                sleep(pause).await;
            }
            if let Err(error) = self.step().await {
                self.pause = self.backoff.next();
                return Err(error);
            }
        }
    }

    /// What fails begins with a list, unless said otherwise.
    async fn step(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.at, At::Start) {
            At::Start => {
                self.ready.push_back(Event::Init);
                self.at = At::Page(None);
            }
            At::Page(token) => {
                self.list.continue_token = token;
                let page = answer(self.api.list(&self.list)).await.map_err(Error::InitialListFailed)?;
                self.ready.extend(page.items.into_iter().map(Event::InitApply));
                let full = |text: &String| !text.is_empty();
                self.at = match page.metadata.continue_.filter(full) {
                    Some(token) => At::Page(Some(token)),
                    None => {
                        let version = page.metadata.resource_version.filter(full);
                        let version = version.ok_or(Error::NoResourceVersion)?;
                        self.ready.push_back(Event::InitDone);
                        At::Listed(version)
                    }
                };
            }
            At::Listed(version) => match answer(self.api.watch(&self.watch, &version)).await {
                Ok(events) => {
                    let (events, short) = (events.boxed(), Box::pin(sleep(SHORT)));
                    self.at = At::Watching { version, events, short, heard: false };
                }
                Err(error) => {
                    if !has_expired(&error) {
                        self.at = At::Listed(version);
                    }
                    return Err(Error::WatchStartFailed(error));
                }
            },
            At::Watching { mut version, mut events, short, heard } => {
                match timeout(SILENCE, events.next()).await.unwrap_or_default() {
                    Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                        version = object.meta().resource_version.clone().ok_or(Error::NoResourceVersion)?;
                        self.ready.push_back(Event::Apply(object));
                        self.backoff.reset();
                    }
                    Some(Ok(WatchEvent::Deleted(object))) => {
                        version = object.meta().resource_version.clone().ok_or(Error::NoResourceVersion)?;
                        self.ready.push_back(Event::Delete(object));
                        self.backoff.reset();
                    }
                    Some(Ok(WatchEvent::Bookmark(bookmark))) => version = bookmark.metadata.resource_version,
                    Some(Ok(WatchEvent::Error(status))) => {
                        if status.code != 410 {
                            self.at = At::Listed(version);
                        }
                        return Err(Error::WatchError(status.boxed()));
                    }
                    Some(Err(error)) => {
                        // An event that cannot be read is passed over; a broken stream ends by itself.
                        if !has_expired(&error) {
                            self.at = At::Watching { version, events, short, heard: true };
                        }
                        return Err(Error::WatchFailed(error));
                    }
                    None => {
                        self.at = At::Listed(version);
                        if !heard && short.now_or_never().is_none() {
                            return Err(Error::WatchFailed(failed("it ended at once")));
                        }
                        return Ok(());
                    }
                }
                self.at = At::Watching { version, events, short, heard: true };
            }
        }
        Ok(())
    }
}

async fn answer<T>(asked: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(failed("no answer in time")))
}

fn failed(why: &str) -> kube::Error {
    kube::Error::Service(io::Error::other(why.to_owned()).into())
}

fn has_expired(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}
