//! The parent's side: start a worker when it is needed, talk to it, notice when it dies.

use crate::frame;
use crate::protocol::{FromWorker, Protocol, ToWorker};
use quartet_types::{Error, ErrorCode, Result};
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How long a cancelled request may take to say so before its worker is killed.
const CANCEL_GRACE: Duration = Duration::from_millis(800);

/// How to start a worker.
#[derive(Debug, Clone)]
pub struct WorkerCommand {
    /// The executable: normally this very program.
    pub program: PathBuf,
    /// Its arguments, for example `worker engine`.
    pub arguments: Vec<OsString>,
    /// Environment variables set for it.
    pub environment: Vec<(OsString, OsString)>,
}

/// Limits of one call, kept by the parent.
#[derive(Debug, Clone, Default)]
pub struct CallOptions {
    /// Cancels the call.
    pub cancel: CancellationToken,
    /// Wall time after which the worker is killed and the call fails.
    pub wall_limit: Option<Duration>,
}

type Incoming<P> = FromWorker<<P as Protocol>::Event, <P as Protocol>::Reply>;
type Waiting<P> = Arc<Mutex<HashMap<u64, mpsc::UnboundedSender<Incoming<P>>>>>;

struct Process<P: Protocol> {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Waiting<P>,
    alive: Arc<AtomicBool>,
    epitaph: Arc<Mutex<Option<String>>>,
    kill: Mutex<Option<oneshot::Sender<()>>>,
}

/// One worker, started at the first call and started again after a death.
///
/// A death fails the calls in flight with [`ErrorCode::WorkerDied`] and nothing else.
pub struct Supervisor<P: Protocol> {
    command: WorkerCommand,
    process: Mutex<Option<Arc<Process<P>>>>,
    next_id: AtomicU64,
}

impl<P: Protocol> Supervisor<P> {
    /// A supervisor whose worker is not started yet.
    #[must_use]
    pub fn new(command: WorkerCommand) -> Self {
        Self { command, process: Mutex::new(None), next_id: AtomicU64::new(1) }
    }

    /// Whether a worker process is running now.
    #[must_use]
    pub fn is_running(&self) -> bool {
        lock(&self.process).as_ref().is_some_and(|process| process.alive.load(Ordering::Acquire))
    }

    /// Ends the worker at once and gives its memory back to the system.
    pub fn kill(&self) {
        if let Some(process) = lock(&self.process).take() {
            process.kill();
        }
    }

    /// Asks the worker, starting it if necessary, and waits for the reply.
    ///
    /// # Errors
    /// The worker's own error; `WorkerDied` if the process ended first; `Cancelled`;
    /// `LimitExceeded` past the wall limit.
    pub async fn call(
        &self,
        request: P::Request,
        options: &CallOptions,
        mut on_event: impl FnMut(P::Event) + Send,
    ) -> Result<P::Reply> {
        let process = self.running()?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, mut incoming) = mpsc::unbounded_channel();
        lock(&process.waiting).insert(id, sender);
        let _entry = Entry { process: Arc::clone(&process), id };
        let message = frame::encode(&ToWorker::Request { id, body: request })
            .map_err(|error| Error::new(ErrorCode::InvalidInput, error.to_string()))?;
        if process.outgoing.send(message).is_err() || !process.alive.load(Ordering::Acquire) {
            return Err(process.died(P::NAME));
        }

        let deadline = options.wall_limit.map(|limit| tokio::time::Instant::now() + limit);
        let mut cancel_sent_until = None;
        loop {
            tokio::select! {
                biased;
                message = incoming.recv() => match message {
                    Some(FromWorker::Event { body, .. }) => on_event(body),
                    Some(FromWorker::Reply { body, .. }) => return body,
                    None if cancel_sent_until.is_some() => return Err(Error::cancelled()),
                    None => return Err(process.died(P::NAME)),
                },
                () = options.cancel.cancelled(), if cancel_sent_until.is_none() => {
                    if let Ok(message) = frame::encode(&ToWorker::<P::Request>::Cancel { id }) {
                        let _ = process.outgoing.send(message);
                    }
                    cancel_sent_until = Some(tokio::time::Instant::now() + CANCEL_GRACE);
                }
                () = sleep_until(cancel_sent_until) => {
                    process.kill();
                    return Err(Error::cancelled());
                }
                () = sleep_until(deadline) => {
                    process.kill();
                    return Err(Error::new(
                        ErrorCode::LimitExceeded,
                        format!("took longer than {} s", options.wall_limit.unwrap_or_default().as_secs()),
                    ));
                }
            }
        }
    }

    fn running(&self) -> Result<Arc<Process<P>>> {
        let mut slot = lock(&self.process);
        if let Some(process) = slot.as_ref()
            && process.alive.load(Ordering::Acquire)
        {
            return Ok(Arc::clone(process));
        }
        let process = Arc::new(Process::start(&self.command)?);
        *slot = Some(Arc::clone(&process));
        Ok(process)
    }
}

impl<P: Protocol> Drop for Supervisor<P> {
    fn drop(&mut self) {
        self.kill();
    }
}

impl<P: Protocol> Process<P> {
    fn start(command: &WorkerCommand) -> Result<Self> {
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::from_io(&error, &command.program))?;
        let missing = || Error::internal("a worker was started without its pipes");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;

        let waiting = Waiting::<P>::default();
        let alive = Arc::new(AtomicBool::new(true));
        let epitaph = Arc::new(Mutex::new(None));
        let (outgoing, to_write) = mpsc::unbounded_channel();
        let (kill, killed) = oneshot::channel();
        tokio::spawn(write_frames(stdin, to_write));
        let last_words = tokio::spawn(keep_last_lines(stderr));
        tokio::spawn(read_frames::<P>(
            child,
            stdout,
            killed,
            last_words,
            Arc::clone(&waiting),
            Arc::clone(&alive),
            Arc::clone(&epitaph),
        ));
        Ok(Self { outgoing, waiting, alive, epitaph, kill: Mutex::new(Some(kill)) })
    }

    fn kill(&self) {
        self.alive.store(false, Ordering::Release);
        if let Some(kill) = lock(&self.kill).take() {
            let _ = kill.send(());
        }
    }

    fn died(&self, name: &str) -> Error {
        let how = lock(&self.epitaph).clone().unwrap_or_else(|| "ended".to_owned());
        Error::new(ErrorCode::WorkerDied, format!("the {name} worker {how}"))
            .hint("Nothing else is lost; the next request starts a new worker.")
    }
}

/// Takes a call out of the waiting list however it ends.
struct Entry<P: Protocol> {
    process: Arc<Process<P>>,
    id: u64,
}

impl<P: Protocol> Drop for Entry<P> {
    fn drop(&mut self) {
        lock(&self.process.waiting).remove(&self.id);
    }
}

async fn write_frames(mut stdin: ChildStdin, mut frames: mpsc::UnboundedReceiver<Vec<u8>>) {
    while let Some(frame) = frames.recv().await {
        if stdin.write_all(&frame).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn read_frames<P: Protocol>(
    mut child: Child,
    mut stdout: ChildStdout,
    mut killed: oneshot::Receiver<()>,
    last_words: tokio::task::JoinHandle<VecDeque<String>>,
    waiting: Waiting<P>,
    alive: Arc<AtomicBool>,
    epitaph: Arc<Mutex<Option<String>>>,
) {
    let mut why = None;
    loop {
        tokio::select! {
            biased;
            message = frame::read_async::<Incoming<P>>(&mut stdout) => match message {
                Ok(Some(message)) => {
                    let id = match &message {
                        FromWorker::Event { id, .. } | FromWorker::Reply { id, .. } => *id,
                    };
                    if let Some(call) = lock(&waiting).get(&id) {
                        let _ = call.send(message);
                    }
                }
                Ok(None) => break,
                Err(error) => { why = Some(error.to_string()); break }
            },
            _ = &mut killed => { why = Some("was stopped".to_owned()); break }
        }
    }
    alive.store(false, Ordering::Release);
    let _ = child.start_kill();
    let status = child.wait().await.ok();
    let words = tokio::time::timeout(Duration::from_millis(200), last_words).await;
    let words = words.ok().and_then(std::result::Result::ok).unwrap_or_default();
    let mut text = why.unwrap_or_else(|| describe(status));
    // One that was killed from outside had no say in it: its last line is about something else.
    if status.is_none_or(|status| !was_killed(status))
        && let Some(line) = words.iter().rev().find(|line| !line.trim().is_empty())
    {
        text.push_str(": ");
        text.push_str(line.trim());
    }
    *lock(&epitaph) = Some(text);
    // Dropping the senders ends every call that still waits.
    lock(&waiting).clear();
}

async fn keep_last_lines(stderr: tokio::process::ChildStderr) -> VecDeque<String> {
    let mut lines = VecDeque::new();
    let mut reader = BufReader::new(stderr).split(b'\n');
    while let Ok(Some(line)) = reader.next_segment().await {
        if lines.len() == 20 {
            lines.pop_front();
        }
        let shown: String = String::from_utf8_lossy(&line).chars().take(300).collect();
        lines.push_back(shown);
    }
    lines
}

fn describe(status: Option<ExitStatus>) -> String {
    #[cfg(unix)]
    if let Some(signal) = status.as_ref().and_then(std::os::unix::process::ExitStatusExt::signal) {
        return match signal {
            6 => "aborted".to_owned(),
            9 => "was killed".to_owned(),
            11 => "crashed (segmentation fault)".to_owned(),
            24 => "used up its processor time".to_owned(),
            other => format!("was ended by signal {other}"),
        };
    }
    match status.and_then(|status| status.code()) {
        Some(code) => format!("ended with status {code}"),
        None => "ended".to_owned(),
    }
}

fn was_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    let killed = std::os::unix::process::ExitStatusExt::signal(&status) == Some(9);
    // Elsewhere a killed process cannot be told from one that ended badly.
    #[cfg(not(unix))]
    let killed = status.code().is_none();
    killed
}

async fn sleep_until(instant: Option<tokio::time::Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
