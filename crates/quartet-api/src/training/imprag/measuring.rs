//! What was taught, measured in the engine that serves it.

use super::material::MEASURED;
use super::{Assignment, ImpragWork};
use crate::engine::BaseReader;
use crate::implicit::{Base, Taught};
use crate::training::expert::small;
use crate::training::pace::{Detail, Pace};
use crate::training::probing::{Probing, Vectors};
use crate::training::report;
use quartet_methods::imprag::training::TrainedImprag;
use quartet_methods::imprag::vector::nearest;
use quartet_types::{
    AdapterSource, AdapterUse, ImpragReport, ImpragTier, ProgressUnit, Result, RetrievalResult,
};
use std::collections::BTreeMap;

impl ImpragWork<'_> {
    /// What was taught, in the engine that serves it, against what it is compared with.
    pub(super) async fn measure(
        &self,
        (base, reader): (&Base, &BaseReader),
        start: Option<&Taught>,
        assignment: &Assignment,
        trained: &TrainedImprag,
        pace: &Pace<'_>,
    ) -> Result<ImpragReport> {
        let stop = self.lease.stop();
        let training = &assignment.training;
        let probing = Probing {
            quartet: self.quartet,
            base,
            reader,
            settings: &training.settings,
            collection: self.collection.id,
            chunks: &assignment.chunks,
            stop,
        };
        let own = probing.take(AdapterSource::File(training.output.clone())).await?;
        let with_own = |under: &[AdapterUse]| {
            let mut all = under.to_vec();
            all.push(AdapterUse { adapter: own.clone(), scale: 1.0 });
            all
        };
        let (query, passage) = start.map_or((&[][..], &[][..]), |one| (&one.query, &one.passage));
        if let Some(start) = start {
            self.quartet.take_adapters(base, &start.files, stop).await?;
        }
        let passage_is_own = training.tier != ImpragTier::T1q;
        let texts = &assignment.texts;
        let inputs: Vec<&str> =
            assignment.measured.iter().map(|(_, input, _)| input.as_str()).collect();
        let taught_passage = if passage_is_own { with_own(passage) } else { passage.to_vec() };
        let taught = probing.vectors(texts, &inputs, &with_own(query), &taught_passage).await?;
        let bare = probing.vectors(texts, &inputs, &[], &[]).await?;
        let mut ways: Vec<(&str, Vec<Vec<usize>>)> =
            vec![("implicit", taught.best()), ("untrained", bare.best())];
        if start.is_some() {
            let before = probing.vectors(texts, &inputs, query, passage).await?;
            ways.push(("start", before.best()));
        }
        ways.extend(probing.searches(&inputs).await?);
        pace.tell(1, 1, ProgressUnit::Questions, Detail::Nothing).await;
        let threshold = self.threshold(&probing, &taught, assignment, &with_own(query)).await?;
        let is_whole = training.tier == ImpragTier::T3;
        let digest = |used: bool| used.then(|| own.clone());
        Ok(ImpragReport {
            settings: training.settings.clone(),
            tier: training.tier,
            query: digest(true),
            passage: digest(passage_is_own),
            reader: digest(is_whole),
            states: digest(is_whole),
            start: assignment.start.clone(),
            parameters: trained.parameters as u64,
            queries: assignment.learnt.clone(),
            retrieval: results(&ways, &assignment.measured),
            hubs: (bare.hubs(), taught.hubs()),
            threshold,
            stages: trained.stages.iter().map(report::stage).collect(),
            seconds: BTreeMap::new(),
        })
    }

    /// The raw best score that best tells questions of the collection from everyday ones, where
    /// that tells them apart at all.
    async fn threshold(
        &self,
        probing: &Probing<'_>,
        taught: &Vectors,
        assignment: &Assignment,
        query: &[AdapterUse],
    ) -> Result<Option<f32>> {
        let everyday = crate::experts::held_out_of_general();
        let everyday: Vec<&str> = everyday.into_iter().take(MEASURED).collect();
        let foreign = probing.queries(&everyday, query).await?;
        let best = |vector: &Vec<f32>| {
            nearest(vector, &taught.passages, 1).first().map(|(_, score)| *score)
        };
        let is_question = |(at, _): &(usize, &Vec<f32>)| assignment.measured[*at].0 == "question";
        let own: Vec<f32> = taught
            .queries
            .iter()
            .enumerate()
            .filter(is_question)
            .filter_map(|(_, vector)| best(vector))
            .collect();
        let foreign: Vec<f32> = foreign.iter().filter_map(best).collect();
        Ok(quartet_methods::imprag::threshold::best(&own, &foreign))
    }
}

/// Recall and reciprocal rank by format and retriever.
fn results(
    ways: &[(&str, Vec<Vec<usize>>)],
    measured: &[(String, String, Vec<usize>)],
) -> Vec<RetrievalResult> {
    let formats: std::collections::BTreeSet<&String> =
        measured.iter().map(|(format, _, _)| format).collect();
    let mut results = Vec::new();
    for format in formats {
        for (retriever, found) in ways {
            let rows = measured.iter().zip(found).filter(|((of, _, _), _)| of == format);
            let ranks: Vec<Option<usize>> = rows
                .map(|((_, _, right), found)| found.iter().position(|one| right.contains(one)))
                .collect();
            let count = ranks.len().max(1) as f64;
            let reciprocal = ranks.iter().flatten().map(|rank| 1.0 / (rank + 1) as f64);
            results.push(RetrievalResult {
                format: format.clone(),
                retriever: (*retriever).to_owned(),
                queries: small(ranks.len()),
                recall_10: ranks.iter().flatten().count() as f64 / count,
                // An empty sum is minus zero.
                mrr_10: reciprocal.sum::<f64>().max(0.0) / count,
            });
        }
    }
    results
}
