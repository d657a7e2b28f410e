//! How well foreign questions find foreign passages.

use crate::{Tokens, shorten};
use quartet_methods::imprag::encoding::{Side, TextEncoder};
use quartet_methods::imprag::template;
use quartet_methods::imprag::vector::{nearest, score};
use quartet_train::{Adapters, Control, Decoder, values};
use quartet_types::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct File {
    passages: Vec<(String, Option<String>, String)>,
    queries: Vec<Asked>,
}

#[derive(Deserialize)]
struct Asked {
    format: String,
    input: String,
    gold: Vec<usize>,
}

/// Passages and queries as tokens.
pub(crate) struct Probe {
    pub(crate) passages: Vec<Vec<u32>>,
    pub(crate) prompts: Vec<Vec<u32>>,
    pub(crate) formats: Vec<String>,
    pub(crate) gold: Vec<Vec<usize>>,
}

impl Probe {
    pub(crate) fn load(path: &Path, tokens: &Tokens) -> Result<Self> {
        let text = std::fs::read(path).map_err(|error| Error::from_io(&error, path))?;
        let file: File =
            serde_json::from_slice(&text).map_err(|error| Error::internal(error.to_string()))?;
        let passage = |(title, heading, text): &(String, Option<String>, String)| {
            template::passage(title, heading.as_deref(), text)
        };
        let mut passages = tokens.of(&file.passages.iter().map(passage).collect::<Vec<_>>())?;
        passages.iter_mut().for_each(shorten);
        let prompt = |one: &Asked| template::prompt_text(&one.input);
        Ok(Self {
            passages,
            prompts: tokens.of(&file.queries.iter().map(prompt).collect::<Vec<_>>())?,
            formats: file.queries.iter().map(|one| one.format.clone()).collect(),
            gold: file.queries.into_iter().map(|one| one.gold).collect(),
        })
    }

    /// Vectors of prompts and of passages, row-major.
    pub(crate) fn vectors(
        &self,
        decoder: &Decoder,
        layer: usize,
        adapters: &Adapters,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let count = self.passages.len();
        let mut texts = self.passages.clone();
        texts.extend(self.prompts.iter().cloned());
        let mut encoder = TextEncoder::new(decoder, layer, 0, texts, 0, Control::new());
        let passages: Vec<usize> = (0..count).collect();
        let prompts: Vec<usize> = (count..count + self.prompts.len()).collect();
        let passages = encoder.vectors(&passages, Side::Passage, adapters)?;
        let prompts = encoder.vectors(&prompts, Side::Query, adapters)?;
        Ok((values(prompts)?, values(passages)?))
    }

    /// Prints recall and reciprocal rank by format, and the hubs.
    pub(crate) fn report(
        &self,
        decoder: &Decoder,
        layer: usize,
        adapters: &Adapters,
    ) -> Result<()> {
        let (prompts, passages) = self.vectors(decoder, layer, adapters)?;
        self.report_vectors(&prompts, &passages);
        Ok(())
    }

    /// The same for vectors that are there.
    pub(crate) fn report_vectors(&self, prompts: &[f32], passages: &[f32]) {
        let width = passages.len() / self.passages.len();
        let mut by_format: BTreeMap<&str, [f64; 4]> = BTreeMap::new();
        let mut wins: BTreeMap<usize, usize> = BTreeMap::new();
        let mut all = Vec::new();
        for ((query, format), gold) in
            prompts.chunks_exact(width).zip(&self.formats).zip(&self.gold)
        {
            let best = nearest(query, passages, 10);
            *wins.entry(best[0].0).or_default() += 1;
            all.extend(passages.chunks_exact(width).map(|row| f64::from(score(query, row))));
            let rank = best.iter().position(|(place, _)| gold.contains(place));
            let sums = by_format.entry(format).or_default();
            sums[0] += 1.0;
            if let Some(rank) = rank {
                sums[1] += f64::from(u8::from(rank < 1));
                sums[2] += 1.0;
                sums[3] += 1.0 / (rank + 1) as f64;
            }
        }
        for (format, [count, first, found, reciprocal]) in by_format {
            println!(
                "  probe {format}: recall@1 {:.3}, recall@10 {:.3}, MRR {:.3} ({count})",
                first / count,
                found / count,
                reciprocal / count
            );
        }
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let deviation =
            (all.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt();
        let most = wins.values().max().copied().unwrap_or(0);
        println!(
            "  hubs: largest share {:.3}, score {mean:.2} +- {deviation:.2}",
            most as f64 / self.prompts.len() as f64
        );
    }
}
