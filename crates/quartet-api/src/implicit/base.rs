//! What a base model is, as far as vectors and states depend on it.

use crate::Quartet;
use crate::models::InstalledModel;
use quartet_gguf::{GgufFile, ModelFacts, sha256_of_bytes};
use quartet_methods::imprag::vector::Heads;
use quartet_methods::imprag::{Setup, template};
use quartet_types::{AdapterUse, Error, ErrorCode, ModelId, Result, Sha256};
use serde::Serialize;

/// Version of what is kept; a change makes everything anew.
const VERSION: u32 = 1;

/// A base model, known without loading it.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Its name.
    pub(crate) name: ModelId,
    /// Digest of its file.
    pub(crate) sha256: Sha256,
    /// Its layers.
    pub(crate) layers: u32,
    /// Its heads.
    pub(crate) heads: Heads,
    /// Build of llama.cpp that computes.
    pub(crate) engine: String,
}

/// Everything that passage vectors depend on.
#[derive(Serialize)]
struct VectorKey<'a> {
    version: u32,
    model: &'a Sha256,
    engine: &'a str,
    adapters: Vec<(&'a Sha256, u32)>,
    layer: u32,
    longest: u32,
    template: &'a str,
    /// A passage without a word: what every one ends with.
    terminator: String,
    width: usize,
}

/// Everything that states depend on.
#[derive(Serialize)]
struct StateKey<'a> {
    version: u32,
    model: &'a Sha256,
    engine: &'a str,
    adapters: Vec<(&'a Sha256, u32)>,
    layers: (u32, u32),
    longest: u32,
    template: &'a str,
    terminator: String,
}

fn sorted(adapters: &[AdapterUse]) -> Vec<(&Sha256, u32)> {
    let mut all: Vec<_> =
        adapters.iter().map(|used| (&used.adapter, used.scale.to_bits())).collect();
    all.sort();
    all
}

/// Whether two sets of adapters are the same, in whatever order.
pub(super) fn same_adapters(one: &[AdapterUse], other: &[AdapterUse]) -> bool {
    sorted(one) == sorted(other)
}

fn digest(key: &impl Serialize) -> Result<Sha256> {
    let text = serde_json::to_vec(key).map_err(|error| Error::internal(error.to_string()))?;
    Ok(sha256_of_bytes(&text))
}

impl Base {
    /// The key of vectors made with these adapters.
    pub(super) fn vector_key(&self, setup: &Setup, adapters: &[AdapterUse]) -> Result<Sha256> {
        digest(&VectorKey {
            version: VERSION,
            model: &self.sha256,
            engine: &self.engine,
            adapters: sorted(adapters),
            layer: setup.settings.first_layer,
            longest: setup.settings.longest,
            template: template::VERSION,
            terminator: template::passage("", None, ""),
            width: setup.heads.width(),
        })
    }

    /// The key of states.
    pub(super) fn state_key(&self, setup: &Setup) -> Result<Sha256> {
        digest(&StateKey {
            version: VERSION,
            model: &self.sha256,
            engine: &self.engine,
            adapters: sorted(&setup.states),
            layers: (setup.settings.first_layer, setup.settings.last_layer),
            longest: setup.settings.longest,
            template: template::VERSION,
            terminator: template::passage("", None, ""),
        })
    }

    /// Bytes of the keys and values of one token in the layers that read passages, as 16-bit
    /// floats.
    pub(super) fn state_bytes_per_token(&self, setup: &Setup) -> u64 {
        let layers = u64::from(setup.settings.last_layer - setup.settings.first_layer + 1);
        layers * 2 * self.heads.width() as u64 * 2
    }
}

impl Quartet {
    /// What a base is, from its file.
    ///
    /// # Errors
    /// `ModelMissing`, `BadModel`; `NotSupported` for one whose layers are not alike.
    pub(crate) fn implicit_base(&self, model: &InstalledModel) -> Result<Base> {
        let (path, sha256) = self.models.verified(model)?;
        let facts = ModelFacts::from_file(&GgufFile::open(&path)?)?;
        let shared = facts.key_value_heads.first().copied().unwrap_or(0);
        let uniform = facts.key_value_heads.iter().all(|heads| *heads == shared);
        if shared == 0 || !uniform || facts.heads % shared != 0 {
            return Err(Error::new(
                ErrorCode::NotSupported,
                format!(
                    "`{}` cannot retrieve by itself: its layers have no common heads",
                    model.name
                ),
            )
            .hint("Choose another base model.")
            .about_path(&path));
        }
        let heads = Heads {
            queries: facts.heads as usize,
            key_values: shared as usize,
            length: facts.key_length as usize,
        };
        let engine = quartet_llm::engine_build();
        Ok(Base { name: model.name.clone(), sha256, layers: facts.layers, heads, engine })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_types::ImpragSettings;

    fn base() -> Base {
        let heads = Heads { queries: 14, key_values: 2, length: 64 };
        let sha256 = Sha256("a".repeat(64));
        Base { name: "small".into(), sha256, layers: 24, heads, engine: "one".to_owned() }
    }

    fn setup() -> Setup {
        Setup::bare(ImpragSettings::for_layers(24), base().heads)
    }

    fn used(letter: &str, scale: f32) -> AdapterUse {
        AdapterUse { adapter: Sha256(letter.repeat(64)), scale }
    }

    #[test]
    fn keys_change_with_what_is_made_and_with_nothing_else() {
        let (base, setup) = (base(), setup());
        let vectors = |base: &Base, setup: &Setup| base.vector_key(setup, &setup.passage).unwrap();
        let states = |base: &Base, setup: &Setup| base.state_key(setup).unwrap();
        let (vector, state) = (vectors(&base, &setup), states(&base, &setup));
        assert_ne!(vector, state);
        let check = |base: &Base, setup: &Setup, changes: (bool, bool), what: &str| {
            assert_eq!(vectors(base, setup) != vector, changes.0, "{what}: vectors");
            assert_eq!(states(base, setup) != state, changes.1, "{what}: states");
        };
        check(
            &Base { sha256: Sha256("b".repeat(64)), ..base.clone() },
            &setup,
            (true, true),
            "model",
        );
        check(&Base { engine: "two".to_owned(), ..base.clone() }, &setup, (true, true), "engine");
        check(&Base { name: "other".into(), ..base.clone() }, &setup, (false, false), "name");
        let with = |change: &dyn Fn(&mut Setup)| {
            let mut other = setup.clone();
            change(&mut other);
            other
        };
        for (change, changes, what) in [
            (
                &(|s: &mut Setup| s.settings.first_layer = 6) as &dyn Fn(&mut Setup),
                (true, true),
                "b",
            ),
            (&|s| s.settings.last_layer = 18, (false, true), "t"),
            (&|s| s.settings.longest = 96, (true, true), "longest"),
            (&|s| s.settings.passages = 5, (false, false), "passages"),
            (&|s| s.passage = vec![used("c", 1.0)], (true, false), "heads"),
            (&|s| s.states = vec![used("c", 1.0)], (false, true), "states"),
            (&|s| s.query = vec![used("c", 1.0)], (false, false), "query"),
            (&|s| s.threshold = Some(3.0), (false, false), "threshold"),
        ] {
            check(&base, &with(change), changes, what);
        }
        let one = with(&|s| s.passage = vec![used("c", 1.0), used("d", 0.5)]);
        let turned = with(&|s| s.passage = vec![used("d", 0.5), used("c", 1.0)]);
        let scaled = with(&|s| s.passage = vec![used("c", 0.5), used("d", 0.5)]);
        assert_eq!(vectors(&base, &one), vectors(&base, &turned));
        assert_ne!(vectors(&base, &one), vectors(&base, &scaled));
        assert_eq!(base.state_bytes_per_token(&setup), 5_632, "the card's figure");
    }
}
