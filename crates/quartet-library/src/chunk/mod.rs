//! From a document's pages to chunks for retrieval: sentences, headings, and a plan that puts
//! whole sentences together up to a token budget. All positions are characters, not bytes.

mod heading;
mod plan;
mod sentences;

pub use heading::{is_heading, title_of};
pub use plan::{Budget, ChunkPlan, Unit, plan, units};
pub use sentences::{PieceKind, sentences};
