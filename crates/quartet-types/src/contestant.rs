//! Who answers in a comparison: a method, or a method with a part of it taken away.

use crate::answer::Method;
use crate::error::{Error, ErrorCode};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use ts_rs::TS;

/// A part taken away from a method, to see what it was worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// GAG: the expert's states on another question.
    Shuffled,
    /// GAG: the mean of the states, the same for every question. What is left is prompt tuning.
    Constant,
    /// GAG: rows of zeros.
    Zero,
    /// GAG: the projector as it was before its training.
    Untrained,
    /// GAG: the expert on another domain, or, with one domain only, the expert untaught.
    WrongRoute,
    /// GAG: the expert answers by itself, without the base.
    ExpertAlone,
    /// ImpRAG: queries and passage vectors of the bare model.
    UntrainedHeads,
    /// ImpRAG: passages found by their words (BM25), read as always.
    Lexical,
    /// ImpRAG: passages drawn at random, read as always.
    Random,
    /// ImpRAG: no layer sees the passages.
    HideAll,
    /// ImpRAG: every layer sees the passages, as in a plain prompt.
    RevealAll,
    /// ImpRAG: passages that hold the gold evidence.
    Oracle,
    /// IAG: no document in the prompt, and none among the features: implicit imagination alone.
    NoDocument,
    /// IAG: no weights for the question: explicit imagination alone.
    NoHypernetwork,
    /// IAG: weights made from the mean of all features, the same for every question.
    ConstantFeatures,
    /// IAG: weights made for another question.
    ShuffledFeatures,
    /// IAG: weights made from the question without the document.
    QuestionFeatures,
    /// IAG: feed-forward layers as they were.
    NoFeedForward,
    /// IAG: retrieved passages, squeezed, instead of an imagined document.
    Retrieved,
}

impl Control {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Shuffled,
        Self::Constant,
        Self::Zero,
        Self::Untrained,
        Self::WrongRoute,
        Self::ExpertAlone,
        Self::UntrainedHeads,
        Self::Lexical,
        Self::Random,
        Self::HideAll,
        Self::RevealAll,
        Self::Oracle,
        Self::NoDocument,
        Self::NoHypernetwork,
        Self::ConstantFeatures,
        Self::ShuffledFeatures,
        Self::QuestionFeatures,
        Self::NoFeedForward,
        Self::Retrieved,
    ];

    /// The name used in commands and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shuffled => "shuffled",
            Self::Constant => "constant",
            Self::Zero => "zero",
            Self::Untrained => "untrained",
            Self::WrongRoute => "wrong_route",
            Self::ExpertAlone => "expert_alone",
            Self::UntrainedHeads => "untrained_heads",
            Self::Lexical => "lexical",
            Self::Random => "random",
            Self::HideAll => "hide_all",
            Self::RevealAll => "reveal_all",
            Self::Oracle => "oracle",
            Self::NoDocument => "no_document",
            Self::NoHypernetwork => "no_hypernetwork",
            Self::ConstantFeatures => "constant_features",
            Self::ShuffledFeatures => "shuffled_features",
            Self::QuestionFeatures => "question_features",
            Self::NoFeedForward => "no_feed_forward",
            Self::Retrieved => "retrieved",
        }
    }

    /// The method it is a control of.
    #[must_use]
    pub fn method(self) -> Method {
        match self {
            Self::Shuffled
            | Self::Constant
            | Self::Zero
            | Self::Untrained
            | Self::WrongRoute
            | Self::ExpertAlone => Method::Gag,
            Self::UntrainedHeads
            | Self::Lexical
            | Self::Random
            | Self::HideAll
            | Self::RevealAll
            | Self::Oracle => Method::Imprag,
            Self::NoDocument
            | Self::NoHypernetwork
            | Self::ConstantFeatures
            | Self::ShuffledFeatures
            | Self::QuestionFeatures
            | Self::NoFeedForward
            | Self::Retrieved => Method::Iag,
        }
    }

    /// The controls of a method.
    pub fn of(method: Method) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |control| control.method() == method)
    }
}

/// A method, whole or with a part taken away. Written `gag` or `gag:shuffled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contestant {
    /// The method.
    pub method: Method,
    /// What is taken away.
    pub control: Option<Control>,
}

impl From<Method> for Contestant {
    fn from(method: Method) -> Self {
        Self { method, control: None }
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.control {
            None => formatter.pad(self.method.as_str()),
            Some(control) => formatter.pad(&format!("{}:{}", self.method, control.as_str())),
        }
    }
}

impl FromStr for Contestant {
    type Err = Error;

    fn from_str(name: &str) -> crate::Result<Self> {
        let Some((method, control)) = name.split_once(':') else {
            return name.parse::<Method>().map(Self::from);
        };
        let method: Method = method.parse()?;
        let found = Control::of(method).find(|known| known.as_str() == control);
        let control = found.ok_or_else(|| {
            let known: Vec<&str> = Control::of(method).map(Control::as_str).collect();
            let hint = if known.is_empty() {
                format!("`{method}` has no controls.")
            } else {
                format!("Controls of `{method}`: {}.", known.join(", "))
            };
            Error::new(ErrorCode::InvalidInput, format!("`{name}` is no control")).hint(hint)
        })?;
        Ok(Self { method, control: Some(control) })
    }
}

impl Serialize for Contestant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'d> Deserialize<'d> for Contestant {
    fn deserialize<D: serde::Deserializer<'d>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|error: Error| serde::de::Error::custom(error.message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let mut all: Vec<Contestant> = Method::ALL.into_iter().map(Contestant::from).collect();
        all.extend(
            Control::ALL
                .map(|control| Contestant { method: control.method(), control: Some(control) }),
        );
        for one in all {
            assert_eq!(one.to_string().parse::<Contestant>().unwrap(), one);
            let json = serde_json::to_string(&one).unwrap();
            assert_eq!(serde_json::from_str::<Contestant>(&json).unwrap(), one);
        }
    }

    #[test]
    fn a_control_belongs_to_its_method() {
        let error = "rag:shuffled".parse::<Contestant>().unwrap_err();
        assert!(error.message.contains("rag:shuffled"));
        assert!("gag:nothing".parse::<Contestant>().unwrap_err().hint.unwrap().contains("zero"));
    }
}
