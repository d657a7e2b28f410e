//! What the graph that llama.cpp builds for a model looks like.
//!
//! Taps and the reveal of passages find their places by the names and operations of the
//! graph's nodes, which no release of llama.cpp promises to keep. So the first request of a
//! model that needs them runs one token and looks at every node: where something is not as
//! expected, requests that depend on it are refused, and the rest still works. The tests keep
//! the whole list for four families and fail when it changes (`tests/census.rs`).
//!
//! For each layer, in this order: queries and keys before rotation (after the normalisation of
//! heads where there is one), their rotation, attention with its mask, `kqv_out`, `l_out`.

use crate::model::{Model, Turn};
use crate::native::{AdapterSet, Input, Node, NodeName, Orders, Row, StateLayout};
use crate::pool::{Kind, Purpose};
use quartet_types::{Error, ErrorCode, Result, Tap, TapPoint};
use std::fmt::Write as _;
use std::sync::Arc;

/// A place in the graph that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) node: NodeName,
    /// Whether a row is made of heads.
    pub(crate) heads: bool,
    /// Length of a row.
    pub(crate) width: u32,
}

type Found<T> = std::result::Result<T, String>;

/// What a model's graph offers.
#[derive(Debug)]
pub(crate) struct Census {
    outputs: Found<Vec<Place>>,
    queries: Found<Vec<Place>>,
    keys: Found<Vec<Place>>,
    norm: Found<Place>,
    /// `kqv_out` of each layer: what is computed right after its keys and values are kept.
    attended: Found<Vec<NodeName>>,
    /// Whether attention is computed in one operation.
    pub(crate) flash: bool,
    /// How keys and values of a sequence are laid out as bytes.
    pub(crate) layout: Result<StateLayout>,
    listing: String,
}

impl Turn<'_> {
    /// Every node of the graph that llama.cpp builds for one token, one a line: operation,
    /// name, shape, and for attention which mask it reads.
    ///
    /// # Errors
    /// As [`Turn::generate`] for a prompt of one token.
    pub fn census(&self) -> Result<String> {
        Ok(self.graph()?.listing.clone())
    }

    /// What the model's graph offers; looked at once per model.
    pub(crate) fn graph(&self) -> Result<Arc<Census>> {
        let model = self.model;
        if let Some(known) = model.census.get() {
            return Ok(Arc::clone(known));
        }
        let length = self.context_length(None);
        let mut seat =
            self.seat_of(Purpose::Write, Kind::WATCHED, length, &AdapterSet::default())?;
        let row = Row { input: Input::Token(0), position: 0, sequence: 0, output: true };
        let orders = Orders { census: true, ..Orders::default() };
        let (step, found) = seat.decode_watched(&[row], orders)?;
        drop(step);
        let layout = seat.context().states(0, 0..0).map(|(layout, _)| layout);
        let census = Arc::new(Census::new(&found.nodes, model.facts.layers, layout));
        Ok(Arc::clone(model.census.get_or_init(|| census)))
    }
}

impl Census {
    fn new(nodes: &[Node], layers: u32, layout: Result<StateLayout>) -> Self {
        let outputs = places(nodes, layers, TapPoint::LayerOutput);
        let queries = places(nodes, layers, TapPoint::Query);
        let keys = places(nodes, layers, TapPoint::Key);
        let ends = outputs.clone().and_then(|_| order(nodes, layers));
        Self {
            norm: one(nodes, "result_norm", "MUL").map(|index| place(&nodes[index], false)),
            attended: ends,
            flash: nodes.iter().any(|node| node.name.operation == "FLASH_ATTN_EXT"),
            listing: listing(nodes),
            layout,
            outputs,
            queries,
            keys,
        }
    }

    /// Where a tap reads.
    ///
    /// # Errors
    /// `NotSupported` where the graph is not as expected.
    pub(crate) fn place(&self, model: &Model, tap: &Tap) -> Result<Place> {
        let places = match tap.point {
            TapPoint::LayerOutput => &self.outputs,
            TapPoint::Query => &self.queries,
            TapPoint::Key => &self.keys,
            TapPoint::FinalNorm => {
                return self.norm.clone().map_err(|reason| differs(model, &reason));
            }
        };
        let places = places.as_ref().map_err(|reason| differs(model, reason))?;
        places
            .get(tap.layer as usize)
            .cloned()
            .ok_or_else(|| Error::internal("a layer beyond the last"))
    }

    /// Where encoding a passage through `layer` ends.
    ///
    /// # Errors
    /// `NotSupported` where passages cannot be shown to some layers only.
    pub(crate) fn passage_end(&self, model: &Model, layer: u32) -> Result<NodeName> {
        let ends = self.attended.as_ref().map_err(|reason| differs(model, reason))?;
        let end = ends.get(layer as usize).cloned();
        end.ok_or_else(|| Error::internal("a layer beyond the last"))
    }
}

fn differs(model: &Model, reason: &str) -> Error {
    Error::new(
        ErrorCode::NotSupported,
        format!(
            "the network of `{}` as llama.cpp builds it is not as this method needs it: {reason}",
            model.facts.architecture
        ),
    )
    .hint("Use another model for this method, such as one of the Qwen 2 family.")
    .about(model.name())
}

/// Index of the one node with this name and operation.
fn one(nodes: &[Node], name: &str, operation: &str) -> Found<usize> {
    let fits = |node: &Node| node.name.name == name && node.name.operation == operation;
    let mut found = nodes.iter().enumerate().filter(|(_, node)| fits(node));
    match (found.next(), found.next()) {
        (Some((index, node)), None) if node.plain => Ok(index),
        (Some(_), None) => Err(format!("`{name}` ({operation}) does not hold plain floats")),
        (None, _) => Err(format!("there is no `{name}` ({operation})")),
        (Some(_), Some(_)) => Err(format!("there are several `{name}` ({operation})")),
    }
}

fn place(node: &Node, heads: bool) -> Place {
    let width = if heads { node.shape[0] * node.shape[1] } else { node.shape[0] };
    Place { node: node.name.clone(), heads, width: u32::try_from(width).unwrap_or(0) }
}

/// Where one kind of tap reads in each layer.
fn places(nodes: &[Node], layers: u32, point: TapPoint) -> Found<Vec<Place>> {
    (0..layers)
        .map(|layer| {
            let stem = match point {
                TapPoint::Key => "Kcur",
                TapPoint::Query => "Qcur",
                TapPoint::LayerOutput | TapPoint::FinalNorm => {
                    return one(nodes, &format!("l_out-{layer}"), "ADD")
                        .map(|index| place(&nodes[index], false));
                }
            };
            // The normalisation of heads comes between the linear and the rotation.
            let normalised = one(nodes, &format!("{stem}_normed-{layer}"), "MUL");
            let name = format!("{stem}-{layer}");
            let index = normalised.or_else(|_| one(nodes, &name, "RESHAPE"))?;
            let rotated = one(nodes, &name, "ROPE")?;
            if rotated < index {
                return Err(format!("`{}` comes after the rotation", nodes[index].name.name));
            }
            Ok(place(&nodes[index], true))
        })
        .collect()
}

/// Checks that every layer has one attention node, all with the same mask, between the outputs
/// of the layer before and its own; returns what follows each.
fn order(nodes: &[Node], layers: u32) -> Found<Vec<NodeName>> {
    let attention: Vec<(usize, &(String, usize))> =
        nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.mask.as_ref()?))).collect();
    if attention.len() != layers as usize {
        return Err(format!("{} of {layers} layers have an attention mask", attention.len()));
    }
    let mut before = 0;
    let mut ends = Vec::with_capacity(attention.len());
    for (layer, (at, (name, number))) in attention.iter().enumerate() {
        // On a graphics device the name of the copy begins with the device's.
        if !name.contains("attn_inp_kq_mask") {
            return Err(format!("the attention of layer {layer} reads `{name}` as its mask"));
        }
        if *number != 0 {
            return Err(format!(
                "layer {layer} has another attention mask than layer 0 (a sliding window)"
            ));
        }
        let end = nodes.iter().position(|node| node.name.name == format!("kqv_out-{layer}"));
        let end = end.ok_or_else(|| format!("there is no `kqv_out-{layer}`"))?;
        let output = one(nodes, &format!("l_out-{layer}"), "ADD")?;
        if !(before <= *at && *at < end && end < output) {
            return Err(format!("the nodes of layer {layer} come in another order"));
        }
        before = output;
        ends.push(nodes[end].name.clone());
    }
    Ok(ends)
}

fn listing(nodes: &[Node]) -> String {
    let mut text = String::new();
    for node in nodes {
        let _ = write!(text, "{} {} {:?}", node.name.operation, node.name.name, node.shape);
        if let Some((name, number)) = &node.mask {
            let _ = write!(text, " mask {number} {name}");
        }
        text.push('\n');
    }
    text
}
