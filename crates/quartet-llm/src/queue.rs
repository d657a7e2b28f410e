//! One at a time, in order of arrival, with a way out for those who stop waiting.

use quartet_types::{Error, Result};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often a waiting request looks at its cancel flag.
pub(crate) const LOOK: Duration = Duration::from_millis(50);

/// A line in front of something that only one may use.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Line {
    next: u64,
    waiting: VecDeque<u64>,
}

/// The front place; dropping it lets the next one in.
#[derive(Debug)]
#[must_use]
pub(crate) struct Place<'q> {
    queue: &'q Queue,
    ticket: u64,
}

impl Queue {
    /// Waits for the front place.
    ///
    /// # Errors
    /// `Cancelled` if the flag is raised before.
    pub(crate) fn enter(&self, cancelled: &AtomicBool) -> Result<Place<'_>> {
        let mut line = self.lock();
        let ticket = line.next;
        line.next += 1;
        line.waiting.push_back(ticket);
        let place = Place { queue: self, ticket };
        loop {
            // Dropping the place leaves the line, so the lock must be given back first.
            if cancelled.load(Ordering::Relaxed) {
                drop(line);
                drop(place);
                return Err(Error::cancelled());
            }
            if line.waiting.front() == Some(&ticket) {
                return Ok(place);
            }
            line = self.moved.wait_timeout(line, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Whether somebody waits for this place.
    pub(crate) fn is_wanted(&self) -> bool {
        self.queue.lock().waiting.len() > 1
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.lock().waiting.retain(|ticket| *ticket != self.ticket);
        self.queue.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, mpsc};

    #[test]
    fn places_are_given_in_order_and_can_be_left() {
        let queue = Arc::new(Queue::default());
        let calm = AtomicBool::new(false);
        let first = queue.enter(&calm).unwrap();
        let (sender, order) = mpsc::channel();
        let mut threads = Vec::new();
        for number in 0..4 {
            let flag = Arc::new(AtomicBool::new(number == 1));
            let (thread_queue, sender) = (Arc::clone(&queue), sender.clone());
            threads.push(std::thread::spawn(move || {
                if let Ok(_place) = thread_queue.enter(&flag) {
                    sender.send(number).unwrap();
                }
            }));
            // The next one must not come before this one stands in line (or has left it).
            while queue.lock().next < number + 2 {
                std::thread::yield_now();
            }
        }
        assert!(first.is_wanted());
        drop(first);
        for thread in threads {
            thread.join().unwrap();
        }
        drop(sender);
        assert_eq!(order.iter().collect::<Vec<_>>(), [0, 2, 3]);
        assert!(!queue.enter(&calm).unwrap().is_wanted());
    }
}
