//! Plugins as operators see them: what serves, what is routed to it, and what is missing.

use std::collections::BTreeMap;

use crate::api::view::{PluginView, SubscriptionView};
use crate::config::Config;
use crate::job::{PluginName, Role};
use crate::plugin::{Exports, PluginInfo};
use crate::store::ShownPlugin;

/// One plugin with what is routed to it, or with what to add so that something is. With a refused
/// file the configuration in force is not what the operator wrote last.
pub(super) fn plugin(
    info: PluginInfo,
    config: &Config,
    exports: &BTreeMap<PluginName, Exports>,
    file_is_refused: bool,
) -> PluginView {
    let subscriptions: Vec<SubscriptionView> = config
        .subscriptions
        .iter()
        .filter(|subscription| subscription.plugin == info.name)
        .flat_map(|subscription| {
            let role = if subscription.decide {
                Role::Decider
            } else {
                Role::Observer
            };
            subscription.events.iter().map(move |event| SubscriptionView {
                event: *event,
                kind: subscription.family,
                role,
            })
        })
        .collect();
    let hint = idle_hint(
        &info.name,
        &subscriptions,
        exports.get(&info.name),
        file_is_refused,
    );
    PluginView {
        name: info.name,
        digest: info.digest,
        size: info.size,
        interfaces: info.interfaces,
        serving: info.serving,
        problem: info.problem,
        refused_digest: info.refused_digest,
        subscriptions,
        hint,
    }
}

/// What to add to the configuration, when nothing is routed to a plugin: it is not subscribed, or only
/// to functions that its component does not export.
fn idle_hint(
    plugin: &PluginName,
    subscriptions: &[SubscriptionView],
    exports: Option<&Exports>,
    file_is_refused: bool,
) -> Option<String> {
    let handled =
        |view: &SubscriptionView| exports.is_none_or(|export| export.functions.contains(&view.event));
    // What only does the work of jobs is told of nothing.
    let works = exports.is_some_and(|export| export.functions.is_empty() && !export.work.is_empty());
    if subscriptions.iter().any(handled) || works {
        return None;
    }
    let why = if subscriptions.is_empty() {
        "no subscription".to_owned()
    } else {
        let mut events: Vec<&str> = subscriptions.iter().map(|view| view.event.as_str()).collect();
        events.dedup();
        format!(
            "no subscription but to {}, which it does not export",
            events.join(", ")
        )
    };
    // The line may be in the file already: to add it again would be one more fault.
    if file_is_refused {
        return Some(format!(
            "idle: {why} in the configuration in force; the file as it is now was refused, `sexton config check` says why"
        ));
    }
    let events = exports.map(|export| {
        let main = export.functions.iter().filter(|event| !event.is_coalesced());
        main.map(|event| format!("\"{event}\""))
            .collect::<Vec<_>>()
            .join(", ")
    });
    let events = events.unwrap_or_else(|| "\"job-error\"".to_owned());
    Some(format!(
        "idle: {why}; add  [[subscribe]]  plugin = \"{plugin}\"  events = [{events}]"
    ))
}

/// A plugin as the queries of provider `sexton` see it.
pub(super) fn shown(info: &PluginInfo) -> ShownPlugin {
    ShownPlugin {
        name: info.name.to_string(),
        digest: info.digest.clone(),
        serving: info.serving,
        problem: info.problem.clone(),
    }
}
