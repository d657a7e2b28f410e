//! Models, settings and health.

use super::Desk;
use super::replies::{DeskEvent, Hello, LoadedModel, ModelView, ModelsView, SettingsView};
use super::requests::{Named, Nothing, OfPick};
use crate::Quartet;
use crate::doctor::{Diagnosis, machine_in_words};
use crate::models::{InstalledModel, ModelRole};
use crate::settings::Settings;
use quartet_types::{Device, Error, ErrorCode, Result};
use std::path::Path;

impl Desk {
    pub(super) async fn hello(&self, _: Nothing) -> Result<Hello> {
        let quartet = self.quartet();
        let mut problems = Vec::new();
        problems.extend(quartet.models.embedder().err());
        let has_base = quartet
            .models()
            .iter()
            .any(|model| model.role == ModelRole::Base && model.path.is_some());
        if !has_base {
            problems.push(
                Error::new(ErrorCode::ModelMissing, "no base model is installed")
                    .hint("Run `make models`, or add a GGUF file under Models."),
            );
        }
        Ok(Hello {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            language: quartet.settings.language.clone(),
            theme: quartet.settings.theme.clone(),
            data_folder: quartet.paths.data.display().to_string(),
            problems,
        })
    }

    pub(super) async fn list_models(&self, _: Nothing) -> Result<ModelsView> {
        let quartet = self.quartet();
        let models = quartet.models().into_iter().map(|model| model_view(&quartet, model));
        let loaded = quartet.engine.loaded().into_iter().map(|model| LoadedModel {
            name: model.model.0,
            device: model.device,
            context: model.context,
        });
        let paths = &quartet.paths.models;
        Ok(ModelsView {
            models: models.collect(),
            base: quartet.settings.base.clone(),
            profile: quartet.machine_profile(),
            loaded: loaded.collect(),
            folders: paths.iter().map(|path| path.display().to_string()).collect(),
        })
    }

    pub(super) async fn devices(&self, _: Nothing) -> Result<Vec<Device>> {
        self.quartet().engine.devices().await
    }

    pub(super) async fn add_model(&self, request: OfPick) -> Result<ModelView> {
        let quartet = self.quartet();
        let paths = self.take_pick(&request.pick)?;
        let [path] = paths.as_slice() else {
            return Err(Error::new(ErrorCode::InvalidInput, "one model at a time")
                .hint("Choose one GGUF file."));
        };
        let model = quartet.add_model(path)?;
        self.publish(DeskEvent::Models);
        Ok(model_view(&quartet, model))
    }

    pub(super) async fn remove_model(&self, request: Named) -> Result<Nothing> {
        self.quartet().models.remove(&request.name)?;
        self.publish(DeskEvent::Models);
        Ok(Nothing {})
    }

    pub(super) async fn settings(&self, _: Nothing) -> Result<SettingsView> {
        let quartet = self.quartet();
        let folder = quartet.paths.data.clone();
        let data_bytes =
            tokio::task::spawn_blocking(move || size_of_folder(&folder)).await.unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(SettingsView {
            settings: quartet.settings.clone(),
            defaults: Settings::default(),
            file: quartet.paths.settings.display().to_string(),
            data_folder: quartet.paths.data.display().to_string(),
            data_bytes,
            machine: machine_in_words(),
            cores: u32::try_from(cores).unwrap_or(1),
        })
    }

    pub(super) async fn save_settings(&self, settings: Settings) -> Result<SettingsView> {
        let quartet = self.quartet();
        if settings.base != "auto" {
            quartet.models.find(&settings.base)?;
        }
        settings.save(&quartet.paths.settings)?;
        self.replace_quartet(quartet.with_settings(settings));
        self.quartet().trim_states();
        self.publish(DeskEvent::Models);
        self.settings(Nothing {}).await
    }

    pub(super) async fn diagnose(&self, _: Nothing) -> Result<Diagnosis> {
        self.quartet().doctor().await
    }
}

fn model_view(quartet: &Quartet, model: InstalledModel) -> ModelView {
    let fit = model.path.as_deref().map(|path| {
        // The embedder reads passages, not prompts; its context is its own.
        let context = if model.role == ModelRole::Base { quartet.settings.context } else { 512 };
        quartet.models.fit(path, context)
    });
    let (fit, problem) = match fit {
        Some(Ok(fit)) => (Some(fit), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    ModelView {
        added_by_user: model.path.as_deref().is_some_and(Path::is_symlink)
            && model.licence.is_none(),
        name: model.name.0,
        role: model.role,
        path: model.path.map(|path| path.display().to_string()),
        size: model.size,
        licence: model.licence,
        description: model.description,
        fit,
        problem,
    }
}

fn size_of_folder(folder: &Path) -> u64 {
    let entries = walkdir::WalkDir::new(folder).follow_links(false);
    let files = entries.into_iter().flatten().filter(|entry| entry.file_type().is_file());
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
