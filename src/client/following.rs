//! One kind of object followed for ever: listed page by page, watched from there on, listed anew once that has expired. As
//! `kube::runtime::watcher`, but nothing is waited for without end and nothing repeated without a growing pause.

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt};
use kube::api::{Api, ListParams, ObjectList, WatchEvent, WatchParams};
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{DefaultBackoff, Event};
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// Objects of one page of a list, as client-go asks for.
const PAGE: u32 = 500;
/// How long a page of a list, or the beginning of a watch, may take.
const ANSWER: Duration = Duration::from_secs(120);
/// After how long without an answer that is said.
const NOTICE: Duration = Duration::from_secs(12);
/// The server ends a watch after so many seconds.
const LASTS: u32 = 290;
/// How long a watch may be silent: until the server must have ended it.
const SILENCE: Duration = Duration::from_secs(295);
/// A watch that ends sooner without a word has failed, as for client-go.
const SHORT: Duration = Duration::from_secs(1);
/// The longest pause after a failure. client-go's, which the library has too, begin with 0.8 s, double up to 30 s and are
/// lengthened by chance up to twofold: a minute is too long for a new node to wait, and a collector that asks for three
/// kinds of objects troubles nobody with less.
const PAUSE: Duration = Duration::from_secs(15);

/// Why objects are not followed at the moment.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The API server refused, or there is no way to it.
    #[error("{0}")]
    Asked(#[source] kube::Error),
    /// It says nothing.
    #[error("no answer within {}", humantime::format_duration(*.0))]
    Silent(Duration),
    /// A watch ended as soon as it had begun.
    #[error("the watch ended at once, without a word")]
    EndedAtOnce,
    /// A list or an object does not say how new it is.
    #[error("the answer has no resourceVersion")]
    NoVersion,
}

/// What is heard of a kind of objects.
#[derive(Debug)]
pub enum Heard<K> {
    /// Something happened to one, or to the list of all.
    Event(Event<K>),
    /// The watch is there, and stays.
    Works,
    /// There is no answer yet, and it is waited for.
    Waits(FollowError),
}

/// An object that can be listed and watched.
pub trait Watched: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static {}
impl<K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static> Watched for K {}

/// A request that is under way, and whether it was said that it takes long.
struct Asked<T> {
    answer: BoxFuture<'static, kube::Result<T>>,
    noticed: bool,
}

type Events<K> = BoxStream<'static, kube::Result<WatchEvent<K>>>;

enum At<K: Clone> {
    Start,
    Page(Option<String>),
    Listing(Asked<ObjectList<K>>),
    Listed(String),
    Opening(String, Asked<Events<K>>),
    Watching { version: String, events: Events<K>, short: Pin<Box<Sleep>>, stays: bool },
}

struct Following<K: Clone> {
    api: Api<K>,
    list: ListParams,
    watch: WatchParams,
    at: At<K>,
    ready: VecDeque<Heard<K>>,
    backoff: DefaultBackoff,
    pause: Option<Duration>,
}

/// All that happens to the objects of a kind, and every failure.
pub fn following<K: Watched>(
    api: Api<K>,
    labels: Option<&str>,
) -> BoxStream<'static, Result<Heard<K>, FollowError>> {
    let (mut list, mut watch) = (ListParams::default().limit(PAGE), WatchParams::default().timeout(LASTS));
    if let Some(labels) = labels {
        (list, watch) = (list.labels(labels), watch.labels(labels));
    }
    let backoff = DefaultBackoff::default();
    let following =
        Following { api, list, watch, at: At::Start, ready: VecDeque::new(), backoff, pause: None };
    stream::unfold(following, |mut following| async move { Some((following.next().await, following)) })
        .boxed()
}

impl<K: Watched> Following<K> {
    async fn next(&mut self) -> Result<Heard<K>, FollowError> {
        loop {
            if let Some(heard) = self.ready.pop_front() {
                return Ok(heard);
            }
            if let Some(pause) = self.pause.take() {
                sleep(pause).await;
            }
            if let Err(error) = self.step().await {
                self.pause = self.backoff.next().map(no_longer);
                return Err(error);
            }
        }
    }

    fn hear(&mut self, event: Event<K>) {
        self.ready.push_back(Heard::Event(event));
    }

    /// What fails begins with a list, unless said otherwise.
    async fn step(&mut self) -> Result<(), FollowError> {
        match std::mem::replace(&mut self.at, At::Start) {
            At::Start => {
                self.hear(Event::Init);
                self.at = At::Page(None);
            }
            At::Page(token) => {
                self.list.continue_token = token;
                let (api, list) = (self.api.clone(), self.list.clone());
                self.at = At::Listing(Asked::new(async move { api.list(&list).await }));
            }
            At::Listing(mut asked) => match asked.within().await? {
                None => {
                    self.ready.push_back(Heard::Waits(FollowError::Silent(NOTICE)));
                    self.at = At::Listing(asked);
                }
                Some(page) => self.listed(page.map_err(FollowError::Asked)?)?,
            },
            At::Listed(version) => {
                let (api, watch, from) = (self.api.clone(), self.watch.clone(), version.clone());
                let open = async move { Ok(api.watch(&watch, &from).await?.boxed()) };
                self.at = At::Opening(version, Asked::new(open));
            }
            At::Opening(version, mut asked) => match asked.within().await {
                Ok(None) => {
                    self.ready.push_back(Heard::Waits(FollowError::Silent(NOTICE)));
                    self.at = At::Opening(version, asked);
                }
                Ok(Some(Ok(events))) => {
                    let short = Box::pin(sleep(SHORT));
                    self.at = At::Watching { version, events, short, stays: false };
                }
                Ok(Some(Err(error))) => {
                    if !has_expired(&error) {
                        self.at = At::Listed(version);
                    }
                    return Err(FollowError::Asked(error));
                }
                Err(error) => {
                    self.at = At::Listed(version);
                    return Err(error);
                }
            },
            At::Watching { version, mut events, mut short, stays } => {
                let told = tokio::select! {
                    biased;
                    told = timeout(SILENCE, events.next()) => told.unwrap_or_default(),
                    () = &mut short, if !stays => {
                        self.stays();
                        self.at = At::Watching { version, events, short, stays: true };
                        return Ok(());
                    }
                };
                return self.told(version, told, stays, |version, stays| At::Watching {
                    version,
                    events,
                    short,
                    stays,
                });
            }
        }
        Ok(())
    }

    fn listed(&mut self, page: ObjectList<K>) -> Result<(), FollowError> {
        page.items.into_iter().for_each(|item| self.hear(Event::InitApply(item)));
        let full = |text: &String| !text.is_empty();
        self.at = match page.metadata.continue_.filter(full) {
            Some(token) => At::Page(Some(token)),
            None => {
                let version = page.metadata.resource_version.filter(full).ok_or(FollowError::NoVersion)?;
                self.hear(Event::InitDone);
                At::Listed(version)
            }
        };
        Ok(())
    }

    /// What a watch told, and how it goes on from which version.
    fn told(
        &mut self,
        version: String,
        told: Option<kube::Result<WatchEvent<K>>>,
        stays: bool,
        watching: impl FnOnce(String, bool) -> At<K>,
    ) -> Result<(), FollowError> {
        let new = |object: &K| object.meta().resource_version.clone().ok_or(FollowError::NoVersion);
        let version = match told {
            Some(Ok(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                let version = new(&object)?;
                self.hear(Event::Apply(object));
                version
            }
            Some(Ok(WatchEvent::Deleted(object))) => {
                let version = new(&object)?;
                self.hear(Event::Delete(object));
                version
            }
            Some(Ok(WatchEvent::Bookmark(bookmark))) => bookmark.metadata.resource_version,
            Some(Ok(WatchEvent::Error(status))) => {
                if status.code != 410 {
                    self.at = At::Listed(version);
                }
                return Err(FollowError::Asked(kube::Error::Api(status.boxed())));
            }
            Some(Err(error)) => {
                // An event that cannot be read is passed over; a broken stream ends by itself.
                if !has_expired(&error) {
                    self.at = watching(version, true);
                }
                return Err(FollowError::Asked(error));
            }
            None => {
                self.at = At::Listed(version);
                return if stays { Ok(()) } else { Err(FollowError::EndedAtOnce) };
            }
        };
        if !stays {
            self.stays();
        }
        self.at = watching(version, true);
        Ok(())
    }

    /// A watch that told something or lasts is there: the next failure is a first one.
    fn stays(&mut self) {
        self.ready.push_back(Heard::Works);
        self.backoff.reset();
    }
}

impl<T> Asked<T> {
    fn new(asked: impl Future<Output = kube::Result<T>> + Send + 'static) -> Self {
        Self { answer: Box::pin(asked), noticed: false }
    }

    /// The answer; None, once, where it takes long.
    async fn within(&mut self) -> Result<Option<kube::Result<T>>, FollowError> {
        if !self.noticed {
            let told = timeout(NOTICE, &mut self.answer).await;
            self.noticed = told.is_err();
            return Ok(told.ok());
        }
        let told = timeout(ANSWER.saturating_sub(NOTICE), &mut self.answer).await;
        told.map(Some).map_err(|_| FollowError::Silent(ANSWER))
    }
}

/// A pause that is too long is halved, so that chance stays in it.
fn no_longer(mut pause: Duration) -> Duration {
    while pause > PAUSE {
        pause /= 2;
    }
    pause
}

fn has_expired(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 410)
}
