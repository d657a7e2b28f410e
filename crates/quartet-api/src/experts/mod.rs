//! The router of GAG and the experts behind it, as the methods see them.
//!
//! ```text
//! artefacts ─▶ domains (projector, bank, adapter) ─┐
//! everyday questions ─▶ general bank ──────────────┼─▶ Panel: scores, thoughts, listeners
//! corrections by people ─▶ more prototypes ────────┘
//! ```

mod banks;
mod domain;
mod encoder;
mod thoughts;

pub(crate) use banks::{general_bank, held_out_of_general};
pub(crate) use domain::{BANK, Domain, PROJECTOR, listener};
pub(crate) use encoder::Encoder;
pub(crate) use thoughts::Thoughts;

use crate::Quartet;
use crate::training::Student;
use async_trait::async_trait;
use quartet_library::StoredArtefact;
use quartet_methods::gag::Listener;
use quartet_methods::gag::router::Bank;
use quartet_methods::{Experts, Thought};
use quartet_types::{
    ArtefactKind, CollectionId, EmbeddingRows, Error, ErrorCode, Generation, Result, RouteChoice,
    RouteScore, Sha256,
};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The general route, for people.
const GENERAL: &str = "general";

/// Every expert that the base in use can listen to, behind one router.
pub(crate) struct Panel {
    /// The model that all experts are adapters of.
    student: Student,
    encoder: Encoder,
    general: Arc<Bank>,
    domains: Vec<Arc<Domain>>,
    /// Routes put right by people, with the vectors of their questions.
    corrections: Vec<(RouteChoice, Vec<f32>)>,
    thoughts: Thoughts,
}

impl Panel {
    /// A panel of these domains. All have the same expert model.
    pub(crate) async fn new(
        quartet: &Quartet,
        (student, encoder): (Student, Encoder),
        domains: Vec<Arc<Domain>>,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let general = general_bank(quartet, &student, &encoder, cancel).await?;
        let mut corrections = Vec::new();
        for correction in quartet.library.route_corrections().await? {
            let question = std::slice::from_ref(&correction.question);
            let vector = encoder.encode(&student, question, cancel).await?.pop();
            corrections.extend(vector.map(|vector| (correction.route, vector)));
        }
        let thoughts = Thoughts::new(&quartet.paths.data);
        Ok(Self { student, encoder, general, domains, corrections, thoughts })
    }

    /// What answers depend on: the experts, their projectors and the router.
    pub(crate) fn key(&self) -> String {
        let domain = |one: &Arc<Domain>| {
            let gain = one.listener.projector.gain();
            format!("{} {} {gain} {:?}", one.name, one.adapter, one.options)
        };
        let domains: Vec<String> = self.domains.iter().map(domain).collect();
        let corrections: Vec<_> =
            self.corrections.iter().map(|(route, own)| (route, own)).collect();
        format!("{} {corrections:?} {}", self.general.encoder, domains.join(" "))
    }

    fn domain(&self, domain: CollectionId) -> Result<&Domain> {
        let found = self.domains.iter().find(|one| one.collection == domain);
        found.map(AsRef::as_ref).ok_or_else(|| {
            Error::new(ErrorCode::NotFound, "there is no expert on this collection")
                .hint("`quartet train gag` makes one.")
        })
    }

    /// The rows the base would be given, had the expert written this answer.
    pub(crate) async fn oracle(
        &self,
        domain: CollectionId,
        question: &str,
        answer: &str,
    ) -> Result<Option<EmbeddingRows>> {
        let domain = self.domain(domain)?;
        let used = [domain.used()];
        let memory = self.student.think_of(question, answer, &used, &domain.options).await?;
        Ok(memory.map(|memory| domain.listener.rows(&memory)))
    }

    /// A route's score: its nearest prototype, or the nearest question that people sent there.
    fn score(&self, route: RouteChoice, bank: &Bank, vector: &[f32]) -> f32 {
        let corrected = self.corrections.iter().filter(|(own, _)| *own == route);
        let cosine = |own: &[f32]| own.iter().zip(vector).map(|(a, b)| a * b).sum::<f32>();
        corrected.map(|(_, own)| cosine(own)).fold(bank.score(vector), f32::max)
    }
}

#[async_trait]
impl Experts for Panel {
    async fn scores(&self, question: &str, cancel: &CancellationToken) -> Result<Vec<RouteScore>> {
        let question = [question.to_owned()];
        let vectors = self.encoder.encode(&self.student, &question, cancel).await?;
        let vector = vectors.into_iter().next().unwrap_or_default();
        let general = RouteScore {
            route: RouteChoice::General,
            name: GENERAL.to_owned(),
            score: self.score(RouteChoice::General, &self.general, &vector),
        };
        let domains = self.domains.iter().map(|domain| {
            let route = RouteChoice::Domain(domain.collection);
            let score = self.score(route, &domain.bank, &vector);
            RouteScore { route, name: domain.name.clone(), score }
        });
        Ok(std::iter::once(general).chain(domains).collect())
    }

    fn listener(&self, domain: CollectionId) -> Result<&Listener> {
        self.domain(domain).map(|domain| &domain.listener)
    }

    async fn think(
        &self,
        domain: CollectionId,
        taught: bool,
        question: &str,
        _: &CancellationToken,
    ) -> Result<Thought> {
        let domain = self.domain(domain)?;
        let adapter = taught.then_some(&domain.adapter);
        self.thoughts.think(&self.student, adapter, question, &domain.options).await
    }

    async fn answer_alone(
        &self,
        domain: CollectionId,
        question: &str,
        _: &CancellationToken,
    ) -> Result<Generation> {
        let domain = self.domain(domain)?;
        self.student.answer(question, &[domain.used()]).await
    }
}

impl Quartet {
    /// The panel for a base: every domain whose projector was trained for it and whose expert is
    /// still the one it listens to. A domain that is damaged or stale is left out, so that the
    /// others still answer; if it is that of `asked_in`, the collection asked about, or nothing
    /// else is left, the reason is the error.
    ///
    /// # Errors
    /// `NotFound` where nothing is trained for this base, with what to do; `Corrupt` naming an
    /// artefact that is damaged or belongs to other models.
    pub(crate) async fn panel(
        &self,
        base: &str,
        base_sha256: &Sha256,
        asked_in: Option<&str>,
        cancel: &CancellationToken,
    ) -> Result<Panel> {
        let stored = self.library.artefacts(None).await?;
        let gag = stored.iter().filter(|one| one.artefact.kind == ArtefactKind::Gag);
        let (fitting, foreign): (Vec<_>, Vec<_>) =
            gag.partition(|one| one.artefact.model_sha256 == *base_sha256);
        let mut shared: Option<(Student, Encoder)> = None;
        let mut domains = Vec::new();
        let mut trouble = None;
        // The one asked about comes first: others adapt to its encoder.
        let is_home = |one: &StoredArtefact| asked_in == Some(&*one.artefact.collection_name);
        let (home, others): (Vec<_>, Vec<_>) = fitting.into_iter().partition(|one| is_home(one));
        for one in home.into_iter().chain(others) {
            match self.ready(one, &stored, &mut shared, cancel).await {
                Ok(domain) => domains.push(domain),
                Err(error) if error.code == ErrorCode::Cancelled || is_home(one) => {
                    return Err(error);
                }
                Err(error) => trouble = Some(error),
            }
        }
        if let (Some(shared), false) = (shared, domains.is_empty()) {
            return Panel::new(self, shared, domains, cancel).await;
        }
        Err(trouble.unwrap_or_else(|| nothing_trained(base, &foreign)))
    }

    /// A domain with everything it takes to be asked. The first one decides which model thinks
    /// and which encodes.
    async fn ready(
        &self,
        one: &StoredArtefact,
        stored: &[StoredArtefact],
        shared: &mut Option<(Student, Encoder)>,
        cancel: &CancellationToken,
    ) -> Result<Arc<Domain>> {
        let domain = self.domain_of(one, stored).await?;
        let stale = |what: &str| {
            let message = format!("GAG on `{}` is stale: {what}", domain.name);
            Error::new(ErrorCode::Corrupt, message)
        };
        let model = self.models.find(&domain.expert_model)?;
        let (_, sha256) = self.models.verified(&model)?;
        if domain.expert_sha256 != sha256 {
            let what = format!("`{}` is another file than it was made from", domain.expert_model);
            return Err(stale(&what).hint("Put the former model file back, or train it again."));
        }
        if shared.is_none() {
            let student = Student::load(&self.engine, &model, cancel).await?;
            let encoder = Encoder::of(self, domain.options.router, &student, cancel).await?;
            *shared = Some((student, encoder));
        }
        let Some((student, encoder)) = shared else {
            return Err(Error::internal("there is no encoder"));
        };
        if domain.bank.encoder != encoder.key() || student.name() != model.name.0 {
            return Err(stale("its vectors cannot be compared with those of the others")
                .hint("Run `quartet train gag` on that collection again."));
        }
        domain.load(student).await?;
        Ok(domain)
    }
}

fn nothing_trained(base: &str, foreign: &[&StoredArtefact]) -> Error {
    let others: String = foreign
        .iter()
        .map(|one| {
            let artefact = &one.artefact;
            format!("GAG on `{}` was trained for `{}`. ", artefact.collection_name, artefact.model)
        })
        .collect();
    Error::new(ErrorCode::NotFound, format!("GAG is not trained for the base `{base}`"))
        .hint(format!("{others}`quartet train gag` trains it on a collection."))
}
