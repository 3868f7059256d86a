//! What the room would say of a file, without a room: everything that loading does, with the compiler
//! in this process. For tools and tests that look at more components than there can be processes.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::Engine;

use super::RoomError;
use super::call::Core;
use super::compile::{compile_here, digest};
use super::engine::{RESERVATION_MIN, compile_engine, host_engine};
use super::inspect::triage;
use super::load::{Gate, Identity};
use super::refusal::Refusal;
use super::settings::Settings;
use super::ticker::Ticker;
use crate::clock::Clock;
use crate::config::PluginConfig;
use crate::job::{Interface, PluginName};

/// Looks at components one after the other; nothing is kept of them.
pub struct Vetter {
    core: Arc<Core>,
    /// Without a pool, as in the compile child.
    compiler: Engine,
    gate: Gate,
    name: PluginName,
    settings: Arc<Settings>,
}

impl Vetter {
    /// For components that would be loaded as `name` under `config`.
    ///
    /// # Errors
    /// [`RoomError`] when address space or threads cannot be had.
    pub fn new(name: PluginName, config: &PluginConfig) -> Result<Self, RoomError> {
        let engine = host_engine(RESERVATION_MIN, 1).map_err(RoomError::Engine)?;
        let core = Arc::new(Core {
            ticker: Ticker::start(&engine).map_err(RoomError::Threads)?,
            engine,
            clock: Clock::real(),
            slots: Arc::new(Semaphore::new(1)),
            work_slots: Arc::new(Semaphore::new(1)),
        });
        Ok(Self {
            compiler: compile_engine(RESERVATION_MIN).map_err(RoomError::Engine)?,
            gate: Gate::new(Arc::clone(&core)),
            core,
            name,
            settings: Arc::new(Settings::new(config, RESERVATION_MIN)),
        })
    }

    /// The handler interfaces of a component that would be loaded.
    ///
    /// # Errors
    /// The sentence that refuses it.
    pub async fn vet(&self, wasm: &[u8]) -> Result<BTreeSet<Interface>, String> {
        self.admit(wasm).await.map_err(|refusal| refusal.to_string())
    }

    async fn admit(&self, wasm: &[u8]) -> Result<BTreeSet<Interface>, Refusal> {
        triage(wasm)?;
        let component = compile_here(&self.compiler, &self.core.engine, wasm)?;
        let file = Identity {
            name: self.name.clone(),
            digest: digest(wasm),
            size: wasm.len() as u64,
        };
        let served = self
            .gate
            .admit(file, &component, Arc::clone(&self.settings))
            .await?;
        Ok(served.surface.interfaces)
    }
}
