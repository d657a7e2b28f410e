//! Looking into a forward pass: the one callback that llama.cpp calls between the nodes of its
//! graph.
//!
//! It calls twice for a node. First it asks, for a run of nodes ahead, whether anybody wants
//! them; it then computes up to the first wanted one, waits for it, and calls again. Returning
//! false the second time ends the pass there, which counts as success: keys and values of the
//! layers above are then not written although their cells count as used.
//!
//! What is looked for in a pass is its [`Orders`]; nodes are known by name and operation, and
//! a census ([`Node`]) tells at first use whether a model's graph has them (`crate::census`).

use super::context::NativeContext;
use super::reveal::{Masks, Reveal};
use llama_cpp_sys_2 as sys;
use quartet_types::{Error, Result};
use std::ffi::{CStr, c_void};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What to look for in the next pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Orders {
    /// Nodes to copy rows of.
    pub(crate) reads: Vec<Read>,
    /// Ends the pass once all of `reads` and `end` have been computed.
    pub(crate) stop: bool,
    /// A node that must be computed before the pass ends, without being copied.
    pub(crate) end: Option<NodeName>,
    /// Passages to show to some layers.
    pub(crate) reveal: Option<Reveal>,
    /// Notes every node.
    pub(crate) census: bool,
}

/// A node of the graph by its name and, where several have that name, its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeName {
    pub(crate) name: String,
    /// As ggml names it, for example `RESHAPE`.
    pub(crate) operation: String,
}

/// Rows of a node to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) node: NodeName,
    /// Whether a row is made of heads, `[head_dim, heads, rows]`, or is one, `[width, rows]`.
    pub(crate) heads: bool,
    /// Which rows of those that the node has.
    pub(crate) rows: Range<usize>,
}

/// A node as a census finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: NodeName,
    /// Length along each axis, the fastest first.
    pub(crate) shape: [i64; 4],
    /// Whether it holds 32-bit floats without gaps.
    pub(crate) plain: bool,
    /// For an attention node, which of the pass's masks it reads: its name and a number that
    /// tells masks apart.
    pub(crate) mask: Option<(String, usize)>,
}

/// What was found in a pass.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The rows copied for each of the reads, row-major.
    pub(crate) values: Vec<Vec<f32>>,
    /// Every node, in order, for a census.
    pub(crate) nodes: Vec<Node>,
}

/// What a context's callback works with.
pub(crate) struct Watch {
    state: Mutex<State>,
    /// Raised where the callback itself failed.
    broken: AtomicBool,
}

#[derive(Default)]
struct State {
    orders: Orders,
    found: Found,
    /// Which of the reads, and whether the end, have been computed.
    seen: Vec<bool>,
    end_seen: bool,
    masks: Masks,
    stopped: bool,
    problem: Option<String>,
}

impl Watch {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), broken: AtomicBool::new(false) })
    }

    /// The callback and what it is called with, for the parameters of a context that keeps the
    /// watch for as long as it lives.
    pub(super) fn callback(
        self: &Arc<Self>,
    ) -> (sys::ggml_backend_sched_eval_callback, *mut c_void) {
        (Some(look), Arc::as_ptr(self).cast_mut().cast())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

unsafe extern "C" fn look(node: *mut sys::ggml_tensor, ask: bool, watch: *mut c_void) -> bool {
    // SAFETY: the context keeps its watch for as long as llama.cpp may call this, and
    // it is only ever borrowed shared.
    let watch = unsafe { &*watch.cast::<Watch>() };
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let mut state = watch.lock();
        // SAFETY: llama.cpp passes a node of the graph that it is computing.
        let node = unsafe { NodeRef::new(node) };
        if ask { state.is_wanted(&node) } else { state.go_on(&node) }
    }));
    answer.unwrap_or_else(|_| {
        watch.broken.store(true, Ordering::Relaxed);
        false
    })
}

/// A node of the graph that is being computed.
pub(super) struct NodeRef<'n> {
    tensor: &'n sys::ggml_tensor,
    /// Empty where it is not text.
    name: &'n str,
}

impl<'n> NodeRef<'n> {
    /// # Safety
    /// The node is valid and nobody writes to its description for as long as we live.
    unsafe fn new(node: *mut sys::ggml_tensor) -> Self {
        // SAFETY: promised by the caller.
        let tensor = unsafe { &*node };
        Self { tensor, name: name_of(tensor) }
    }

    pub(super) fn name(&self) -> &'n str {
        self.name
    }

    fn operation(&self) -> &'static str {
        operation_name(self.tensor.op)
    }

    pub(super) fn is(&self, wanted: &NodeName) -> bool {
        self.name == wanted.name && self.operation() == wanted.operation
    }

    /// For an attention node, the mask that it reads.
    pub(super) fn mask(&self) -> Option<&'n sys::ggml_tensor> {
        let source = match self.tensor.op {
            sys::GGML_OP_FLASH_ATTN_EXT => self.tensor.src[3],
            sys::GGML_OP_SOFT_MAX => self.tensor.src[1],
            _ => return None,
        };
        // SAFETY: sources of a node are null or nodes of the same graph.
        unsafe { source.as_ref() }
    }

    fn describe(&self, masks: &mut Vec<usize>) -> Node {
        let mask = self.mask().map(|mask| {
            let place = std::ptr::from_ref(mask) as usize;
            let known = masks.iter().position(|known| *known == place);
            let number = known.unwrap_or_else(|| {
                masks.push(place);
                masks.len() - 1
            });
            (name_of(mask).to_owned(), number)
        });
        Node {
            name: NodeName { name: self.name().to_owned(), operation: self.operation().into() },
            shape: self.tensor.ne,
            plain: self.is_plain(),
            mask,
        }
    }

    fn is_plain(&self) -> bool {
        // SAFETY: the tensor is valid; only its description is read.
        self.tensor.type_ == sys::GGML_TYPE_F32 && unsafe { sys::ggml_is_contiguous(self.tensor) }
    }

    /// Copies rows to the end of `values`.
    fn copy(&self, read: &Read, values: &mut Vec<f32>) -> std::result::Result<(), String> {
        let [first, second, third, fourth] = self.tensor.ne;
        let (width, rows) = if read.heads {
            (first.saturating_mul(second), third)
        } else {
            (first, second.saturating_mul(third))
        };
        let (width, rows) = (usize::try_from(width), usize::try_from(rows));
        let (Ok(width), Ok(rows)) = (width, rows) else {
            return Err(format!("node `{}` has a negative length", self.name()));
        };
        if !self.is_plain() || fourth != 1 || read.rows.end > rows {
            return Err(format!(
                "node `{}` of shape {:?} cannot give rows {:?}",
                self.name(),
                self.tensor.ne,
                read.rows
            ));
        }
        let count = read.rows.len() * width;
        if count == 0 {
            return Ok(());
        }
        let before = values.len();
        values.resize(before + count, 0.0);
        // SAFETY: the tensor has been computed; it holds `rows * width` floats without gaps, of
        // which the range is part, and the destination has room for it.
        unsafe {
            sys::ggml_backend_tensor_get(
                self.tensor,
                values[before..].as_mut_ptr().cast(),
                read.rows.start * width * size_of::<f32>(),
                count * size_of::<f32>(),
            );
        }
        Ok(())
    }
}

fn name_of(tensor: &sys::ggml_tensor) -> &str {
    // SAFETY: a name is an array of 64 characters of which one is zero: ggml always ends it.
    unsafe { CStr::from_ptr(tensor.name.as_ptr()) }.to_str().unwrap_or_default()
}

fn operation_name(operation: sys::ggml_op) -> &'static str {
    // SAFETY: operations of a graph are known to ggml, which returns a static string.
    unsafe { CStr::from_ptr(sys::ggml_op_name(operation)) }.to_str().unwrap_or_default()
}

impl State {
    /// Whether the pass must stop to show us this node.
    fn is_wanted(&mut self, node: &NodeRef<'_>) -> bool {
        if self.stopped {
            // Only the rest of this device's part was left out; the next device computes one
            // node before it is stopped too.
            return true;
        }
        if self.orders.census {
            let description = node.describe(&mut self.masks.known);
            self.found.nodes.push(description);
        }
        let mut wanted = false;
        if let Some(reveal) = &self.orders.reveal {
            wanted |= self.masks.ask(reveal, node).unwrap_or_else(|problem| {
                self.problem.get_or_insert(problem);
                true
            });
        }
        wanted |= self.orders.reads.iter().any(|read| node.is(&read.node));
        wanted | self.orders.end.as_ref().is_some_and(|end| node.is(end))
    }

    /// Whether the pass goes on after this node.
    fn go_on(&mut self, node: &NodeRef<'_>) -> bool {
        if self.stopped || self.problem.is_some() {
            self.stopped = true;
            return false;
        }
        self.masks.computed(node);
        for (index, read) in self.orders.reads.iter().enumerate() {
            if node.is(&read.node) && !self.seen[index] {
                self.seen[index] = true;
                if let Err(problem) = node.copy(read, &mut self.found.values[index]) {
                    self.problem = Some(problem);
                }
            }
        }
        self.end_seen |= self.orders.end.as_ref().is_some_and(|end| node.is(end));
        let complete =
            self.seen.iter().all(|seen| *seen) && (self.end_seen || self.orders.end.is_none());
        self.stopped = self.problem.is_some() || (self.orders.stop && complete);
        !self.stopped
    }
}

impl NativeContext {
    /// Says what to look for in the next pass. Nothing is looked for in those after it.
    pub(crate) fn order(&mut self, orders: Orders) -> Result<()> {
        let watch = self.watch().ok_or_else(|| Error::internal("nobody watches this context"))?;
        let count = orders.reads.len();
        let found = Found { values: vec![Vec::new(); count], nodes: Vec::new() };
        *watch.lock() = State { orders, found, seen: vec![false; count], ..State::default() };
        Ok(())
    }

    /// What was found in the last pass, which then is not watched any more.
    ///
    /// # Errors
    /// If the pass did not contain what was looked for.
    pub(crate) fn found(&mut self) -> Result<Found> {
        let watch = self.watch().ok_or_else(|| Error::internal("nobody watches this context"))?;
        let state = std::mem::take(&mut *watch.lock());
        if watch.broken.swap(false, Ordering::Relaxed) {
            return Err(Error::internal("the callback between two nodes failed"));
        }
        if let Some(problem) = state.problem {
            return Err(Error::internal(problem));
        }
        let missing = state.orders.reads.iter().zip(&state.seen).find(|(_, seen)| !**seen);
        if let Some((read, _)) = missing {
            let name = &read.node.name;
            return Err(Error::internal(format!("the pass had no node `{name}`")));
        }
        if let Some(reveal) = &state.orders.reveal
            && !state.stopped
        {
            state.masks.check_done(reveal).map_err(Error::internal)?;
        }
        Ok(state.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Box<sys::ggml_tensor> {
        // SAFETY: a tensor is plain data for which zeros are valid (null pointers, type f32).
        let mut tensor: Box<sys::ggml_tensor> = Box::new(unsafe { std::mem::zeroed() });
        for (place, byte) in tensor.name.iter_mut().zip(name.bytes()) {
            *place = byte as _;
        }
        tensor
    }

    #[test]
    fn a_panic_does_not_cross_the_callback() {
        let watch = Watch::new();
        let wanted = NodeName { name: "here".into(), operation: "NONE".into() };
        let read = Read { node: wanted, heads: false, rows: 0..1 };
        // As many places as there are reads would be right.
        *watch.lock() =
            State { orders: Orders { reads: vec![read], ..Orders::default() }, ..State::default() };
        let mut tensor = node("here");
        let data = watch.callback().1;
        // SAFETY: the tensor and the watch are valid.
        let asked = unsafe { look(&raw mut *tensor, true, data) };
        // SAFETY: as above.
        let went_on = unsafe { look(&raw mut *tensor, false, data) };
        assert!(asked && !went_on);
        assert!(watch.broken.load(Ordering::Relaxed));
    }
}
