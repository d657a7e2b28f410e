//! From a document's pages to chunks for retrieval: sentences, headings, and a plan that puts
//! whole sentences together up to a token budget. All positions are characters, not bytes.

mod plan;
mod heading;
mod sentences;

pub use plan::{Budget, ChunkPlan, Unit, plan, units};
pub use heading::{is_heading, title_of};
pub use sentences::{PieceKind, sentences};
