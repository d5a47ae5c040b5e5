//! A neighbour for any actor: keeps what it is sent, with the time, and answers what it is told to.

use actix::dev::ToEnvelope;
use actix::prelude::*;
use heapster::clock::Clock;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Keeps what it is sent, with the time, and answers what it is told to.
pub struct Probe<M: Message> {
    clock: Clock,
    kept: Arc<Mutex<Vec<(Duration, M)>>>,
    answer: fn(&M) -> M::Result,
}

impl<M: Message + Unpin + 'static> Actor for Probe<M> {
    type Context = Context<Self>;
}

impl<M> Handler<M> for Probe<M>
where
    M: Message + Unpin + Send + 'static,
    M::Result: Send,
{
    type Result = MessageResult<M>;

    fn handle(&mut self, message: M, _: &mut Context<Self>) -> Self::Result {
        let answer = (self.answer)(&message);
        self.kept.lock().unwrap().push((self.clock.uptime(), message));
        MessageResult(answer)
    }
}

/// What a probe was sent, and when by the clock.
pub type Kept<M> = Arc<Mutex<Vec<(Duration, M)>>>;

/// A probe's address and what it keeps.
pub fn probe<M>(clock: &Clock, answer: fn(&M) -> M::Result) -> (Recipient<M>, Kept<M>)
where
    M: Message + Unpin + Send + 'static,
    M::Result: Send,
    Context<Probe<M>>: ToEnvelope<Probe<M>, M>,
{
    let kept = Kept::default();
    let probe = Probe { clock: clock.clone(), kept: kept.clone(), answer };
    (probe.start().recipient(), kept)
}
