//! How long each message holds the aggregator's thread. What is done with it is left to the aggregator.

use crate::clock::Clock;
use crate::rollup::query::Query;
use crate::telemetry::{Fraction, Seconds, Telemetry};
use std::time::Duration;

/// What the thread was held by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A node's turn is over.
    Scraped,
    /// The same, or the look at the clock, where it closed a window.
    Closing,
    /// The look whether a window's time is up, and a part of the sweep.
    Look,
    /// Which nodes are scraped has changed, or cannot be told.
    Inventory,
    /// A question for one or several series.
    Series,
    /// A question for names.
    Names,
    /// A question for the newest points of many.
    Latest,
    /// A question how clusters or nodes do.
    State,
}

impl Message {
    const ALL: [Self; 8] = [
        Self::Scraped,
        Self::Closing,
        Self::Look,
        Self::Inventory,
        Self::Series,
        Self::Names,
        Self::Latest,
        Self::State,
    ];

    const fn as_label(self) -> &'static str {
        match self {
            Self::Scraped => "scraped",
            Self::Closing => "closing",
            Self::Look => "look",
            Self::Inventory => "inventory",
            Self::Series => "series",
            Self::Names => "names",
            Self::Latest => "latest",
            Self::State => "state",
        }
    }

    /// What a question is.
    pub const fn of(query: &Query) -> Self {
        match query {
            Query::Series(..) | Query::Several(..) => Self::Series,
            Query::Latest(_) => Self::Latest,
            _ => Self::Names,
        }
    }
}

/// One kind of message.
struct Member {
    message: Message,
    seconds: Seconds,
    longest: Fraction,
    most: Duration,
}

/// The times of every message.
pub(super) struct Handling {
    clock: Clock,
    members: Vec<Member>,
}

impl Handling {
    /// Nothing handled yet.
    pub fn new(clock: Clock, telemetry: &Telemetry) -> Self {
        let member = |message: Message| Member {
            message,
            seconds: telemetry.handling.of(message.as_label()),
            longest: telemetry.longest_handling.of([message.as_label()]),
            most: Duration::ZERO,
        };
        Self { clock, members: Message::ALL.map(member).into() }
    }

    /// The moment, for [`Handling::done`].
    pub fn begin(&self) -> Duration {
        self.clock.uptime()
    }

    /// Counts a message that was begun then.
    pub fn done(&mut self, message: Message, began: Duration) {
        let took = self.clock.uptime().saturating_sub(began);
        let Some(member) = self.members.iter_mut().find(|member| member.message == message) else { return };
        member.seconds.observe(took);
        if took > member.most {
            member.most = took;
            member.longest.set(took.as_secs_f64());
        }
    }
}
