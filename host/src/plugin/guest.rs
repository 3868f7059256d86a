//! What one running guest holds on the host's side: the data of its store.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::http::Gate;
use super::limits::{HANDLES, HOSTCALL_FUEL, Meter, RESOURCES};
use super::services::Services;
use super::settings::Settings;
use super::wasi::{self, Sink};

/// The data of one call's store.
pub(super) struct Guest {
    /// Log, configuration, state and decisions.
    pub(super) services: Services,
    /// Memory used.
    pub(super) meter: Meter,
    /// What it printed.
    pub(super) stdout: Sink,
    /// What it printed on the error stream: its last words.
    pub(super) stderr: Sink,
    settings: Arc<Settings>,
    table: ResourceTable,
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    gate: Gate,
}

impl Guest {
    /// Prepares the host's side of a guest that must have returned by `ends`.
    ///
    /// # Errors
    /// A sentence when what the operator granted cannot be given.
    pub(super) fn new(settings: &Arc<Settings>, services: Services, ends: Instant) -> Result<Self, String> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let mut guest = Self {
            services,
            meter: Meter::new(settings.memory),
            stdout: Sink::default(),
            stderr: Sink::default(),
            settings: Arc::clone(settings),
            table,
            wasi: None,
            http: WasiHttpCtx::new(),
            gate: Gate::new(Arc::clone(&settings.http), ends),
        };
        // Building it costs 0.25 µs that most handlers never need (HB-21), but only now can a
        // directory that is missing become an error.
        if !settings.dirs.is_empty() {
            guest.wasi = Some(guest.build_wasi(&settings.dirs)?);
        }
        Ok(guest)
    }

    fn build_wasi(&self, dirs: &[crate::config::DirGrant]) -> Result<WasiCtx, String> {
        wasi::context(&self.settings.env, dirs, &self.stdout, &self.stderr)
    }

    /// A store around it: limits set, ready to run until `ends`.
    pub(super) fn into_store(self, engine: &Engine, ends: Instant) -> Store<Self> {
        let patience = self.settings.deadline;
        let mut store = Store::new(engine, self);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(HOSTCALL_FUEL);
        store.set_max_component_handles(HANDLES);
        // Each tick the guest yields to its neighbours. The runtime's timer ends it; if the runtime
        // is too busy to look at its timer, the guest is stopped here at twice its time (HW-11).
        store.epoch_deadline_callback(move |_| {
            if Instant::now() > ends + patience {
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store.set_epoch_deadline(1);
        store
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        if self.wasi.is_none() {
            // Without directories nothing can fail; an empty context grants nothing in any case.
            self.wasi = Some(self.build_wasi(&[]).unwrap_or_default());
        }
        WasiCtxView {
            ctx: self.wasi.get_or_insert_with(WasiCtx::default),
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.gate,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
