//! What a worker may use at most. Set by the worker on itself, first thing.

use quartet_types::{Error, ErrorCode, Result};

/// Limits of a worker process; `None` leaves a resource unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Address space, in bytes (`RLIMIT_AS`).
    pub address_space_bytes: Option<u64>,
    /// Processor time, in seconds (`RLIMIT_CPU`); the process is killed beyond it.
    pub cpu_seconds: Option<u64>,
    /// Added to the scheduling priority number: 10 is polite, 0 is normal.
    pub niceness: i32,
}

impl Limits {
    /// Applies the limits to this process, for ever.
    ///
    /// # Errors
    /// If the operating system refuses.
    #[cfg(unix)]
    pub fn apply(self) -> Result<()> {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let refused = |error: rustix::io::Errno| {
            Error::new(ErrorCode::Internal, format!("a worker could not limit itself: {error}"))
        };
        let limit = |amount: u64| Rlimit { current: Some(amount), maximum: Some(amount) };
        // A crashing worker must not write a core file of the user's documents.
        setrlimit(Resource::Core, limit(0)).map_err(refused)?;
        if let Some(bytes) = self.address_space_bytes {
            setrlimit(Resource::As, limit(bytes)).map_err(refused)?;
        }
        if let Some(seconds) = self.cpu_seconds {
            setrlimit(Resource::Cpu, limit(seconds)).map_err(refused)?;
        }
        if self.niceness != 0 {
            // Being refused politeness is no reason not to work.
            let _ = rustix::process::nice(self.niceness);
        }
        Ok(())
    }

    /// Applies the limits to this process, for ever.
    ///
    /// # Errors
    /// Never: this platform has no limits here yet, and the parent's wall limit remains.
    #[cfg(not(unix))]
    pub fn apply(self) -> Result<()> {
        Ok(())
    }
}

/// Asks the operating system to end this process when its parent ends.
pub(crate) fn die_with_parent() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Signal, set_parent_process_death_signal};
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
    }
}
