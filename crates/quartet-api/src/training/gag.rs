//! `train gag`: an expert, and a base that listens to it.

use super::expert::{PARTS, Snapshot, Work, small};
use super::folder::WorkFolder;
use super::material::Material;
use super::pace::{COMPARING, LISTENING, Pace, THINKING};
use super::plan::spread;
use super::report;
use super::student::Student;
use super::trainer::Trainer;
use super::verdict::{compare, controls};
use super::worker::{TrainerReply, TrainerRequest};
use super::{GagRequest, verdict};
use crate::Quartet;
use crate::engine::BaseReader;
use crate::experts::{BANK, Domain, Encoder, PROJECTOR, Panel, held_out_of_general, listener};
use crate::keeping::OnProgress;
use quartet_gguf::sha256_of_bytes;
use quartet_library::{JobLease, StoredArtefact};
use quartet_methods::expert::Exchange;
use quartet_methods::gag::deviations;
use quartet_methods::gag::projector::Shape;
use quartet_methods::gag::recipe::{InjectionRecipe, develop_or_test};
use quartet_methods::gag::router::{Bank, best};
use quartet_methods::gag::training::InjectionTraining;
use quartet_methods::{Experts, Reader};
use quartet_train::read_artefact;
use quartet_types::{
    Artefact, ArtefactKind, Collection, Error, ErrorCode, ExpertReport, GagForm, GagReport, Result,
    RoutingReport, Sha256,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Questions that are scored, and of these answered, at most: quick, standard, thorough.
const COMPARED: [(usize, usize); 3] = [(24, 12), (60, 30), (200, 120)];
/// Questions whose loss decides which evaluation is the best, at most.
const DEVELOPED_ON: usize = 40;

/// What the parts after the expert work on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Assignment {
    /// The projector learns from these.
    pub(super) learnt: Vec<Exchange>,
    /// By these the best evaluation is chosen.
    pub(super) develop: Vec<Exchange>,
    /// On these it is compared with its controls.
    tested: Vec<Exchange>,
    /// The domain's prototypes come from these.
    pub(super) questions: Vec<String>,
    /// Those of them that a person might ask.
    pub(super) natural: Vec<String>,
    /// Questions a person might ask that are in no bank: the router is measured on them.
    routed: Vec<String>,
    writer: Option<String>,
}

/// A training under way.
pub(super) struct GagWork<'a> {
    pub(super) quartet: &'a Quartet,
    pub(super) request: &'a GagRequest,
    pub(super) collection: Collection,
    pub(super) lease: &'a JobLease,
    pub(super) folder: &'a WorkFolder,
}

impl GagWork<'_> {
    pub(super) async fn run(&self, on_progress: OnProgress<'_>) -> Result<Artefact> {
        let parts = PARTS.into_iter().chain([THINKING, LISTENING, COMPARING]);
        let pace = Pace::new(self.lease, on_progress, parts.map(str::to_owned));
        let stop = self.lease.stop();
        let base = self.quartet.base_model(self.request.base.as_deref(), stop).await?;
        let folder = WorkFolder::open(self.folder.path().join("expert"))?;
        let expert_work = Work {
            quartet: self.quartet,
            request: &self.request.expert,
            collection: self.collection.clone(),
            lease: self.lease,
            folder: &folder,
        };
        let snapshot = expert_work.snapshot().await?;
        let recipe = self.recipe();
        self.foretell(&recipe, &base, &pace);
        let expert = self.expert(&expert_work, &snapshot, &pace).await?;
        let assignment = match self.folder.load::<Assignment>("assignment.json")? {
            Some(assignment) => assignment,
            None => {
                let taught: Vec<_> = snapshot.part(false).cloned().collect();
                let (material, writer) = expert_work.study(&taught, &pace).await?;
                let made = self.assign(material, writer);
                self.folder.store("assignment.json", &made)?;
                made
            }
        };
        if assignment.learnt.is_empty() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("no questions could be made of `{}`", self.collection.name),
            )
            .hint("Import documents with whole sentences, then train again."));
        }

        let model = self.quartet.models.find(&expert.artefact.model)?;
        let student = Student::load(&self.quartet.engine, &model, stop).await?;
        let adapter_file = self.quartet.artefact_folder(&expert.folder).join("adapter.gguf");
        student.take_adapter(&adapter_file).await?;
        let (_, base_sha256) = self.quartet.models.verified(&base)?;
        let reader =
            BaseReader::load(Arc::clone(&self.quartet.engine), base.clone(), stop, |_| {}).await?;
        let shape = self.shape(&student, &reader);

        let (memories, bank) = self.think(&assignment, &student, &expert, &pace).await?;
        let training = self
            .injection(&assignment, &memories, &recipe, shape, &reader, &base_sha256, &snapshot)
            .await?;
        // For whoever tunes the recipe: `examples/tune_projector.rs` reads it.
        self.folder.store("injection.json", &training)?;
        let stages = [(LISTENING.to_owned(), training.plan.steps)];
        let trainer = Trainer { quartet: self.quartet, stop };
        let request = TrainerRequest::Inject(Box::new(training.clone()));
        let (trained, foretold) = match trainer.follow(request, &stages, &pace).await? {
            (TrainerReply::Injected(trained), foretold) => (trained, foretold),
            _ => return Err(Error::internal("nothing was trained")),
        };

        pace.begin(COMPARING, 0);
        let (manifest, kept) = read_artefact(&training.output, None)?;
        let (_, expert_sha256) = self.quartet.models.verified(&model)?;
        let domain = Arc::new(Domain {
            collection: self.collection.id,
            name: self.collection.name.clone(),
            listener: listener(&manifest, &kept)?,
            bank,
            options: self.request.options.clone(),
            expert_model: expert.artefact.model.clone(),
            expert_sha256: expert_sha256.clone(),
            adapter: expert.artefact.adapter.clone(),
            adapter_file,
        });
        let mut domains = vec![Arc::clone(&domain)];
        domains.extend(self.others(&base_sha256, &expert_sha256).await?);
        for other in &domains {
            other.load(&student).await?;
        }
        let encoder =
            Encoder::of(self.quartet, self.request.options.router, &student, stop).await?;
        let panel = Panel::new(self.quartet, (student, encoder), domains, stop).await?;
        let routing = self.routing(&panel, &domain, &assignment).await?;
        let rows = self.compare(&assignment, &panel, &reader, &pace).await?;
        pace.end();
        let report = GagReport {
            options: self.request.options.clone(),
            deviations: deviations(&self.request.options),
            expert: expert.artefact.adapter.clone(),
            expert_model: expert.artefact.model.clone(),
            expert_model_sha256: expert_sha256,
            parameters: trained.parameters as u64,
            memories: small(assignment.learnt.len()),
            visits: trained.stage.steps * (recipe.accumulate * recipe.batch) as u64,
            questions: small(rows.len()),
            answered: small(rows.len().min(self.compared().1)),
            controls: controls(&rows),
            oracle: verdict::oracle(&rows),
            routing,
            stages: vec![report::stage(&trained.stage)],
            seconds: pace.spent(),
            foretold_seconds: foretold,
        };
        self.keep(&training, &domain.bank, &snapshot, assignment.writer, report).await
    }

    fn recipe(&self) -> InjectionRecipe {
        let mut recipe = InjectionRecipe::new(self.request.expert.preset);
        if let Some(updates) = self.request.expert.updates {
            recipe.updates = recipe.updates.min(updates);
        }
        recipe
    }

    /// Roughly, until something is measured.
    fn foretell(
        &self,
        recipe: &InjectionRecipe,
        base: &crate::models::InstalledModel,
        pace: &Pace<'_>,
    ) {
        let weights = base.path.as_ref().and_then(|path| path.metadata().ok());
        let gigabytes = weights.map_or(0.5, |file| file.len() as f64 / 1e9);
        let visits = (recipe.updates as usize * recipe.accumulate * recipe.batch) as f64;
        pace.foretell(LISTENING, visits * gigabytes * SECONDS_PER_VISIT);
        let (scored, answered) = self.compared();
        pace.foretell(COMPARING, scored as f64 * 4.0 + answered as f64 * 8.0);
    }

    fn compared(&self) -> (usize, usize) {
        let (scored, answered) = COMPARED[self.request.expert.preset as usize];
        let few = self.request.expert.updates.map_or(usize::MAX, |updates| updates as usize * 4);
        (scored.min(few), answered.min(few))
    }

    /// The expert it listens to: the one there is, if it was made for the same request from the
    /// same documents; otherwise one is trained.
    async fn expert(
        &self,
        work: &Work<'_>,
        snapshot: &Snapshot,
        pace: &Pace<'_>,
    ) -> Result<StoredArtefact> {
        let wanted = &self.request.expert;
        let is_whole = wanted.passages.is_none() && wanted.updates.is_none();
        let chosen: Option<Sha256> = self.folder.load("expert.json")?;
        let model = self.quartet.expert_model(wanted)?;
        let fits = |one: &StoredArtefact| {
            let artefact = &one.artefact;
            artefact.kind == ArtefactKind::Expert
                && match &chosen {
                    Some(chosen) => artefact.adapter == *chosen,
                    None => {
                        is_whole
                            && artefact.fingerprint == snapshot.fingerprint
                            && artefact.preset == wanted.preset
                            && artefact.model == model.name.0
                    }
                }
        };
        let library = &self.quartet.library;
        let stored = library.artefacts(Some(self.collection.id)).await?;
        let found = match stored.into_iter().find(fits) {
            Some(found) => found,
            None => {
                let made = work.run(pace).await?;
                let stored = library.artefacts(Some(self.collection.id)).await?;
                let is_made = |one: &StoredArtefact| one.artefact.adapter == made.adapter;
                stored
                    .into_iter()
                    .find(is_made)
                    .ok_or_else(|| Error::internal("the expert was not kept"))?
            }
        };
        self.folder.store("expert.json", &found.artefact.adapter)?;
        Ok(found)
    }

    fn assign(&self, material: Material, writer: Option<String>) -> Assignment {
        let mut made = Assignment {
            learnt: Vec::new(),
            develop: Vec::new(),
            tested: Vec::new(),
            questions: Vec::new(),
            natural: Vec::new(),
            routed: Vec::new(),
            writer,
        };
        for wordings in material.questions {
            let exchange = |question: &String| Exchange {
                question: question.clone(),
                answer: wordings.answer.clone(),
            };
            let learnt = match self.request.options.cross_fit {
                true => &wordings.listened,
                false => &wordings.trained,
            };
            made.learnt.extend(learnt.iter().map(exchange));
            made.questions.extend(wordings.trained.iter().chain(&wordings.listened).cloned());
            if !wordings.natural.is_empty() {
                made.natural.extend(wordings.natural.iter().cloned());
                // One with a gap would quote the very sentence that is a prototype.
                made.routed.extend(wordings.held_out.iter().cloned());
            }
            for question in &wordings.held_out {
                let part =
                    if develop_or_test(question) { &mut made.develop } else { &mut made.tested };
                part.push(exchange(question));
            }
        }
        made.develop = spread(&made.develop, DEVELOPED_ON);
        made.tested = spread(&made.tested, self.compared().0);
        if let Some(updates) = self.request.expert.updates {
            // To try it out, a few will do.
            let few = (updates as usize * 8).max(8);
            made.learnt = spread(&made.learnt, few);
            made.develop = spread(&made.develop, few);
        }
        made
    }

    fn shape(&self, student: &Student, reader: &BaseReader) -> Shape {
        let options = &self.request.options;
        let slots = match options.form {
            GagForm::OneToken => 1,
            GagForm::Slots => options.slots as usize,
        };
        Shape {
            form: options.form,
            layers: options.readout.len(),
            slots,
            from: student.width(),
            to: reader.model().width as usize,
        }
    }

    /// Other domains the same base listens to, behind the same encoder.
    async fn others(&self, base: &Sha256, expert: &Sha256) -> Result<Vec<Arc<Domain>>> {
        let stored = self.quartet.library.artefacts(None).await?;
        let mut others = Vec::new();
        for one in &stored {
            let artefact = &one.artefact;
            if artefact.kind == ArtefactKind::Gag
                && artefact.collection != self.collection.id
                && artefact.model_sha256 == *base
                && artefact.gag.as_ref().is_some_and(|gag| {
                    gag.expert_model_sha256 == *expert
                        && gag.options.router == self.request.options.router
                })
                // One that is stale is nobody's competitor.
                && let Ok(domain) = self.quartet.domain_of(one, &stored).await
            {
                others.push(domain);
            }
        }
        Ok(others)
    }

    async fn routing(
        &self,
        panel: &Panel,
        domain: &Domain,
        assignment: &Assignment,
    ) -> Result<RoutingReport> {
        let stop = self.lease.stop();
        let mut report =
            RoutingReport { prototypes: small(domain.bank.len()), ..RoutingReport::default() };
        let own: Vec<&str> = assignment.routed.iter().map(String::as_str).collect();
        for (is_domain, questions) in [(true, own), (false, held_out_of_general())] {
            for question in questions {
                let scores = panel.scores(question, stop).await?;
                report.routes = small(scores.len());
                let all: Vec<f32> = scores.iter().map(|score| score.score).collect();
                let place = best(&all, 0.0);
                let wanted = quartet_types::RouteChoice::Domain(domain.collection);
                let is_right = match is_domain {
                    true => scores[place].route == wanted,
                    false => place == 0,
                };
                let part = if is_domain { &mut report.domain } else { &mut report.general };
                part.0 += 1;
                part.1 += u32::from(is_right);
            }
        }
        Ok(report)
    }

    async fn compare(
        &self,
        assignment: &Assignment,
        panel: &Panel,
        reader: &BaseReader,
        pace: &Pace<'_>,
    ) -> Result<Vec<verdict::Row>> {
        let answered = self.compared().1;
        let stop = self.lease.stop();
        let both = (reader, panel);
        compare(self.collection.id, &assignment.tested, answered, both, self.folder, pace, stop)
            .await
    }

    /// Moves the projector to where artefacts are, and notes it.
    async fn keep(
        &self,
        training: &InjectionTraining,
        bank: &Bank,
        snapshot: &Snapshot,
        writer: Option<String>,
        report: GagReport,
    ) -> Result<Artefact> {
        let manifest = std::fs::read(training.output.join("manifest.json"))
            .map_err(|error| Error::from_io(&error, &training.output))?;
        let artefact = Artefact {
            kind: ArtefactKind::Gag,
            collection: self.collection.id,
            collection_name: self.collection.name.clone(),
            preset: self.request.expert.preset,
            model: training.base.name.clone(),
            model_sha256: training.base.sha256.clone(),
            writer,
            fingerprint: snapshot.fingerprint.clone(),
            adapter: sha256_of_bytes(&manifest),
            created_at: 0,
            report: ExpertReport::default(),
            gag: Some(report),
            imprag: None,
            iag: None,
            stale: false,
        };
        let bank = serde_json::to_vec(bank).map_err(|error| Error::internal(error.to_string()))?;
        let from = &training.output;
        self.quartet.keep_artefact(artefact, from, PROJECTOR, &[(BANK, bank)]).await
    }
}

/// Seconds of a visit for each gigabyte of the base's file, on two cores; measured.
const SECONDS_PER_VISIT: f64 = 1.0;
