//! Where calls to the host go: to the imports in a component, to [`crate::testing`] in native
//! tests. The rest of the SDK calls only what is named here.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::imports::sexton::plugin::{config, job_control, log, state};
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::{config, job_control, log, state};
