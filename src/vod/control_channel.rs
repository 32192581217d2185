//! The channel for control requests to the thread that plays a file.
//!
//! That thread sleeps most of the time. A channel's own timed receive yields the processor several times before it
//! sleeps, which costs more than the thread's work per wakeup.

use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError};

use super::Control;
use crate::limits;

/// Creates a channel: the sender for the viewer's connection, the receiver for [`play`](super::play).
pub(crate) fn control_channel() -> (ControlSender, ControlReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(limits::VOD_CONTROLS);
    let player = Arc::new(OnceLock::new());
    (ControlSender { sender: Some(sender), player: player.clone() }, ControlReceiver { receiver, player })
}

/// Sends control requests to a file player. Dropping it is a [`Control::Stop`].
#[derive(Debug)]
pub(crate) struct ControlSender {
    /// `None` only while dropping.
    sender: Option<Sender<Control>>,
    player: Arc<OnceLock<Thread>>,
}

/// The channel is full: [`limits::VOD_CONTROLS`] requests are unprocessed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl ControlSender {
    /// Sends a request, waiting for room up to `timeout`. Succeeds if the player has ended.
    ///
    /// # Errors
    /// [`QueueFull`] when there is no room within `timeout`.
    pub(crate) fn send(&self, control: Control, timeout: Duration) -> Result<(), QueueFull> {
        let Some(sender) = &self.sender else { return Ok(()) };
        let result = sender.send_timeout(control, timeout);
        self.wake_player();
        if let Err(SendTimeoutError::Timeout(_)) = result { Err(QueueFull) } else { Ok(()) }
    }

    fn wake_player(&self) {
        if let Some(player) = self.player.get() {
            player.unpark();
        }
    }
}

impl Drop for ControlSender {
    fn drop(&mut self) {
        self.sender = None;
        self.wake_player();
    }
}

/// Receives the control requests of a viewer.
#[derive(Debug)]
pub(crate) struct ControlReceiver {
    receiver: Receiver<Control>,
    /// The receiving thread.
    player: Arc<OnceLock<Thread>>,
}

impl ControlReceiver {
    pub(super) fn try_recv(&self) -> Result<Control, TryRecvError> {
        self.receiver.try_recv()
    }

    /// Waits for the next request, until a deadline if there is one.
    pub(super) fn recv(&self, deadline: Option<Instant>) -> Result<Control, RecvTimeoutError> {
        self.player.get_or_init(std::thread::current);
        loop {
            match self.receiver.try_recv() {
                Ok(control) => return Ok(control),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {}
            }
            // A request sent since then makes this return immediately.
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return Err(RecvTimeoutError::Timeout),
                Some(left) => std::thread::park_timeout(left),
                None => std::thread::park(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(20);

    #[test]
    fn requests_and_disconnection_wake_the_receiver() {
        let (sender, receiver) = control_channel();
        let player = std::thread::spawn(move || {
            let began = Instant::now();
            assert_eq!(receiver.recv(Some(began + Duration::from_millis(5))), Err(RecvTimeoutError::Timeout));
            let got = [receiver.recv(None), receiver.recv(Some(began + TIMEOUT)), receiver.recv(None)];
            (got, began.elapsed())
        });
        for control in [Control::ReceiveAudio(true), Control::ReceiveAudio(false)] {
            std::thread::sleep(Duration::from_millis(30));
            sender.send(control, TIMEOUT).unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
        drop(sender);
        let (got, took) = player.join().unwrap();
        let end = Err(RecvTimeoutError::Disconnected);
        assert_eq!(got, [Ok(Control::ReceiveAudio(true)), Ok(Control::ReceiveAudio(false)), end]);
        assert!(took < TIMEOUT);
    }

    #[test]
    fn limit_of_the_queued_requests() {
        let (sender, receiver) = control_channel();
        for _ in 0..limits::VOD_CONTROLS {
            sender.send(Control::ReceiveAudio(true), Duration::ZERO).unwrap();
        }
        assert_eq!(sender.send(Control::ReceiveAudio(true), Duration::ZERO), Err(QueueFull));
        drop(receiver);
        assert_eq!(sender.send(Control::ReceiveAudio(true), Duration::ZERO), Ok(()), "the player has ended");
    }
}
