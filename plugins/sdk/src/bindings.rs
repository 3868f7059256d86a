//! What `wit/` generates: the imports once, and one module for each handler world that shares
//! the imports' types. Nothing outside the SDK names this module; `export!` does it for you.

/// Types, `job-control`, `state`, `config`, `log`.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "imports",
        generate_unused_types: true,
        additional_derives: [PartialEq],
        additional_type_attributes: {
            "sexton:plugin/types@0.1.0/job-kind": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/job-state": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/outcome": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/priority": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/error-origin": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/leg": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/call-info": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/file-info": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/job-snapshot": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/severity": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/object-change": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/status-class": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/value": [#[cfg_attr(feature = "json", derive(serde::Serialize), serde(rename_all = "kebab-case"))]],
            "sexton:plugin/types@0.1.0/provider-error": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/extended-status": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/object-batch": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/query-progress": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/completion": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
            "sexton:plugin/types@0.1.0/error-info": [#[cfg_attr(feature = "json", derive(serde::Serialize))]],
        },
        additional_member_attributes: {
            "sexton:plugin/types@0.1.0/call-info.labels": [#[cfg_attr(feature = "json", serde(serialize_with = "crate::event::labels"))]],
            "sexton:plugin/types@0.1.0/extended-status.status-code": [#[cfg_attr(feature = "json", serde(serialize_with = "crate::event::code"))]],
            "sexton:plugin/types@0.1.0/completion.code": [#[cfg_attr(feature = "json", serde(serialize_with = "crate::event::code"))]],
            "sexton:plugin/types@0.1.0/error-info.code": [#[cfg_attr(feature = "json", serde(serialize_with = "crate::event::code"))]],
        },
    });
}

macro_rules! handler_world {
    ($(#[$doc:meta])* $module:ident, $world:literal) => {
        $(#[$doc])*
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                world: $world,
                with: {
                    "sexton:plugin/types@0.1.0": crate::bindings::imports::sexton::plugin::types,
                    "sexton:plugin/job-control@0.1.0": crate::bindings::imports::sexton::plugin::job_control,
                    "sexton:plugin/state@0.1.0": crate::bindings::imports::sexton::plugin::state,
                    "sexton:plugin/config@0.1.0": crate::bindings::imports::sexton::plugin::config,
                    "sexton:plugin/log@0.1.0": crate::bindings::imports::sexton::plugin::log,
                },
                pub_export_macro: true,
            });
        }
    };
}

handler_world!(
    /// `job-callback`
    job_callback,
    "job-callback-plugin"
);
handler_world!(
    /// `job-end`
    job_end,
    "job-end-plugin"
);
handler_world!(
    /// `async-error-notify`
    async_error_notify,
    "async-error-notify-plugin"
);
handler_world!(
    /// `object-sink`
    object_sink,
    "object-sink-plugin"
);
handler_world!(
    /// `service-call`
    service_call,
    "service-call-plugin"
);
handler_world!(
    /// `provider`
    provider,
    "provider-plugin"
);
handler_world!(
    /// `final-retry`
    final_retry,
    "final-retry-plugin"
);
