//! Who hears of what: subscriptions and exports, frozen together.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Subscription;
use crate::job::{ActivityName, EventKind, Job, PluginName, Role, Route, Router};

/// An immutable snapshot of the configuration's subscriptions and of what the loaded components
/// export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConfigRouter {
    subscriptions: Vec<Subscription>,
    exports: BTreeMap<PluginName, BTreeSet<EventKind>>,
    /// Who decides about the calls of an activity.
    activities: BTreeMap<ActivityName, PluginName>,
}

impl ConfigRouter {
    /// Routes by `subscriptions`, in file order, over components that export `exports`.
    #[must_use]
    pub fn new(subscriptions: Vec<Subscription>, exports: BTreeMap<PluginName, BTreeSet<EventKind>>) -> Self {
        Self {
            subscriptions,
            exports,
            activities: BTreeMap::new(),
        }
    }

    /// The same with handlers that decide about the calls of activities.
    #[must_use]
    pub fn with_activities(mut self, handlers: BTreeMap<ActivityName, PluginName>) -> Self {
        self.activities = handlers;
        self
    }

    /// Who decides before any subscription: the call's own handler, or else its activity's.
    fn own<'a>(&'a self, job: &'a Job) -> Option<&'a PluginName> {
        job.spec.handler.as_ref().or_else(|| {
            let activity = job.spec.batch.as_ref()?.activity.as_ref()?;
            self.activities.get(activity)
        })
    }

    /// Events that any subscription sends to `plugin`.
    #[must_use]
    pub fn events_of(&self, plugin: &PluginName) -> BTreeSet<EventKind> {
        let subscribed = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.plugin == *plugin);
        subscribed
            .flat_map(|subscription| subscription.events.iter().copied())
            .collect()
    }

    /// Plugins that subscriptions name.
    #[must_use]
    pub fn subscribed(&self) -> BTreeSet<PluginName> {
        self.subscriptions
            .iter()
            .map(|subscription| subscription.plugin.clone())
            .collect()
    }

    /// A component that is absent may turn up: its rows are written and wait. One that is there and
    /// does not export the function has nothing to say about it (B-158).
    fn may_handle(&self, plugin: &PluginName, event: EventKind) -> bool {
        self.exports
            .get(plugin)
            .is_none_or(|functions| functions.contains(&event))
    }

    fn matches(subscription: &Subscription, job: &Job, event: EventKind) -> bool {
        let family = job.kind.family();
        subscription.events.contains(&event) && subscription.family.is_none_or(|wanted| wanted == family)
    }

    /// B-115: the command stands in for who decides. Who only observes does not say that the job was
    /// seen to.
    fn runs_command(job: &Job, event: EventKind, routes: &[Route]) -> bool {
        let decided = routes.iter().any(|route| route.role == Role::Decider);
        !decided && has_command(event) && !job.spec.notify_command.is_empty()
    }
}

impl Router for ConfigRouter {
    fn routes(&self, job: &Job, event: EventKind) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        // The job's flags say what any handler of it is told, and the call's own handler comes first
        // (B-98); the end of the job is told to whoever exports it.
        if !job.spec.tells(event) {
            return routes;
        }
        if let Some(plugin) = self.own(job).filter(|_| job.spec.tells_own(event))
            && self.may_handle(plugin, event)
        {
            routes.push(Route {
                plugin: plugin.clone(),
                role: Role::Decider,
            });
        }
        let matching = self
            .subscriptions
            .iter()
            .filter(|subscription| Self::matches(subscription, job, event));
        for subscription in matching {
            if !self.may_handle(&subscription.plugin, event) {
                continue;
            }
            let decided = routes.iter().any(|route| route.role == Role::Decider);
            let role = if subscription.decide && !decided {
                Role::Decider
            } else {
                Role::Observer
            };
            match routes
                .iter_mut()
                .find(|route| route.plugin == subscription.plugin)
            {
                Some(known) if role == Role::Decider => known.role = role,
                Some(_) => {}
                None => routes.push(Route {
                    plugin: subscription.plugin.clone(),
                    role,
                }),
            }
        }
        if self.own(job).is_none() && Self::runs_command(job, event, &routes) {
            routes.push(Route {
                plugin: PluginName::notify_command(),
                role: Role::Decider,
            });
        }
        routes
    }
}

/// B-114, B-159: a command is for the ends of a job's work.
pub(super) const fn has_command(event: EventKind) -> bool {
    matches!(
        event,
        EventKind::JobError | EventKind::OnError | EventKind::JobTransferred
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{
        BatchSpec, CommandSpec, Family, JobId, JobKind, JobSpec, JobState, Priority, Profile, Progress,
        Timestamp, Work,
    };

    fn call(activity: &str, handler: Option<&str>) -> Job {
        let mut spec = JobSpec::new("x", Profile::Sexton);
        spec.handler = handler.map(|name| name.parse().unwrap());
        spec.batch = Some(Box::new(BatchSpec {
            activity: Some(activity.parse().unwrap()),
            ..BatchSpec::new(Work::Command(CommandSpec::default()))
        }));
        Job {
            id: JobId::fresh(),
            owner: "uid-0".parse().unwrap(),
            kind: JobKind::Batch,
            state: JobState::Error,
            call: crate::job::CallState::default(),
            intent: None,
            outcome: None,
            priority: Priority::Normal,
            revision: 1,
            attempt: 1,
            error_count: 1,
            retries: 0,
            no_progress_since: None,
            due: None,
            created: Timestamp::default(),
            modified: Timestamp::default(),
            transferred: None,
            progress: Progress::default(),
            reply: None,
            error: None,
            spec,
        }
    }

    #[test]
    fn the_handler_of_a_call_decides_before_its_activitys_and_that_before_the_kinds() {
        let decides = Subscription {
            plugin: "kind".parse().unwrap(),
            events: vec![EventKind::OnError],
            family: Some(Family::Batch),
            decide: true,
        };
        let handlers = BTreeMap::from([("nightly".parse().unwrap(), "lane".parse().unwrap())]);
        let router = ConfigRouter::new(vec![decides], BTreeMap::new()).with_activities(handlers);
        for (activity, handler, decider) in [
            ("nightly", Some("own"), "own"),
            ("nightly", None, "lane"),
            ("other", None, "kind"),
        ] {
            let routes = router.routes(&call(activity, handler), EventKind::OnError);
            let deciders = routes.iter().filter(|route| route.role == Role::Decider);
            let deciders: Vec<&str> = deciders.map(|route| route.plugin.as_str()).collect();
            assert_eq!(deciders, [decider], "{activity}");
            assert!(routes.iter().any(|route| route.plugin.as_str() == "kind"));
        }
    }
}
