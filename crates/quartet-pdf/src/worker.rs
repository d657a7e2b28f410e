//! The worker's side: one document in a process that may die.

use crate::extract::{ExtractEvent, ExtractOptions, ExtractSummary, extract};
use quartet_types::Result;
use quartet_worker::{Handler, Limits, Protocol, RequestContext};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Memory of a worker. Twice what the largest ordinary document of our collection needs,
/// and a quarter of the memory of a small machine.
const ADDRESS_SPACE_BYTES: u64 = 2 << 30;
/// Deeply nested objects need stack; most of it is never touched.
const STACK_BYTES: usize = 64 << 20;
/// Processor time for opening a document and for one slow page.
const CPU_SECONDS: u64 = 10;
/// Pages that earn one more second of processor time; ordinary ones need a hundredth.
const PAGES_PER_CPU_SECOND: u64 = 5;

/// The messages of the `pdf` worker.
#[derive(Debug)]
pub enum PdfProtocol {}

/// Asks for one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtractRequest {
    /// The file.
    pub path: PathBuf,
    /// Limits and the starting point.
    pub options: ExtractOptions,
}

impl Protocol for PdfProtocol {
    type Request = ExtractRequest;
    type Event = ExtractEvent;
    type Reply = ExtractSummary;
    const NAME: &'static str = "pdf";
}

/// Serves [`PdfProtocol`] on standard input and output, within its own limits.
///
/// A process is good for one document: its processor time is counted from its start.
///
/// # Errors
/// If the limits or the pipes cannot be set up.
pub fn serve() -> Result<()> {
    let limits =
        Limits { address_space_bytes: Some(ADDRESS_SPACE_BYTES), cpu_seconds: None, niceness: 5 };
    limits.apply()?;
    allow_cpu_for(0);
    quartet_worker::serve(PdfWorker)
}

struct PdfWorker;

impl Handler<PdfProtocol> for PdfWorker {
    fn handle(
        &self,
        request: ExtractRequest,
        context: &RequestContext<PdfProtocol>,
    ) -> Result<ExtractSummary> {
        let mut pages = 0;
        extract(&request.path, &request.options, &mut |event| {
            if context.is_cancelled() {
                return ControlFlow::Break(());
            }
            if matches!(event, ExtractEvent::Page(_)) {
                pages += 1;
                if pages % PAGES_PER_CPU_SECOND == 0 {
                    allow_cpu_for(pages);
                }
            }
            context.emit(event);
            ControlFlow::Continue(())
        })
    }

    fn stack_bytes(&self) -> usize {
        STACK_BYTES
    }
}

/// Only the soft limit is set, so that a long document can earn more as its pages come.
fn allow_cpu_for(pages: u64) {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Cpu).maximum;
        let wanted = CPU_SECONDS + pages / PAGES_PER_CPU_SECOND;
        let current = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        // If refused, the earlier limit still stands.
        let _ = setrlimit(Resource::Cpu, Rlimit { current, maximum });
    }
    #[cfg(not(unix))]
    let _ = pages;
}
