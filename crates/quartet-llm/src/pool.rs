//! The contexts of one model that write and score: a few at once, each with its own memory,
//! lent to requests in order of arrival.

use crate::queue::LOOK;
use quartet_types::{Error, ErrorCode, Result};
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Answers that one model writes at the same time.
const WRITERS: usize = 4;

/// What a context is wanted for. Each purpose has seats of its own, so that a short score need
/// not wait until one of four long answers is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Write,
    Score,
}

impl Purpose {
    fn seats(self) -> usize {
        match self {
            Self::Write => WRITERS,
            Self::Score => 1,
        }
    }
}

/// What a context can do. One of another kind cannot stand in: the callback and the number of
/// sequences are settled when a context is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Whether its passes can be watched.
    pub(crate) watched: bool,
    /// Sequences it can hold at once.
    pub(crate) sequences: u32,
}

impl Kind {
    /// One sequence, not watched.
    pub(crate) const PLAIN: Self = Self { watched: false, sequences: 1 };
    /// One sequence, watched.
    pub(crate) const WATCHED: Self = Self { watched: true, sequences: 1 };
}

/// Contexts of type `C`, those lent out and those that wait for their next use.
#[derive(Debug)]
pub(crate) struct Pool<C> {
    state: Mutex<State<C>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<C> {
    next: u64,
    /// Ticket and purpose of everyone in line.
    waiting: VecDeque<(u64, Purpose)>,
    /// Purposes of the contexts that are lent out.
    lent: Vec<Purpose>,
    idle: Vec<Kept<C>>,
    /// How many contexts have been given back so far.
    returned: u64,
}

/// A context, its kind and how many tokens it can hold.
#[derive(Debug)]
struct Kept<C> {
    kind: Kind,
    length: u32,
    context: C,
}

/// A context on loan; dropping it gives it back. What the last borrower left in it is still
/// there.
#[derive(Debug)]
pub(crate) struct Lease<'p, C> {
    pool: &'p Pool<C>,
    purpose: Purpose,
    kind: Kind,
    length: u32,
    /// `None` only while it is dropped.
    context: Option<C>,
    /// How long it took until it was this borrower's turn.
    pub(crate) waited: Duration,
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        let state = State {
            next: 0,
            waiting: VecDeque::new(),
            lent: Vec::new(),
            idle: Vec::new(),
            returned: 0,
        };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }
}

impl<C> Pool<C> {
    /// Borrows a context of this kind of at least `length` tokens, waiting in line for it.
    /// `fits` says whether there is memory for one more, `make` makes it; while there is none,
    /// the request waits until another one gives its context back. The first context is made
    /// in any case, as there is nothing to wait for.
    ///
    /// # Errors
    /// `Cancelled` if the flag is raised while waiting; what `make` says.
    pub(crate) fn borrow(
        &self,
        purpose: Purpose,
        kind: Kind,
        length: u32,
        cancelled: &AtomicBool,
        fits: impl Fn() -> bool,
        make: impl Fn() -> Result<C>,
    ) -> Result<Lease<'_, C>> {
        let start = Instant::now();
        let waiter = self.join(purpose);
        // The system may refuse what `fits` allowed; then only a return can help.
        let mut refused_at = None;
        let mut state = self.lock();
        loop {
            if cancelled.load(Ordering::Relaxed) {
                return Err(Error::cancelled());
            }
            if state.is_next(waiter.ticket) {
                let waited = start.elapsed();
                if let Some(kept) = state.take_idle(kind, length) {
                    return Ok(self.lend(state, purpose, kept, waited));
                }
                // Nobody overtakes the front of the line: what is not lent now stays so.
                let first = state.lent.is_empty();
                let returned = state.returned;
                if first || refused_at != Some(returned) {
                    // Those of this kind are too short for this request and only take up room.
                    let too_short = state.take_all(|kept| kept.kind == kind);
                    drop(state);
                    drop(too_short);
                    let mut room = fits();
                    if !room {
                        // Those of another kind make room before anybody waits.
                        let others = self.lock().take_all(|_| true);
                        drop(others);
                        room = first || fits();
                    }
                    if room {
                        let mut made = make();
                        if made.is_err() {
                            let others = self.lock().take_all(|_| true);
                            if !others.is_empty() {
                                drop(others);
                                made = make();
                            }
                        }
                        match made {
                            Ok(context) => {
                                let kept = Kept { kind, length, context };
                                return Ok(self.lend(self.lock(), purpose, kept, waited));
                            }
                            Err(error) if first || error.code != ErrorCode::DoesNotFit => {
                                return Err(error);
                            }
                            Err(_) => refused_at = Some(returned),
                        }
                    }
                    state = self.lock();
                    if state.returned != returned {
                        continue;
                    }
                }
            }
            state =
                self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lend(
        &self,
        mut state: MutexGuard<'_, State<C>>,
        purpose: Purpose,
        kept: Kept<C>,
        waited: Duration,
    ) -> Lease<'_, C> {
        state.lent.push(purpose);
        let Kept { kind, length, context } = kept;
        Lease { pool: self, purpose, kind, length, context: Some(context), waited }
    }

    fn join(&self, purpose: Purpose) -> Waiter<'_, C> {
        let mut state = self.lock();
        let ticket = state.next;
        state.next += 1;
        state.waiting.push_back((ticket, purpose));
        Waiter { pool: self, ticket }
    }

    fn lock(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, frees what is no longer needed and lets everyone in line look again.
    fn change(&self, change: impl FnOnce(&mut State<C>)) {
        let mut state = self.lock();
        change(&mut state);
        let surplus = state.surplus();
        drop(state);
        self.changed.notify_all();
        drop(surplus);
    }
}

impl<C> State<C> {
    fn has_seat(&self, purpose: Purpose) -> bool {
        self.lent.iter().filter(|lent| **lent == purpose).count() < purpose.seats()
    }

    /// Whether nobody who came earlier could go now.
    fn is_next(&self, ticket: u64) -> bool {
        let first = self.waiting.iter().find(|(_, purpose)| self.has_seat(*purpose));
        first.is_some_and(|(first, _)| *first == ticket)
    }

    /// The shortest idle context of the kind of at least `length` tokens.
    fn take_idle(&mut self, kind: Kind, length: u32) -> Option<Kept<C>> {
        let idle = self.idle.iter().enumerate();
        let long_enough = idle.filter(|(_, kept)| kept.kind == kind && kept.length >= length);
        let (index, _) = long_enough.min_by_key(|(_, kept)| kept.length)?;
        Some(self.idle.swap_remove(index))
    }

    /// Takes the idle contexts that `which` picks.
    fn take_all(&mut self, which: impl Fn(&Kept<C>) -> bool) -> Vec<Kept<C>> {
        let (taken, left) = std::mem::take(&mut self.idle).into_iter().partition(which);
        self.idle = left;
        taken
    }

    /// Idle contexts that nobody waits for; the longest one of each kind is kept for the next
    /// request.
    fn surplus(&mut self) -> Vec<Kept<C>> {
        let keep = self.waiting.len().max(1);
        self.idle.sort_by_key(|kept| std::cmp::Reverse(kept.length));
        let mut seen: Vec<(Kind, usize)> = Vec::new();
        let (kept, surplus) = std::mem::take(&mut self.idle).into_iter().partition(|kept| {
            let count = match seen.iter_mut().find(|(kind, _)| *kind == kept.kind) {
                Some((_, count)) => {
                    *count += 1;
                    *count
                }
                None => {
                    seen.push((kept.kind, 1));
                    1
                }
            };
            count <= keep
        });
        self.idle = kept;
        surplus
    }
}

/// A place in line; dropping it leaves the line.
struct Waiter<'p, C> {
    pool: &'p Pool<C>,
    ticket: u64,
}

impl<C> Drop for Waiter<'_, C> {
    fn drop(&mut self) {
        self.pool.change(|state| state.waiting.retain(|(ticket, _)| *ticket != self.ticket));
    }
}

impl<C> Drop for Lease<'_, C> {
    fn drop(&mut self) {
        let Some(context) = self.context.take() else { return };
        self.pool.change(|state| {
            if let Some(index) = state.lent.iter().position(|lent| *lent == self.purpose) {
                state.lent.swap_remove(index);
            }
            state.returned += 1;
            state.idle.push(Kept { kind: self.kind, length: self.length, context });
        });
    }
}

impl<C> Deref for Lease<'_, C> {
    type Target = C;

    fn deref(&self) -> &C {
        self.context.as_ref().expect("a lease has its context until it is dropped")
    }
}

impl<C> DerefMut for Lease<'_, C> {
    fn deref_mut(&mut self) -> &mut C {
        self.context.as_mut().expect("a lease has its context until it is dropped")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    /// Stands for a context; counts how many there are.
    #[derive(Debug)]
    struct Counted(Arc<AtomicUsize>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[derive(Default, Clone)]
    struct Memory {
        made: Arc<AtomicUsize>,
        holds: Option<usize>,
    }

    impl Memory {
        fn count(&self) -> usize {
            self.made.load(Ordering::Relaxed)
        }

        fn fits(&self) -> bool {
            self.holds.is_none_or(|holds| self.count() < holds)
        }

        fn make(&self) -> Result<Counted> {
            self.made.fetch_add(1, Ordering::Relaxed);
            Ok(Counted(Arc::clone(&self.made)))
        }

        fn borrow<'p>(
            &self,
            pool: &'p Pool<Counted>,
            purpose: Purpose,
            length: u32,
        ) -> Lease<'p, Counted> {
            let calm = AtomicBool::new(false);
            pool.borrow(purpose, Kind::PLAIN, length, &calm, || self.fits(), || self.make())
                .unwrap()
        }
    }

    fn wait_for_line(pool: &Pool<Counted>, length: usize) {
        while pool.lock().waiting.len() != length {
            std::thread::yield_now();
        }
    }

    #[test]
    fn four_write_the_fifth_waits_and_a_score_does_not() {
        let (pool, memory) = (Pool::default(), Memory::default());
        let mut writers: Vec<_> =
            (0..WRITERS).map(|_| memory.borrow(&pool, Purpose::Write, 8)).collect();
        let (sender, order) = mpsc::channel();
        std::thread::scope(|scope| {
            for number in 0..3 {
                let (sender, pool, memory) = (sender.clone(), &pool, &memory);
                scope.spawn(move || {
                    let lease = memory.borrow(pool, Purpose::Write, 8);
                    sender.send((number, lease.waited)).unwrap();
                });
                wait_for_line(pool, number + 1);
            }
            // Scores have a seat of their own, however many wait to write.
            drop(memory.borrow(&pool, Purpose::Score, 8));
            assert_eq!(pool.lock().waiting.len(), 3);
            drop(writers.pop());
        });
        drop(sender);
        let order: Vec<_> = order.iter().collect();
        assert_eq!(order.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(order.iter().all(|(_, waited)| *waited > Duration::ZERO));
        drop(writers);
        assert_eq!(memory.count(), 1, "one context stays for the next request");
        drop(pool);
        assert_eq!(memory.count(), 0);
    }

    #[test]
    fn without_memory_for_another_one_requests_wait() {
        let pool = Pool::default();
        let memory = Memory { holds: Some(2), ..Memory::default() };
        let first = memory.borrow(&pool, Purpose::Write, 8);
        let second = memory.borrow(&pool, Purpose::Write, 8);
        std::thread::scope(|scope| {
            let third = scope.spawn(|| {
                let lease = memory.borrow(&pool, Purpose::Write, 8);
                assert!(memory.count() <= 2 && lease.waited > Duration::ZERO);
            });
            let score = scope.spawn(|| {
                wait_for_line(&pool, 1);
                // Longer than what comes back: another one must go to make room for it.
                drop(memory.borrow(&pool, Purpose::Score, 16));
                assert!(memory.count() <= 2);
            });
            wait_for_line(&pool, 2);
            assert_eq!(memory.count(), 2);
            drop(first);
            drop(second);
            third.join().unwrap();
            score.join().unwrap();
        });
        assert_eq!(memory.count(), 1);
    }

    #[test]
    fn the_first_context_is_made_without_asking_and_its_failure_is_told() {
        let pool = Pool::default();
        let calm = AtomicBool::new(false);
        let memory = Memory { holds: Some(0), ..Memory::default() };
        drop(memory.borrow(&pool, Purpose::Write, 8));
        let full = || Err(Error::new(ErrorCode::DoesNotFit, "full"));
        let error = pool.borrow(Purpose::Write, Kind::PLAIN, 9, &calm, || true, full).unwrap_err();
        assert_eq!(error.code, ErrorCode::DoesNotFit);
        assert_eq!(memory.count(), 0, "the short one was freed before");
        assert!(pool.lock().waiting.is_empty() && pool.lock().lent.is_empty());

        // Refused by the system while another one is at work: waits for it and takes it over.
        let first = memory.borrow(&pool, Purpose::Write, 8);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let lease = pool.borrow(Purpose::Write, Kind::PLAIN, 8, &calm, || true, full);
                lease.map(drop)
            });
            wait_for_line(&pool, 1);
            drop(first);
            second.join().unwrap().unwrap();
        });
    }

    #[test]
    fn the_shortest_that_is_long_enough_is_lent_and_the_longest_is_kept() {
        let (pool, memory) = (Pool::default(), Memory::default());
        let short = memory.borrow(&pool, Purpose::Write, 8);
        let long = memory.borrow(&pool, Purpose::Write, 32);
        drop(short);
        drop(long);
        assert_eq!(memory.count(), 1);
        assert_eq!(memory.borrow(&pool, Purpose::Score, 16).length, 32);
        assert_eq!(memory.count(), 1, "it was used again");
    }

    #[test]
    fn kinds_do_not_stand_in_for_each_other_and_one_of_each_is_kept() {
        let (pool, memory) = (Pool::default(), Memory { holds: Some(2), ..Memory::default() });
        let calm = AtomicBool::new(false);
        let borrow = |kind, length| {
            pool.borrow(Purpose::Write, kind, length, &calm, || memory.fits(), || memory.make())
                .unwrap()
        };
        drop(borrow(Kind::PLAIN, 16));
        let watched = borrow(Kind::WATCHED, 8);
        assert_eq!((watched.kind, watched.length, memory.count()), (Kind::WATCHED, 8, 2));
        drop(watched);
        assert_eq!(memory.count(), 2, "one of each kind waits for its next use");
        assert_eq!(borrow(Kind::PLAIN, 8).length, 16);
        // A third kind does not fit beside them: both go.
        drop(borrow(Kind { watched: true, sequences: 4 }, 8));
        assert_eq!(memory.count(), 1);
    }

    #[test]
    fn whoever_is_cancelled_leaves_the_line() {
        let (pool, memory) = (Pool::default(), Memory { holds: Some(1), ..Memory::default() });
        let first = memory.borrow(&pool, Purpose::Write, 8);
        let flag = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let (kind, fits) = (Kind::PLAIN, || memory.fits());
                let lease = pool.borrow(Purpose::Write, kind, 8, &flag, fits, || memory.make());
                lease.map(drop)
            });
            let third = scope.spawn(|| {
                wait_for_line(&pool, 1);
                drop(memory.borrow(&pool, Purpose::Write, 8));
            });
            wait_for_line(&pool, 2);
            flag.store(true, Ordering::Relaxed);
            assert_eq!(second.join().unwrap().unwrap_err().code, ErrorCode::Cancelled);
            drop(first);
            third.join().unwrap();
        });
        assert!(pool.lock().waiting.is_empty() && pool.lock().lent.is_empty());
    }
}
