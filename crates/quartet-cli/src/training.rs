//! `train` and `artefacts`.

use crate::arguments::{self, Trained};
use crate::importing::remark_if_stopped;
use crate::output::Output;
use crate::progress::Progress;
use crate::{controls, gag, iag, render};
use quartet_api::types::{
    Artefact, BeforeAfter, GagForm, GagOptions, IagFeatures, IagForm, IagOptions, Imaginer,
    ImpragReport, Result,
};
use quartet_api::{
    CancellationToken, ExpertRequest, GagRequest, IagRequest, ImpragRequest, Quartet, TrainRequest,
};
use serde_json::json;
use std::fmt::Write as _;
use std::process::ExitCode;

pub(crate) async fn train(
    quartet: &Quartet,
    arguments: &arguments::Train,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let request = match &arguments.what {
        Trained::Expert(expert) => TrainRequest::Expert(expert_request(expert)?),
        Trained::Gag(gag) => {
            let form = match gag.form.as_str() {
                "one-token" => GagForm::OneToken,
                _ => GagForm::Slots,
            };
            let options = match gag.published {
                true => GagOptions::published(form),
                false => GagOptions::new(form),
            };
            let expert = expert_request(&gag.expert)?;
            TrainRequest::Gag(GagRequest { expert, base: gag.base.base.clone(), options })
        }
        Trained::Imprag(imprag) => TrainRequest::Imprag(imprag_request(imprag)?),
        Trained::Iag(iag) => TrainRequest::Iag(iag_request(iag)?),
    };
    let progress = Progress::new(output.json);
    let result = quartet.train(&request, cancel, &|step| progress.update(step)).await;
    progress.clear();
    let artefact = result.inspect_err(|error| remark_if_stopped(error.code, output))?;
    Ok(report(&artefact, output))
}

fn imprag_request(imprag: &arguments::TrainImprag) -> Result<ImpragRequest> {
    let mut request = ImpragRequest::new(&imprag.collection.collection, imprag.preset.parse()?);
    request.tier = imprag.tier.parse()?;
    request.base.clone_from(&imprag.base.base);
    request.published_labels = imprag.published_labels;
    request.use_start = !imprag.from_scratch;
    request.study.writer.clone_from(&imprag.writer);
    request.study.updates = imprag.updates;
    Ok(request)
}

fn iag_request(iag: &arguments::TrainIag) -> Result<IagRequest> {
    let mut options = if iag.published { IagOptions::published() } else { IagOptions::default() };
    if iag.imaginer == "base" {
        options.imaginer = Imaginer::Base;
    }
    if iag.form == "bank" {
        options.form = IagForm::Bank;
    }
    for part in &iag.without {
        match part.as_str() {
            "distillation" => options.distillation = false,
            "feed_forward" => options.feed_forward_rank = 0,
            "document" => options.features = IagFeatures::Question,
            _ => options.cross_fit = false,
        }
    }
    let study = expert_request(&iag.study)?;
    Ok(IagRequest { study, base: iag.base.base.clone(), options })
}

fn expert_request(expert: &arguments::TrainExpert) -> Result<ExpertRequest> {
    Ok(ExpertRequest {
        collection: expert.collection.collection.clone(),
        preset: expert.preset.parse()?,
        expert: expert.expert.clone(),
        writer: expert.writer.clone(),
        passages: expert.passages,
        updates: expert.updates,
    })
}

/// The expert alone.
pub(crate) async fn ask(
    quartet: &Quartet,
    arguments: &arguments::Ask,
    output: Output,
    cancel: &CancellationToken,
) -> Result<ExitCode> {
    let collection = &arguments.collection.collection;
    let (artefact, generation) =
        quartet.ask_expert(collection, &arguments.question, cancel).await?;
    let shown = json!({
        "text": generation.text,
        "adapter": artefact.adapter,
        "stale": artefact.stale,
        "tokens_written": generation.written_tokens,
    });
    output.result(&shown, || {
        format!(
            "{}\n  the expert's own words, from memory: no evidence{}\n",
            render::clean(generation.text.trim()),
            if artefact.stale { "; documents have changed since it was trained" } else { "" }
        )
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn artefacts(
    quartet: &Quartet,
    arguments: &arguments::Artefacts,
    output: Output,
) -> Result<ExitCode> {
    let artefacts = quartet.artefacts(arguments.collection.as_deref()).await?;
    output.result(&json!({ "artefacts": artefacts }), || {
        if artefacts.is_empty() {
            return "Nothing has been trained yet. `quartet train expert` begins.\n".to_owned();
        }
        artefacts.iter().map(describe).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

/// Prints what was trained and what it is worth.
pub(crate) fn report(artefact: &Artefact, output: Output) -> ExitCode {
    output.result(artefact, || describe(artefact));
    ExitCode::SUCCESS
}

fn describe(artefact: &Artefact) -> String {
    if let Some(report) = &artefact.gag {
        return gag::describe(artefact, report);
    }
    if let Some(report) = &artefact.imprag {
        return describe_imprag(artefact, report);
    }
    if let Some(report) = &artefact.iag {
        return iag::describe(artefact, report);
    }
    let report = &artefact.report;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "expert on `{}` ({}, {}){}",
        render::clean(&artefact.collection_name),
        artefact.model,
        artefact.preset,
        if artefact.stale { ", stale: documents have changed since" } else { "" }
    );
    let rows: u64 = report.rows.values().sum();
    let dropped: u64 = report.dropped.values().sum();
    let _ = writeln!(
        text,
        "  taught       {} passages, {rows} rows of study material ({dropped} dropped)",
        report.passages
    );
    let mut line = |name: &str, pair: Option<BeforeAfter>, digits: usize| {
        let _ = match pair {
            Some(pair) => writeln!(
                text,
                "  {name:<12} {:.digits$} before, {:.digits$} after ({:+.0} %)",
                pair.before,
                pair.after,
                pair.change() * 100.0
            ),
            None => writeln!(text, "  {name:<12} not measured: the collection is too small"),
        };
    };
    line("in-domain", report.in_domain, 2);
    line("general", Some(report.general), 2);
    line("closed book", report.closed_book_f1, 3);
    let _ = writeln!(
        text,
        "  (perplexity on {} passages held out; on everyday text; token F1 on {} held-out wordings)",
        report.held_out_passages, report.questions
    );
    for (part, seconds) in &report.seconds {
        let _ = writeln!(text, "  {part:<18} {}", render::seconds(*seconds));
    }
    text
}

/// What was taught for implicit queries, and what it finds.
fn describe_imprag(artefact: &Artefact, report: &ImpragReport) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "ImpRAG on `{}` ({}, {}, {}){}",
        render::clean(&artefact.collection_name),
        artefact.model,
        report.tier.as_str(),
        artefact.preset,
        if artefact.stale { ", stale: documents have changed since" } else { "" }
    );
    let _ = writeln!(text, "  {}", report.tier.in_words());
    let queries: u64 = report.queries.values().sum();
    let _ = writeln!(
        text,
        "  trained      {} numbers on {queries} queries, {}",
        report.parameters,
        if report.start.is_empty() {
            "from the bare model"
        } else {
            "from the shipped starting point"
        }
    );
    let _ = writeln!(text, "  retrieval    recall@10 (MRR@10) on queries not trained:");
    let mut format = "";
    for result in &report.retrieval {
        if result.format != format {
            format = &result.format;
            let _ = writeln!(text, "    {format} ({})", result.queries);
        }
        let _ = writeln!(
            text,
            "      {:<10} {:.3} ({:.3})",
            result.retriever, result.recall_10, result.mrr_10
        );
    }
    let (before, after) = report.hubs;
    let _ = writeln!(
        text,
        "  hubs         one passage wins {:.0} % of all queries; {:.0} % with the bare model",
        after.largest_share * 100.0,
        before.largest_share * 100.0
    );
    let _ = match report.threshold {
        Some(threshold) => writeln!(text, "  no answer    below a best score of {threshold:.2}"),
        None => writeln!(text, "  no answer    scores do not tell what is not in the documents"),
    };
    text.push_str(&controls::spent(&report.seconds));
    text
}
