//! A worker that echoes, seen from its parent. This test has no harness, because the same
//! executable is started again as the worker and may then print nothing but frames.

use quartet_types::{Error, ErrorCode, Result};
use quartet_worker::{
    CallOptions, Handler, Limits, Protocol, RequestContext, Supervisor, WorkerCommand, serve,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const CHILD: &str = "QUARTET_TEST_ECHO_CHILD";

#[derive(Debug, Serialize, Deserialize)]
enum Ask {
    /// Send the text back, letter by letter as events first.
    Echo(String),
    /// Print to standard output, as a careless library would.
    Chatter,
    /// Work until cancelled.
    UntilCancelled,
    /// Work for ever, deaf to everything.
    Deaf,
    /// Say something and abort.
    Abort,
    Panic,
    /// Fail politely.
    Fail,
    /// Take this many bytes of memory under a limit of 256 MiB.
    Hoard(usize),
    /// The process id.
    Who,
}

struct Echo;

impl Protocol for Echo {
    type Request = Ask;
    type Event = char;
    type Reply = String;
    const NAME: &'static str = "echo";
}

impl Handler<Self> for Echo {
    #[allow(clippy::print_stdout, clippy::print_stderr, reason = "the point of these requests")]
    fn handle(&self, request: Ask, context: &RequestContext<Self>) -> Result<String> {
        match request {
            Ask::Echo(text) => {
                text.chars().for_each(|letter| context.emit(letter));
                Ok(text)
            }
            Ask::Chatter => {
                println!("this must not reach the frames");
                Ok("quiet".to_owned())
            }
            Ask::UntilCancelled => {
                context.emit('.');
                while !context.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(Error::cancelled())
            }
            Ask::Deaf => {
                context.emit('.');
                loop {
                    std::thread::sleep(Duration::from_secs(60));
                }
            }
            Ask::Abort => {
                eprintln!("the very last words");
                std::process::abort();
            }
            Ask::Panic => panic!("on purpose"),
            Ask::Fail => {
                Err(Error::new(ErrorCode::BadFile, "torn").hint("Mend it.").about("a.pdf"))
            }
            Ask::Hoard(bytes) => {
                Limits { address_space_bytes: Some(256 << 20), ..Limits::default() }.apply()?;
                Ok(vec![1u8; bytes].len().to_string())
            }
            Ask::Who => Ok(std::process::id().to_string()),
        }
    }
}

#[expect(clippy::print_stdout, reason = "without a harness it says itself what passed")]
fn main() -> Result<()> {
    if std::env::var_os(CHILD).is_some() {
        return serve(Echo);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        replies_and_events().await;
        println!("ok: replies and events");
        errors_and_panics_leave_the_worker_alive().await;
        println!("ok: errors and panics leave the worker alive");
        cancelling().await;
        println!("ok: cancelling");
        a_wall_limit_ends_the_worker().await;
        println!("ok: a wall limit ends the worker");
        a_crash_is_described_and_survived().await;
        println!("ok: a crash is described and survived");
        missing_programs_are_named().await;
        println!("ok: missing programs are named");
        #[cfg(target_os = "linux")]
        {
            workers_end_with_their_supervisor().await;
            println!("ok: workers end with their supervisor");
            memory_is_limited().await;
            println!("ok: memory is limited");
        }
    });
    Ok(())
}

fn supervisor() -> Supervisor<Echo> {
    Supervisor::new(WorkerCommand {
        program: std::env::current_exe().unwrap(),
        arguments: Vec::new(),
        environment: vec![(CHILD.into(), "1".into())],
    })
}

async fn ask(worker: &Supervisor<Echo>, request: Ask) -> Result<String> {
    worker.call(request, &CallOptions::default(), |_| {}).await
}

async fn replies_and_events() {
    let worker = supervisor();
    assert!(!worker.is_running(), "a worker starts with its first call");
    let mut heard = String::new();
    let reply = worker
        .call(Ask::Echo("naïve ☃".to_owned()), &CallOptions::default(), |letter| {
            heard.push(letter);
        })
        .await;
    assert_eq!((reply.as_deref(), heard.as_str()), (Ok("naïve ☃"), "naïve ☃"));
    assert_eq!(ask(&worker, Ask::Chatter).await.as_deref(), Ok("quiet"));
    let large = "x".repeat(20 << 20);
    assert_eq!(ask(&worker, Ask::Echo(large[..1 << 16].to_owned())).await.unwrap().len(), 1 << 16);
    let error = ask(&worker, Ask::Echo("x".repeat(quartet_worker::MAX_FRAME_BYTES + 1))).await;
    assert_eq!(error.unwrap_err().code, ErrorCode::InvalidInput);
    // Calls in flight together do not mix up.
    let who = ask(&worker, Ask::Who);
    let echo = ask(&worker, Ask::Echo("b".to_owned()));
    let (who, echo) = tokio::join!(who, echo);
    assert_eq!(echo.as_deref(), Ok("b"));
    assert_eq!(ask(&worker, Ask::Who).await, who, "one process serves all calls");
}

async fn errors_and_panics_leave_the_worker_alive() {
    let worker = supervisor();
    let who = ask(&worker, Ask::Who).await.unwrap();
    let error = ask(&worker, Ask::Fail).await.unwrap_err();
    assert_eq!(error, Error::new(ErrorCode::BadFile, "torn").hint("Mend it.").about("a.pdf"));
    let error = ask(&worker, Ask::Panic).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Internal);
    assert_eq!(ask(&worker, Ask::Who).await.unwrap(), who);
}

/// Cancels at the first event.
async fn cancelled(worker: &Supervisor<Echo>, request: Ask) -> Error {
    let options = CallOptions::default();
    let token = options.cancel.clone();
    worker.call(request, &options, |_| token.cancel()).await.unwrap_err()
}

async fn cancelling() {
    let worker = supervisor();
    let who = ask(&worker, Ask::Who).await.unwrap();
    assert_eq!(cancelled(&worker, Ask::UntilCancelled).await.code, ErrorCode::Cancelled);
    assert_eq!(ask(&worker, Ask::Who).await.unwrap(), who, "a worker that listens lives on");
    assert_eq!(cancelled(&worker, Ask::Deaf).await.code, ErrorCode::Cancelled);
    assert!(!worker.is_running(), "a worker that does not listen is ended");
    assert_ne!(ask(&worker, Ask::Who).await.unwrap(), who);
}

async fn a_wall_limit_ends_the_worker() {
    let worker = supervisor();
    let options =
        CallOptions { wall_limit: Some(Duration::from_millis(300)), ..CallOptions::default() };
    let error = worker.call(Ask::Deaf, &options, |_| {}).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    assert_eq!(ask(&worker, Ask::Echo("c".to_owned())).await.as_deref(), Ok("c"));
}

async fn a_crash_is_described_and_survived() {
    let worker = supervisor();
    let bystander = ask(&worker, Ask::Deaf);
    let crash = async {
        // The other call must be in flight before the crash.
        ask(&worker, Ask::Who).await.unwrap();
        ask(&worker, Ask::Abort).await
    };
    let (bystander, crash) = tokio::join!(bystander, crash);
    let error = crash.unwrap_err();
    assert_eq!(error.code, ErrorCode::WorkerDied);
    assert!(error.message.contains("the very last words"), "{error}");
    #[cfg(unix)]
    assert!(error.message.contains("aborted"), "{error}");
    assert_eq!(bystander.unwrap_err().code, ErrorCode::WorkerDied);
    assert_eq!(ask(&worker, Ask::Echo("d".to_owned())).await.as_deref(), Ok("d"));
}

async fn missing_programs_are_named() {
    let worker = Supervisor::<Echo>::new(WorkerCommand {
        program: "no-such-program-anywhere".into(),
        arguments: Vec::new(),
        environment: Vec::new(),
    });
    let error = ask(&worker, Ask::Who).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert_eq!(error.subject.as_deref(), Some("no-such-program-anywhere"));
}

#[cfg(target_os = "linux")]
async fn workers_end_with_their_supervisor() {
    let worker = supervisor();
    let who = ask(&worker, Ask::Who).await.unwrap();
    drop(worker);
    let place = std::path::PathBuf::from(format!("/proc/{who}"));
    for _ in 0..500 {
        if !place.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("process {who} is still there");
}

#[cfg(target_os = "linux")]
async fn memory_is_limited() {
    let worker = supervisor();
    assert_eq!(ask(&worker, Ask::Hoard(1 << 20)).await.as_deref(), Ok("1048576"));
    let error = ask(&worker, Ask::Hoard(1 << 30)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::WorkerDied, "{error}");
}
