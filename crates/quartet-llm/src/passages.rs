//! Passages that a range of layers may read: encoding them, and having them in the context of
//! a generation (ImpRAG, arXiv 2506.02279, section 3.1; two ways of encoding in its appendix A).
//!
//! Passages stand in sequences 1 and up and take the first cells of a context; the prompt
//! stands in sequence 0, from a position of its own. llama.cpp's mask keeps sequences apart,
//! so no layer sees them until `native::reveal` shows them. Encoding stops at the last layer
//! that will read them: keys and values above it are never computed.
//!
//! Models with sliding windows have two masks and two caches whose cells may differ, and are
//! refused with `NotSupported`.

use crate::census::Census;
use crate::generate::position_of;
use crate::model::{Model, Turn};
use crate::native::{AdapterSet, Input, LayerStates, NodeName, StateLayout, Token};
use crate::pool::{Kind, Purpose};
use crate::prompt::too_long;
use crate::seat::Seat;
use crate::stored;
use crate::taps::{Shown, encode};
use quartet_types::{
    EncodedPassage, EncodedPassages, Error, ErrorCode, PassageRequest, PassageSource, PassageStore,
    PassageTexts, PassageUse, Result, Sha256, StoredPassage, Tap, TapPoint,
};
use std::sync::Arc;

/// Sequences of contexts with passages: few shapes, so that one serves many requests. Each
/// sequence takes memory for a row of logits.
const SEQUENCES: [u32; 3] = [2, 17, 33];

/// Passages of a request, read or tokenised, and not yet in a context.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) shown: Shown,
    pub(crate) kind: Kind,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// Tokens of each sequence, where encoding them ends, and with which adapters.
    Tokens(Arc<Census>, Vec<Vec<Token>>, NodeName, AdapterSet),
    States(Arc<Census>, Vec<LayerStates>),
}

impl Turn<'_> {
    /// Makes ready the passages of a request.
    ///
    /// # Errors
    /// `InvalidInput` for layers that do not exist and a prompt inside its passages; what
    /// [`stored::read`] says.
    pub(crate) fn prepare_passages(&self, passages: &PassageUse) -> Result<Prepared> {
        let model = self.model;
        let layers = model.facts.layers;
        if passages.last_layer >= layers || passages.first_layer > layers {
            return Err(no_layer(passages.first_layer, passages.last_layer, layers));
        }
        let census = self.graph()?;
        let end = census.passage_end(model, passages.last_layer)?;
        let (content, lengths) = match &passages.source {
            PassageSource::Texts(texts) => {
                let (sequences, _) = sequences(model, texts)?;
                let lengths: Vec<usize> = sequences.iter().map(Vec::len).collect();
                let adapters = model.adapters.set(&passages.adapters)?;
                (Content::Tokens(census, sequences, end, adapters), lengths)
            }
            PassageSource::Stored { folder, keys, template } => {
                let facts = self.facts_of_states(&census, &passages.adapters)?;
                let range = passages.first_layer..=passages.last_layer;
                let read = |key: &Sha256| stored::read(folder, key, &facts, template, &range);
                let states = keys.iter().map(read).collect::<Result<Vec<_>>>()?;
                let lengths = states.iter().map(|states| states.tokens as usize).collect();
                (Content::States(census, states), lengths)
            }
        };
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if passages.prompt_position as usize > i32::MAX as usize / 2
            || (passages.prompt_position as usize) < longest
        {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!(
                    "the prompt would stand at position {}, and a passage ends at {longest}",
                    passages.prompt_position
                ),
            )
            .hint("Put the prompt behind as many passages of the greatest length as there are."));
        }
        let wanted = lengths.len() + 1;
        let kind = SEQUENCES.iter().find(|sequences| **sequences as usize >= wanted);
        let Some(&sequences) = kind else {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("{} passages are more than the 32 that a request can have", wanted - 1),
            )
            .hint("Use fewer passages, or encode them together."));
        };
        let shown = Shown {
            cells: lengths.iter().sum(),
            layers: passages.first_layer..=passages.last_layer,
            prompt_position: passages.prompt_position,
        };
        Ok(Prepared { shown, kind: Kind { watched: true, sequences }, content })
    }

    /// Tokens of prompt and text that fit beside passages into a context of `whole` tokens.
    pub(crate) fn prompt_length(&self, whole: u32, passages: Option<&Prepared>) -> u32 {
        let Some(Prepared { shown, .. }) = passages else { return whole };
        let cells = u32::try_from(shown.cells).unwrap_or(u32::MAX);
        let positions = self.model.facts.trained_context.saturating_sub(shown.prompt_position);
        whole.saturating_sub(cells).min(positions)
    }

    fn facts_of_states<'c>(
        &self,
        census: &'c Census,
        adapters: &[quartet_types::AdapterUse],
    ) -> Result<stored::Facts<'c>> {
        let layout = census.layout.as_ref().map_err(Clone::clone)?;
        let model = self.model.digest(&self.cancel)?;
        let engine = self.model.description().engine_build.clone();
        Ok(stored::Facts::new(model, engine, adapters, census.flash, layout))
    }

    /// Encodes passages: reads out the keys of each one's last token at a layer, or keeps
    /// their keys and values of some layers in files, or both. Layers above the last that is
    /// needed are not computed.
    ///
    /// # Errors
    /// `InvalidInput` for layers that do not exist, no passages, an empty one, or nothing
    /// asked for; `PromptTooLong` naming the passage; `NotSupported` where the model's network
    /// or cache is not as expected (sliding windows, attention without its fused kernel); an
    /// operating-system error; `Cancelled`.
    pub fn encode_passages(&self, request: &PassageRequest) -> Result<EncodedPassages> {
        let model = self.model;
        let store = request.store.as_ref();
        self.check_encoding(request)?;
        let (sequences, marks) = sequences(model, &request.passages)?;
        let census = self.graph()?;
        let key = request.key_layer.map(|layer| {
            census.place(model, &Tap { point: TapPoint::Key, layer, stop_after: true })
        });
        let key = key.transpose()?;
        let end = store.map(|store| census.passage_end(model, store.last_layer)).transpose()?;
        let facts = match store {
            Some(store) => {
                std::fs::create_dir_all(&store.folder)
                    .map_err(|error| Error::from_io(&error, &store.folder))?;
                Some(self.facts_of_states(&census, &request.adapters)?)
            }
            None => None,
        };
        let length = self.context_length(None);
        check_lengths(&request.passages, &sequences, &marks, length, store)?;
        let adapters = model.adapters.set(&request.adapters)?;
        let mut seat = self.seat_of(Purpose::Write, Kind::WATCHED, length, &adapters)?;
        let mut encoded = EncodedPassages { passages: Vec::new(), stored: Vec::new() };
        for (tokens, marks) in sequences.iter().zip(&marks) {
            seat.clear();
            let key = key.as_ref().map(|key| (key, marks.as_slice()));
            let keys = encode(&mut seat, 0, &inputs(tokens), end.as_ref(), key)?;
            let mut keys = keys.into_iter();
            let mut before = 0;
            for mark in marks {
                encoded.passages.push(EncodedPassage {
                    tokens: position_of(mark + 1 - before)?,
                    key: keys.next().unwrap_or_default(),
                });
                before = mark + 1;
            }
            if let (Some(store), Some(facts)) = (store, &facts) {
                let layers = store.first_layer..store.last_layer + 1;
                let (_, states) = seat.context().states(0, layers)?;
                let (key, bytes) = stored::write(store, facts, tokens, &states)?;
                encoded.stored.push(StoredPassage { key, tokens: states.tokens, bytes });
            }
        }
        Ok(encoded)
    }

    fn check_encoding(&self, request: &PassageRequest) -> Result<()> {
        let layers = self.model.facts.layers;
        if request.key_layer.is_none() && request.store.is_none() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                "nothing is asked for: neither keys of the passages nor a place to store them",
            )
            .hint("Name a layer for the keys, a folder for the states, or both."));
        }
        if request.passages.texts.is_empty() {
            return Err(Error::new(ErrorCode::InvalidInput, "there are no passages to encode"));
        }
        if let Some(layer) = request.key_layer.filter(|layer| *layer >= layers) {
            return Err(no_layer(layer, layer, layers));
        }
        match &request.store {
            Some(PassageStore { first_layer, last_layer, .. })
                if first_layer > last_layer || *last_layer >= layers =>
            {
                Err(no_layer(*first_layer, *last_layer, layers))
            }
            _ => Ok(()),
        }
    }
}

fn no_layer(first: u32, last: u32, layers: u32) -> Error {
    Error::new(
        ErrorCode::InvalidInput,
        format!("layers {first} to {last} are not layers of a model with {layers}"),
    )
    .hint("Layers are counted from 0, and both ends belong to a range.")
}

/// Tokens of each sequence, and the last token of each passage in it.
type Sequences = (Vec<Vec<Token>>, Vec<Vec<usize>>);

fn sequences(model: &Model, texts: &PassageTexts) -> Result<Sequences> {
    let mut sequences: Vec<Vec<Token>> = Vec::new();
    let mut marks: Vec<Vec<usize>> = Vec::new();
    for (index, text) in texts.texts.iter().enumerate() {
        let mut tokens = model.tokenize_data(text, false)?;
        if tokens.is_empty() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("passage {index} (counted from 0) is empty"),
            ));
        }
        match sequences.last_mut() {
            Some(all) if texts.together => all.extend(tokens),
            _ => {
                model.with_start_token(&mut tokens);
                sequences.push(tokens);
                marks.push(Vec::new());
            }
        }
        if let (Some(sequence), Some(marks)) = (sequences.last(), marks.last_mut()) {
            marks.push(sequence.len() - 1);
        }
    }
    Ok((sequences, marks))
}

fn check_lengths(
    texts: &PassageTexts,
    sequences: &[Vec<Token>],
    marks: &[Vec<usize>],
    length: u32,
    store: Option<&PassageStore>,
) -> Result<()> {
    let mut index = 0;
    for marks in marks {
        let mut before = 0;
        for mark in marks {
            let tokens = mark + 1 - before;
            before = mark + 1;
            let longest = store.map_or(length, |store| store.longest.min(length)) as usize;
            if tokens > longest {
                return Err(too_long(&format!("passage {index}"), tokens, longest));
            }
            index += 1;
        }
    }
    let longest = sequences.iter().map(Vec::len).max().unwrap_or(0);
    if texts.together && longest > length as usize {
        return Err(too_long("the passages together", longest, length as usize));
    }
    Ok(())
}

impl Prepared {
    /// Puts the passages into an empty context. Where they have to be encoded, this is done with
    /// adapters of their own; `adapters` are in force afterwards.
    ///
    /// # Errors
    /// `Cancelled`; `PromptTooLong` if they do not fit.
    pub(crate) fn place(&self, seat: &mut Seat<'_>, adapters: &AdapterSet) -> Result<()> {
        match &self.content {
            Content::Tokens(census, sequences, end, own) => {
                let is_same = own.is(adapters);
                match &census.layout {
                    // One sequence is encoded where it stays.
                    layout if is_same && (sequences.len() == 1 || layout.is_err()) => {
                        for (index, tokens) in sequences.iter().enumerate() {
                            let sequence = position_of(index + 1)?;
                            encode(seat, sequence, &inputs(tokens), Some(end), None)?;
                        }
                        Ok(())
                    }
                    layout => {
                        let layout = layout.as_ref().map_err(Clone::clone)?;
                        seat.context().set_adapters(own)?;
                        let states = self.encode_alone(seat, sequences, end)?;
                        // Another set makes the context forget, so it comes before the states.
                        seat.context().set_adapters(adapters)?;
                        restore(seat, layout, &states)
                    }
                }
            }
            Content::States(census, states) => {
                restore(seat, census.layout.as_ref().map_err(Clone::clone)?, states)
            }
        }
    }

    /// Encodes each sequence in an empty context. Beside the cells of another one, attention
    /// would be summed in other portions, and states would depend on their company.
    fn encode_alone(
        &self,
        seat: &mut Seat<'_>,
        sequences: &[Vec<Token>],
        end: &NodeName,
    ) -> Result<Vec<LayerStates>> {
        let layers = *self.shown.layers.start()..*self.shown.layers.end() + 1;
        let mut states = Vec::with_capacity(sequences.len());
        for tokens in sequences {
            seat.clear();
            encode(seat, 0, &inputs(tokens), Some(end), None)?;
            states.push(seat.context().states(0, layers.clone())?.1);
        }
        seat.clear();
        Ok(states)
    }
}

/// Puts states into sequences 1 and up of an empty context.
fn restore(seat: &mut Seat<'_>, layout: &StateLayout, all: &[LayerStates]) -> Result<()> {
    for (index, states) in all.iter().enumerate() {
        seat.context().restore(position_of(index + 1)?, layout, states)?;
    }
    Ok(())
}

fn inputs(tokens: &[Token]) -> Vec<Input<'static>> {
    tokens.iter().copied().map(Input::Token).collect()
}
