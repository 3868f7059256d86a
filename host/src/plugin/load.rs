//! From a file's bytes to something that serves: each step is cheaper than the one after it, and
//! only the last, done elsewhere, touches traffic (HH-04).

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::Semaphore;
use wasmtime::component::{Component, InstancePre, Linker};

use super::bindings;
use super::call::Core;
use super::compile::Compiler;
use super::engine::SPARE_SLOTS;
use super::failure::Finding;
use super::guest::Guest;
use super::inspect::{Surface, triage};
use super::refusal::Refusal;
use super::services::Services;
use super::settings::Settings;
use crate::job::PluginName;

/// A component that can be called.
#[derive(Clone)]
pub(super) struct Served {
    /// The plugin's name.
    pub(super) name: PluginName,
    /// SHA-256 of the component, hex.
    pub(super) digest: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// What it offers and asks for.
    pub(super) surface: Surface,
    /// What it may use.
    pub(super) settings: Arc<Settings>,
    /// Linked, checked, ready to be instantiated.
    pub(super) pre: InstancePre<Guest>,
}

/// Makes [`Served`] out of bytes.
pub(super) struct Loader {
    compiler: Compiler,
    gate: Gate,
}

impl Loader {
    /// A loader for the engine of `core`.
    pub(super) fn new(core: Arc<Core>, compiler: Compiler) -> Self {
        Self {
            compiler,
            gate: Gate::new(core),
        }
    }

    /// The cache's owner.
    pub(super) fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// Loads `wasm`, whose SHA-256 is `digest`.
    ///
    /// # Errors
    /// The [`Refusal`] of the first step that says no.
    pub(super) async fn load(
        &self,
        name: &PluginName,
        digest: &str,
        wasm: &[u8],
        settings: Arc<Settings>,
    ) -> Result<Served, Refusal> {
        triage(wasm)?;
        let component = self.compiler.component(digest, wasm).await?;
        let file = Identity {
            name: name.clone(),
            digest: digest.to_owned(),
            size: wasm.len() as u64,
        };
        self.gate.admit(file, &component, settings).await
    }
}

/// Which file a component came from.
pub(super) struct Identity {
    /// The plugin's name.
    pub(super) name: PluginName,
    /// SHA-256 of the file, hex.
    pub(super) digest: String,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// What a compiled component has to pass before it may serve.
pub(super) struct Gate {
    core: Arc<Core>,
    /// The pool has slots for so many beside the calls.
    trials: Semaphore,
    /// One linker for each combination of grants, made when first needed.
    linkers: [OnceLock<Linker<Guest>>; 4],
}

impl Gate {
    /// A gate to the engine of `core`.
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            trials: Semaphore::new(SPARE_SLOTS),
            linkers: Default::default(),
        }
    }

    /// Inspects, links and tries out `component`.
    ///
    /// # Errors
    /// The [`Refusal`] of the first step that says no.
    pub(super) async fn admit(
        &self,
        file: Identity,
        component: &Component,
        settings: Arc<Settings>,
    ) -> Result<Served, Refusal> {
        let surface = Surface::of(component)?;
        surface.check_grants(&settings)?;
        let pre = self.link(component, &settings)?;
        let served = Served {
            name: file.name,
            digest: file.digest,
            size: file.size,
            surface,
            settings,
            pre,
        };
        self.try_out(&served).await?;
        Ok(served)
    }

    fn link(&self, component: &Component, settings: &Settings) -> Result<InstancePre<Guest>, Refusal> {
        let http = !settings.http.is_empty();
        let linker = self.linker(http, settings.job_control)?;
        // The names are right by now, so what is left is their types (HB-02).
        linker
            .instantiate_pre(component)
            .map_err(|error| Refusal::WrongType {
                why: super::failure::sentence(&error),
            })
    }

    fn linker(&self, http: bool, job_control: bool) -> Result<&Linker<Guest>, Refusal> {
        let slot = self.linkers.get(usize::from(http) * 2 + usize::from(job_control));
        let broken = |why: String| Refusal::Host { why };
        let slot = slot.ok_or_else(|| broken("no linker for these grants".to_owned()))?;
        if let Some(linker) = slot.get() {
            return Ok(linker);
        }
        let mut linker = Linker::new(&self.core.engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| bindings::link(&mut linker, job_control))
            .and_then(|()| match http {
                true => wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker),
                false => Ok(()),
            })
            .map_err(|error| broken(format!("{error:#}")))?;
        Ok(slot.get_or_init(|| linker))
    }

    /// One instance in a throw-away store: wrong types show only here, and start functions run the
    /// guest's code, so it has the limits of a call (HW-03).
    async fn try_out(&self, served: &Served) -> Result<(), Refusal> {
        // Never closed.
        let _slot = self.trials.acquire().await;
        let settings = &served.settings;
        let ends = Instant::now() + settings.deadline;
        let config = Arc::clone(&settings.config);
        let services = Services::trial(served.name.clone(), config, self.core.clock.clone());
        let guest = Guest::new(settings, services, ends).map_err(|why| Refusal::Host { why })?;
        let mut store = guest.into_store(&self.core.engine, ends);
        let running = self.core.ticker.running();
        let made = tokio::time::timeout(settings.deadline, served.pre.instantiate_async(&mut store)).await;
        drop(running);
        let instance = match made {
            Ok(Ok(instance)) => instance,
            Ok(Err(error)) => {
                let error = bindings::CallError::Wasm(error);
                let finding = Finding::broken(&error, &store.data().meter, settings.deadline);
                return Err(Refusal::Trial {
                    why: with_last_words(finding.message, &store.data().stderr.words()),
                });
            }
            Err(_) => {
                let why = Finding::timeout(settings.deadline).message;
                return Err(Refusal::Trial { why });
            }
        };
        for (function, index) in &served.surface.handlers {
            bindings::typecheck(&mut store, &instance, index, *function).map_err(|error| {
                Refusal::WrongType {
                    why: format!("{}: {}", function.name(), super::failure::sentence(&error)),
                }
            })?;
        }
        Ok(())
    }
}

fn with_last_words(message: String, words: &str) -> String {
    match words.lines().next_back() {
        Some(last) if !last.is_empty() => format!("{message}; its last words: {last}"),
        _ => message,
    }
}
