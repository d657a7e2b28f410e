//! Worker processes: the same executable, started again, speaking frames over its pipes.
//!
//! llama.cpp aborts on some files, PDF parsers overflow the stack and exhaust memory, and
//! training must be killable. None of that can be caught inside a process, so each of them
//! lives in a process of its own and one supervisor serves them all.
//!
//! ```text
//! parent                                   worker
//! Supervisor::call(request) ── Request ──▶ serve() ─▶ Handler::handle
//!        on_event(event)   ◀── Event ────            RequestContext::emit
//!        cancel            ── Cancel ───▶            RequestContext::is_cancelled
//!        Ok(reply)         ◀── Reply ────
//! ```
//!
//! A worker never opens a socket, ends when its parent ends (end of file on its standard
//! input, and a parent-death signal on Linux), and prints nothing but frames on its
//! standard output.

mod frame;
mod limits;
mod protocol;
mod serve;
mod supervisor;

pub use frame::{FrameError, MAX_FRAME_BYTES};
pub use limits::Limits;
pub use protocol::{Handler, Protocol, RequestContext};
pub use serve::serve;
pub use supervisor::{CallOptions, Supervisor, WorkerCommand};
