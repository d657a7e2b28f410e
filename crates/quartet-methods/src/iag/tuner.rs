//! How a question becomes weights, ready for use.

use super::bank::Bank;
use super::hypernetwork::{Hypernetwork, Made, relative_distance};
use super::objective::Maker;
use super::whitening::Whitening;
use quartet_train::Parameters;
use quartet_types::{AdapterUse, Error, ErrorCode, IagOptions, Result, Sha256};

/// What makes the weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Weights {
    /// A hypernetwork: an adapter for every question.
    Hypernetwork(Hypernetwork),
    /// A bank: strengths of adapters that are always there.
    Bank(Bank),
}

impl Weights {
    /// Whether no question changes anything: their strength was chosen to be nothing.
    #[must_use]
    pub fn are_nothing(&self) -> bool {
        matches!(self, Self::Hypernetwork(network) if network.is_nothing())
    }
}

/// Weights for a question, as a request takes them.
#[derive(Debug, Clone, PartialEq)]
pub enum Tuned {
    /// An adapter file, to be loaded.
    File(Vec<u8>),
    /// Adapters that are loaded, with their strengths.
    Loaded(Vec<AdapterUse>),
}

/// How a base is tuned to questions about a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuner {
    /// How it was made.
    pub options: IagOptions,
    /// From features to weights.
    pub weights: Weights,
    /// From states to features.
    pub whitening: Whitening,
    /// The mean of the features of training, for a control.
    pub constant: Vec<f32>,
    /// Features of questions of training, one after another, for a control.
    pub others: Vec<f32>,
    /// The static change of the feed-forward layers, where there is one.
    pub feed_forward: Option<AdapterUse>,
    /// Digests of a bank's members, in order.
    pub members: Vec<Sha256>,
}

impl Tuner {
    /// Of an artefact's tensors. Digests of the adapters that go with it are set by whoever
    /// loads them.
    ///
    /// # Errors
    /// `Corrupt` where one is missing or has another shape.
    pub fn new(maker: &Maker, options: IagOptions, kept: &Parameters) -> Result<Self> {
        let missing = |name: &str| {
            Error::new(ErrorCode::Corrupt, format!("an IAG artefact without `{name}`"))
                .hint("Run `quartet train iag` again.")
        };
        let weights = match maker {
            Maker::Hypernetwork(shape) => {
                Weights::Hypernetwork(Hypernetwork::new(shape.clone(), kept)?)
            }
            Maker::Bank(shape) => Weights::Bank(Bank::new(shape.clone(), kept)?),
        };
        let length = maker.components();
        let values = |name: &str| {
            let found = kept.get(name).filter(|one| one.columns == length);
            found.map(|one| one.values.clone()).ok_or_else(|| missing(name))
        };
        Ok(Self {
            options,
            weights,
            whitening: Whitening::from_parameters(kept)?,
            constant: values("constant")?,
            others: values("others")?,
            feed_forward: None,
            members: Vec::new(),
        })
    }

    /// Weights for features.
    ///
    /// # Errors
    /// `Internal` for features of another length; `Corrupt` for numbers that are not finite.
    pub fn tune(&self, features: &[f32]) -> Result<Tuned> {
        match &self.weights {
            Weights::Hypernetwork(network) => {
                network.adapter(&network.changes(features)?).map(Tuned::File)
            }
            Weights::Bank(bank) => {
                let strengths = bank.strengths(features)?;
                let uses = self.members.iter().zip(strengths);
                Ok(Tuned::Loaded(
                    uses.map(|(adapter, scale)| AdapterUse { adapter: adapter.clone(), scale })
                        .collect(),
                ))
            }
        }
    }

    /// Features of some other question; which one depends on the question alone.
    #[must_use]
    pub fn another(&self, question: &str) -> &[f32] {
        let length = self.constant.len();
        let count = (self.others.len() / length.max(1)).max(1);
        let place = question
            .bytes()
            .fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
            % count;
        self.others.get(place * length..(place + 1) * length).unwrap_or(&self.constant)
    }

    /// How different the weights of the questions in [`Tuner::others`] are: pairs compared, and
    /// the mean relative distance (card, test 7).
    ///
    /// # Errors
    /// As [`Tuner::tune`].
    pub fn specificity(&self) -> Result<(u32, f64)> {
        let length = self.constant.len().max(1);
        let mut distances = Vec::new();
        let pairs = self.others.chunks_exact(length).zip(self.others.chunks_exact(length).skip(1));
        for (one, other) in pairs {
            distances.push(match &self.weights {
                Weights::Hypernetwork(network) => {
                    let of = |features| -> Result<Vec<Made>> { network.changes(features) };
                    relative_distance(&of(one)?, &of(other)?, network.shape().rank)
                }
                Weights::Bank(bank) => {
                    let (x, y) = (bank.strengths(one)?, bank.strengths(other)?);
                    let norm = |all: &[f32]| {
                        all.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
                    };
                    let gap: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x - y).collect();
                    norm(&gap) / f64::midpoint(norm(&x), norm(&y)).max(f64::MIN_POSITIVE)
                }
            });
        }
        let count = u32::try_from(distances.len()).unwrap_or(u32::MAX);
        Ok((count, distances.iter().sum::<f64>() / distances.len().max(1) as f64))
    }
}
