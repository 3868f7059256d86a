//! Loads, exports a handler, and traps as soon as it is instantiated.

#![cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "an export needs its exact name")
)]

use sexton_sdk::JobCallback;

struct Never;

impl JobCallback for Never {}

sexton_sdk::export!(Never: JobCallback);

/// What a component's instantiation runs, before any export can be called.
#[cfg(target_arch = "wasm32")]
#[unsafe(export_name = "_initialize")]
extern "C" fn trap_at_start() {
    core::arch::wasm32::unreachable()
}
