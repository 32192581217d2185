//! How a viewer's wishes get to the thread that plays a file to it.
//!
//! That thread sleeps most of the time. A channel's own timed receive yields the processor several times before it sleeps,
//! which costs more than what the thread does when it wakes up.

use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, SendTimeoutError, Sender, TryRecvError};

use super::Control;
use crate::limits;

/// Makes the two ends: one for who knows the viewer, one for [`play`](super::play).
pub(crate) fn control_channel() -> (ControlSender, ControlReceiver) {
    let (sender, receiver) = crossbeam_channel::bounded(limits::VOD_CONTROLS);
    let player = Arc::new(OnceLock::new());
    (ControlSender { sender: Some(sender), player: player.clone() }, ControlReceiver { receiver, player })
}

/// Tells the player of a file what its viewer wants. Dropping it is a [`Control::Stop`].
#[derive(Debug)]
pub(crate) struct ControlSender {
    /// There until the end.
    sender: Option<Sender<Control>>,
    player: Arc<OnceLock<Thread>>,
}

/// A player takes no more wishes: there are [`limits::VOD_CONTROLS`] that it has not got to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl ControlSender {
    /// Tells it. A player that has ended takes everything.
    ///
    /// # Errors
    /// [`TooMany`] when it has taken none for so long.
    pub(crate) fn tell(&self, control: Control, patience: Duration) -> Result<(), TooMany> {
        let Some(sender) = &self.sender else { return Ok(()) };
        let result = sender.send_timeout(control, patience);
        self.wake_player();
        if let Err(SendTimeoutError::Timeout(_)) = result { Err(TooMany) } else { Ok(()) }
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

/// What the viewer of a file wants.
#[derive(Debug)]
pub(crate) struct ControlReceiver {
    receiver: Receiver<Control>,
    /// Who receives.
    player: Arc<OnceLock<Thread>>,
}

impl ControlReceiver {
    pub(super) fn try_recv(&self) -> Result<Control, TryRecvError> {
        self.receiver.try_recv()
    }

    /// Waits for the next, until then or for ever.
    pub(super) fn recv(&self, until: Option<Instant>) -> Result<Control, RecvTimeoutError> {
        self.player.get_or_init(std::thread::current);
        loop {
            match self.receiver.try_recv() {
                Ok(control) => return Ok(control),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) => {}
            }
            // A wish that came since makes this return at once.
            match until.map(|until| until.saturating_duration_since(Instant::now())) {
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

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn wishes_and_the_end_wake_who_waits() {
        let (remote, controls) = control_channel();
        let playing = std::thread::spawn(move || {
            let began = Instant::now();
            assert_eq!(controls.recv(Some(began + Duration::from_millis(5))), Err(RecvTimeoutError::Timeout));
            let got = [controls.recv(None), controls.recv(Some(began + LONG)), controls.recv(None)];
            (got, began.elapsed())
        });
        for control in [Control::ReceiveAudio(true), Control::ReceiveAudio(false)] {
            std::thread::sleep(Duration::from_millis(30));
            remote.tell(control, LONG).unwrap();
        }
        std::thread::sleep(Duration::from_millis(30));
        drop(remote);
        let (got, took) = playing.join().unwrap();
        let end = Err(RecvTimeoutError::Disconnected);
        assert_eq!(got, [Ok(Control::ReceiveAudio(true)), Ok(Control::ReceiveAudio(false)), end]);
        assert!(took < LONG);
    }

    #[test]
    fn limit_of_the_wishes_that_wait() {
        let (remote, controls) = control_channel();
        for _ in 0..limits::VOD_CONTROLS {
            remote.tell(Control::ReceiveAudio(true), Duration::ZERO).unwrap();
        }
        assert_eq!(remote.tell(Control::ReceiveAudio(true), Duration::ZERO), Err(TooMany));
        drop(controls);
        assert_eq!(remote.tell(Control::ReceiveAudio(true), Duration::ZERO), Ok(()), "there is no player any more");
    }
}
