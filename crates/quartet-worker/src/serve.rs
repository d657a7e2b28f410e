//! The worker's side: read requests, answer them, end with the parent.

use crate::frame;
use crate::protocol::{FromWorker, Handler, Protocol, RequestContext, ToWorker};
use quartet_types::{Error, ErrorCode, Result};
use std::collections::HashMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

type Output = Arc<Mutex<Box<dyn Write + Send>>>;
type Cancellations = Arc<Mutex<HashMap<u64, Arc<AtomicBool>>>>;

/// Serves requests on standard input until it ends, then ends the process.
///
/// Standard output is taken over for frames: whatever a library prints goes to standard
/// error from here on.
///
/// # Errors
/// If the pipes cannot be set up.
pub fn serve<P: Protocol>(handler: impl Handler<P>) -> Result<()> {
    crate::limits::die_with_parent();
    let output = take_standard_output()?;
    let handler = Arc::new(handler);
    let cancellations = Cancellations::default();
    let mut input = io::stdin().lock();
    loop {
        match frame::read::<ToWorker<P::Request>>(&mut input) {
            Ok(Some(ToWorker::Request { id, body })) => {
                start::<P>(id, body, &handler, &output, &cancellations);
            }
            Ok(Some(ToWorker::Cancel { id })) => {
                let flags = cancellations.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(flag) = flags.get(&id) {
                    flag.store(true, Ordering::Relaxed);
                }
            }
            Ok(None) => std::process::exit(0),
            Err(error) => {
                return Err(Error::internal(format!("the {} worker: {error}", P::NAME)));
            }
        }
    }
}

fn start<P: Protocol>(
    id: u64,
    request: P::Request,
    handler: &Arc<impl Handler<P>>,
    output: &Output,
    cancellations: &Cancellations,
) {
    let cancelled = Arc::new(AtomicBool::new(false));
    lock(cancellations).insert(id, Arc::clone(&cancelled));
    let stack_bytes = handler.stack_bytes();
    let handler = Arc::clone(handler);
    let thread_output = Arc::clone(output);
    let thread_cancellations = Arc::clone(cancellations);
    let spawned = std::thread::Builder::new().stack_size(stack_bytes).spawn(move || {
        let event_output = Arc::clone(&thread_output);
        let context = RequestContext::<P> {
            events: Box::new(move |body| {
                send::<P>(&event_output, &FromWorker::Event { id, body });
            }),
            cancelled,
        };
        // A panic is a defect, but not one to lose the other requests for.
        let body = catch_unwind(AssertUnwindSafe(|| handler.handle(request, &context)))
            .unwrap_or_else(|_| Err(Error::internal(format!("the {} worker panicked", P::NAME))));
        lock(&thread_cancellations).remove(&id);
        send::<P>(&thread_output, &FromWorker::Reply { id, body });
    });
    if let Err(error) = spawned {
        lock(cancellations).remove(&id);
        let body = Err(Error::new(ErrorCode::LimitExceeded, error.to_string()));
        send::<P>(output, &FromWorker::Reply { id, body });
    }
}

fn send<P: Protocol>(output: &Output, message: &FromWorker<P::Event, P::Reply>) {
    // A parent that is gone or does not understand us cannot be told so.
    if frame::write(&mut *lock(output), message).is_err() {
        std::process::exit(1);
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(unix)]
fn take_standard_output() -> Result<Output> {
    let setup = |error: rustix::io::Errno| Error::internal(format!("standard output: {error}"));
    let frames = rustix::io::dup(rustix::stdio::stdout()).map_err(setup)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).map_err(setup)?;
    Ok(Arc::new(Mutex::new(Box::new(std::fs::File::from(frames)))))
}

#[cfg(not(unix))]
fn take_standard_output() -> Result<Output> {
    Ok(Arc::new(Mutex::new(Box::new(io::stdout()))))
}
