//! The command line: names, options and their help.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Ask your own PDFs, offline: several ways of answering, side by side.
#[derive(Debug, Parser)]
#[command(name = "quartet", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Data is kept below QUARTET_HOME when it is set. Nothing leaves this machine."
)]
pub(crate) struct Arguments {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read PDFs into a collection. Goes on where an interrupted import stopped.
    Import(Import),
    /// List, make, rename or delete collections.
    Collections(Collections),
    /// List every file ever given, delete documents, or retry the ones that failed.
    Documents(Documents),
    /// Find passages without asking a model.
    Search(Search),
    /// Answer a question, with the pages it rests on.
    Ask(Ask),
    /// Answer a question by several methods, one under the other.
    Compare(Compare),
    /// Put a file of questions to methods and score the answers.
    Exam(Exam),
    /// Say how well passages are found for a file of questions, without answering them.
    Retrieval(Retrieval),
    /// Teach a model a collection. Goes on where an interrupted training stopped.
    Train(Train),
    /// List what has been trained, with what it is worth.
    Artefacts(Artefacts),
    /// List questions whose route was put right; put one right, or undo it.
    Routes(Routes),
    /// Prepare collections for ImpRAG, or see how far they are.
    Imprag(Imprag),
    /// List models, check their files, add your own.
    Models(Models),
    /// List long-running work; pause, resume or cancel it.
    Jobs(Jobs),
    /// Look at this machine, the models and the data, and say what is wrong.
    Doctor,
    /// Measure speed here: engine, search, start, import.
    Bench(Bench),
    /// Show the window's pages in a browser of this machine, until Ctrl-C.
    Serve(Serve),
    /// Be a worker process (used by Quartet itself).
    #[command(hide = true)]
    Worker {
        /// Which kind of worker.
        kind: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InCollection {
    /// The collection.
    #[arg(long, short, default_value = "default", value_name = "NAME")]
    pub(crate) collection: String,
}

#[derive(Debug, Args)]
pub(crate) struct WithBase {
    /// Base model: a name from `quartet models`, or a GGUF file.
    #[arg(long, alias = "model", env = "QUARTET_BASE", value_name = "MODEL")]
    pub(crate) base: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// PDF files, or folders to look for PDFs in.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
}

#[derive(Debug, Args)]
pub(crate) struct Collections {
    #[command(subcommand)]
    pub(crate) action: Option<CollectionAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CollectionAction {
    /// Make an empty collection.
    Create {
        /// Its name.
        name: String,
    },
    /// Give a collection another name.
    Rename {
        /// Its name now.
        from: String,
        /// Its name from now on.
        to: String,
    },
    /// Delete a collection, its text and its index. The PDFs themselves stay.
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Documents {
    /// Only this collection.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: Option<String>,
    #[command(subcommand)]
    pub(crate) action: Option<DocumentAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DocumentAction {
    /// Delete a document: its text, its chunks, its place in the index. The PDF stays.
    Delete {
        /// Its number in the list.
        id: i64,
    },
    /// Read again what failed, needed a password or had no text.
    Retry,
    /// Show what was added, updated and removed, and when.
    History,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for.
    pub(crate) question: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// How many passages to show.
    #[arg(long, short = 'n', default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The question.
    pub(crate) question: String,
    /// How to answer: none, rag, gag, iag, imprag.
    #[arg(long, short, default_value = "rag")]
    pub(crate) method: String,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) base: WithBase,
    /// Go on with the last conversation in this collection.
    #[arg(long)]
    pub(crate) follow_up: bool,
    /// Always answer, even when the documents seem not to hold the answer.
    #[arg(long)]
    pub(crate) no_abstain: bool,
    /// Show the prompt exactly as the model read it.
    #[arg(long)]
    pub(crate) show_prompt: bool,
    /// Ask the expert trained on the collection instead: from memory, without any document.
    #[arg(long, conflicts_with_all = ["method", "follow_up"])]
    pub(crate) expert: bool,
    /// For GAG: `general` or a collection, instead of leaving the route to the router.
    #[arg(long, value_name = "ROUTE")]
    pub(crate) route: Option<String>,
    /// For IAG: what stands in the prompt besides the question. `own_document`: a short one that
    /// the imagine model writes from the question alone; `closed_book`: nothing; `retrieved`:
    /// passages of the collection, squeezed.
    #[arg(long, default_value = "own_document", value_parser = ["closed_book", "own_document", "retrieved"])]
    pub(crate) imagine: String,
}

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The question.
    pub(crate) question: String,
    /// Methods to compare.
    #[arg(long, value_delimiter = ',', default_value = "none,rag")]
    pub(crate) methods: Vec<String>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) base: WithBase,
    /// For IAG: what stands in the prompt besides the question.
    #[arg(long, default_value = "own_document", value_parser = ["closed_book", "own_document", "retrieved"])]
    pub(crate) imagine: String,
}

#[derive(Debug, Args)]
pub(crate) struct Exam {
    /// For GAG: `general` or a collection for every question, instead of the router.
    #[arg(long, value_name = "ROUTE")]
    pub(crate) route: Option<String>,
    /// Question files: JSON lines as described in README, or SQuAD 2.0 JSON.
    #[arg(long, required = true, value_name = "FILE", num_args = 1..)]
    pub(crate) questions: Vec<PathBuf>,
    /// Methods to examine; the first is what the others are compared with. `gag:shuffled`
    /// and `imprag:lexical` are methods with a part taken away.
    #[arg(long, value_delimiter = ',', default_value = "none,rag")]
    pub(crate) methods: Vec<String>,
    /// After each method, examine all its controls too: what is it worth without each part?
    #[arg(long)]
    pub(crate) controls: bool,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) base: WithBase,
    /// Where to write the report, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Ask only this many questions: a fixed sample over all kinds.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Seed of the sample and of the confidence intervals.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Start over instead of going on with an interrupted exam.
    #[arg(long)]
    pub(crate) fresh: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Retrieval {
    /// Question files: JSON lines as described in README, or SQuAD 2.0 JSON.
    #[arg(required = true, value_name = "QUESTIONS")]
    pub(crate) questions: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) collection: InCollection,
    #[command(flatten)]
    pub(crate) base: WithBase,
    /// Where to write the report, as JSON, with a row for each question.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Look up only this many questions: a fixed sample over all kinds.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Seed of the sample.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Train {
    #[command(subcommand)]
    pub(crate) what: Trained,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Trained {
    /// A domain expert: a small model that knows the collection by heart.
    Expert(TrainExpert),
    /// GAG: an expert, and a base model that listens to it.
    Gag(TrainGag),
    /// ImpRAG: a base model that retrieves from the collection by itself.
    Imprag(TrainImprag),
    /// IAG: a model that imagines what the collection says, and weights made for each question.
    Iag(TrainIag),
}

#[derive(Debug, Args)]
pub(crate) struct TrainExpert {
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// How long it may take: quick (about 10 minutes), standard (about an hour) or thorough
    /// (over night).
    #[arg(long, default_value = "standard")]
    pub(crate) preset: String,
    /// The model to teach: a name from `quartet models`, or a GGUF file.
    #[arg(long, value_name = "MODEL")]
    pub(crate) expert: Option<String>,
    /// The model that writes the questions it is taught; `none` leaves them to rules.
    #[arg(long, value_name = "MODEL")]
    pub(crate) writer: Option<String>,
    /// Only so many passages of the collection, to try it out.
    #[arg(long, value_name = "N")]
    pub(crate) passages: Option<usize>,
    /// Only so many updates per stage, to try it out.
    #[arg(long, value_name = "N")]
    pub(crate) updates: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct TrainGag {
    #[command(flatten)]
    pub(crate) expert: TrainExpert,
    #[command(flatten)]
    pub(crate) base: WithBase,
    /// Which published form: `slots` (four rows from four layers) or `one-token` (one row from
    /// the last token).
    #[arg(long, default_value = "slots", value_parser = ["slots", "one-token"])]
    pub(crate) form: String,
    /// Exactly as published, without what small models need.
    #[arg(long)]
    pub(crate) published: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrainImprag {
    #[command(flatten)]
    pub(crate) collection: InCollection,
    /// How long it may take: quick, standard or thorough.
    #[arg(long, default_value = "standard")]
    pub(crate) preset: String,
    #[command(flatten)]
    pub(crate) base: WithBase,
    /// What is taught: `t0` (retrieval heads, minutes), `t1q` (layers below, for questions),
    /// `t1` (for passages too) or `t3` (the paper's objective, all layers: days).
    #[arg(long, default_value = "t0", value_parser = ["t0", "t1q", "t1", "t3"])]
    pub(crate) tier: String,
    /// Count the five best of the search as right, as published, and not the passage that a
    /// question was made from.
    #[arg(long)]
    pub(crate) published_labels: bool,
    /// Begin with the bare model and not with the starting point that is shipped.
    #[arg(long)]
    pub(crate) from_scratch: bool,
    /// The model that writes the questions; `none` leaves them to rules.
    #[arg(long, value_name = "MODEL")]
    pub(crate) writer: Option<String>,
    /// Only so many updates per stage, to try it out.
    #[arg(long, value_name = "N")]
    pub(crate) updates: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct TrainIag {
    #[command(flatten)]
    pub(crate) study: TrainExpert,
    #[command(flatten)]
    pub(crate) base: WithBase,
    /// Who writes the imagined document: the small `expert` model, or the `base` itself.
    #[arg(long, default_value = "expert", value_parser = ["expert", "base"])]
    pub(crate) imaginer: String,
    /// How a question becomes weights: a `hypernetwork`, or a `bank` of fixed adapters of which
    /// it decides the strengths only (a restricted variant).
    #[arg(long, default_value = "hypernetwork", value_parser = ["hypernetwork", "bank"])]
    pub(crate) form: String,
    /// Leave out a part, to see what it is worth: `distillation`, `feed_forward`, `document`
    /// (among the features) or `cross_fit`.
    #[arg(long, value_delimiter = ',', value_parser = ["distillation", "feed_forward", "document", "cross_fit"])]
    pub(crate) without: Vec<String>,
    /// As near to the paper and its code as a decoder allows.
    #[arg(long)]
    pub(crate) published: bool,
}

/// Questions that were sent elsewhere than the router would have.
#[derive(Debug, Args)]
pub(crate) struct Routes {
    #[command(subcommand)]
    pub(crate) what: Option<RouteChange>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RouteChange {
    /// From now on, send this question (and those like it) there.
    Add {
        /// The question.
        question: String,
        /// `general`, or a collection.
        #[arg(long, value_name = "ROUTE")]
        to: String,
    },
    /// Show where questions would go, without answering them.
    Show {
        /// The questions.
        #[arg(required = true)]
        questions: Vec<String>,
        #[command(flatten)]
        base: WithBase,
    },
    /// Forget a correction.
    Remove {
        /// Its number, as `quartet routes` shows it.
        id: i64,
    },
}

/// Passages that a base model finds and reads by itself.
#[derive(Debug, Args)]
pub(crate) struct Imprag {
    #[command(subcommand)]
    pub(crate) what: ImpragAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImpragAction {
    /// Encode the passages of a collection that are new. Goes on where it stopped.
    Index {
        /// The collection.
        #[arg(default_value = "default", value_name = "COLLECTION")]
        collection: String,
        #[command(flatten)]
        base: WithBase,
        /// How passages are read from now on: `fast` (each encoded once, and kept on disk) or
        /// `quality` (those of a question encoded together when it is asked).
        #[arg(long, value_parser = ["fast", "quality"])]
        mode: Option<String>,
    },
    /// Show how many passages can be found, and what is on disk.
    Status {
        /// The collection; all of them without.
        #[arg(value_name = "COLLECTION")]
        collection: Option<String>,
        #[command(flatten)]
        base: WithBase,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Artefacts {
    /// Only this collection.
    #[arg(long, short, value_name = "NAME")]
    pub(crate) collection: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) action: Option<ModelAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelAction {
    /// Check every installed file of the catalog against its digest.
    Verify,
    /// Say whether a model would fit into memory.
    Fit {
        /// A name from the list, or a GGUF file.
        model: String,
        /// Context length, in tokens.
        #[arg(long, default_value_t = 4096)]
        context: u32,
    },
    /// Add a GGUF file of yours (it is linked, not copied).
    Add {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    pub(crate) action: Option<JobAction>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobAction {
    /// Stop a job at its next checkpoint; it can go on later.
    Pause {
        /// Its number in the list.
        id: i64,
    },
    /// Go on with a paused or interrupted job, here.
    Resume {
        /// Its number in the list.
        id: i64,
    },
    /// Stop a job for good. What it has finished stays.
    Cancel {
        /// Its number in the list.
        id: i64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_value = "engine,search,import")]
    pub(crate) parts: Vec<String>,
    /// Base models for the engine part.
    #[arg(long, value_delimiter = ',', default_value = "small,standard", value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// PDFs for the import part.
    #[arg(long, value_name = "PATH", default_value = "assets/samples")]
    pub(crate) pdfs: Vec<PathBuf>,
    /// Chunks in the largest search collection.
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) chunks: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
    /// Open the browser, too.
    #[arg(long)]
    pub(crate) open: bool,
}
