//! Properties as they are read, merged and told apart.

use serde_json::json;

use super::*;
use crate::job::Profile;

fn read(json: &Value) -> Result<JobChange, PropertyError> {
    JobChange::read(json.as_object().unwrap())
}

#[test]
fn b156_each_property_is_set_and_what_is_absent_stays() {
    let mut before = JobSpec::new("old", Profile::Sexton);
    before.context = "kept".to_owned();
    let change = read(&json!({
        "name": "new", "description": "d", "labels": {"a": "b"}, "hold": true, "handler": "pager",
        "notify_command": ["/bin/true"], "retry_delay_ms": 700_000, "no_progress_ms": 0,
    }));
    let after = change.unwrap().onto(&before).unwrap();
    assert_eq!((after.name.as_str(), after.description.as_str()), ("new", "d"));
    assert_eq!((after.context.as_str(), after.hold), ("kept", true));
    assert_eq!((after.labels["a"].as_str(), after.notify_command.len()), ("b", 1));
    assert_eq!(after.handler.as_ref().unwrap().as_str(), "pager");
    let delay = Duration::from_secs(700);
    assert_eq!(
        (after.retry.initial, after.retry.max),
        (delay, delay),
        "no delay is over its longest"
    );
    assert_eq!(after.no_progress, Duration::ZERO);
    let bare = read(&json!({"handler": null, "notify_command": null})).unwrap();
    let bare = bare.onto(&after).unwrap();
    assert_eq!((bare.handler, bare.notify_command.len()), (None, 0));
}

#[test]
fn b47_a_word_that_is_no_priority_is_not_implemented() {
    let error = read(&json!({"priority": "urgent"})).unwrap_err();
    assert_eq!(error.code, Code::NOTIMPL);
    assert!(
        error.message.contains("`foreground` `high` `normal` `low`"),
        "{}",
        error.message
    );
    assert_eq!(read(&json!({"name": 5})).unwrap_err().code, Code::INVALIDARG);
}

#[test]
fn d11_what_is_unknown_and_what_is_only_told_are_told_apart() {
    let unknown = read(&json!({"prio": "high"})).unwrap_err();
    assert_eq!(unknown.code, Code::UNKNOWN_PROPERTY_ID);
    let refused = read(&json!({"on_demand": true})).unwrap_err();
    assert_eq!(refused.code, Code::NOTIMPL);
    assert!(refused.message.contains("B-127"), "{}", refused.message);
    for name in ["id", "owner", "state", "kind", "created"] {
        let error = read(&json!({name: "x"})).unwrap_err();
        assert_eq!(error.code, Code::READ_ONLY_PROPERTY, "{name}");
    }
    let deep = read(&json!({"transfer": {"http": {"no_such": 1}}})).unwrap();
    let error = deep.onto(&JobSpec::new("x", Profile::Sexton)).unwrap_err();
    assert_eq!(error.code, Code::UNKNOWN_PROPERTY_ID, "{}", error.message);
    assert!(error.message.contains("no_such"), "{}", error.message);
}

#[test]
fn b50_what_is_taken_over_is_changed_until_the_job_is_transferred() {
    use crate::job::{Command, JobState, Preserve, apply, law_tests};
    let change = read(&json!({"transfer": {"placing": {"preserve": ["mode", "group"]}}})).unwrap();
    let command = Command::Change(Box::new(change));
    for state in JobState::ALL.iter().copied().filter(|state| !state.is_final()) {
        let job = law_tests::job(state);
        let changed = apply(&job, &command);
        if state == JobState::Transferred {
            assert_eq!(changed.unwrap_err().code, Code(0x8020_0002));
        } else {
            let spec = changed.unwrap().spec.unwrap();
            let wanted = [Preserve::Mode, Preserve::Group];
            assert_eq!(spec.transfer().placing.preserve, wanted, "{state}");
        }
    }
}

#[test]
fn b51_what_shapes_the_transfer_is_told_from_the_rest() {
    let before = TransferSpec::DEFAULT;
    let told = |patch: Value| {
        let after = merged(&before, patch.as_object().unwrap()).unwrap();
        assert_ne!(after, before, "{patch}");
        fixed_after_resume(&before, &after)
    };
    assert_eq!(told(json!({"limits": {"rate": 2}})), None);
    assert_eq!(told(json!({"http": {"https_to_http": true}})), None);
    assert_eq!(told(json!({"http": {"method": "POST"}})), Some("http/method"));
    assert_eq!(told(json!({"http": {"dynamic": true}})), Some("http/dynamic"));
    assert_eq!(
        told(json!({"limits": {"max_bytes": 1}})),
        Some("limits/max_bytes")
    );
}

#[test]
fn b15_secrets_do_not_go_with_a_job() {
    let mut spec = JobSpec::new("x", Profile::Sexton);
    spec.notify_command = vec!["/bin/mail".to_owned()];
    let trusted = json!({
        "http": {
            "headers": [{"name": "X-Key", "value": "secret-header"}],
            "credentials": [
                {"target": "server", "scheme": "basic", "user": "me", "password": "env:SECRET_REFERENCE"}
            ],
            "tls": {"certificate": "/secret.pem", "key": "/secret.key", "ignore_name": true},
        },
        "limits": {"rate": 1},
    });
    let transfer = merged(&TransferSpec::DEFAULT, trusted.as_object().unwrap()).unwrap();
    spec.transfer = Some(Box::new(transfer));
    let left = without_trust(&spec);
    assert!(left.notify_command.is_empty());
    let shown = serde_json::to_string(&left).unwrap().to_lowercase();
    assert!(!shown.contains("secret"), "{shown}");
    let kept = left.transfer();
    assert!(
        kept.http.tls.ignore_name && kept.limits.rate.is_some(),
        "the rest stays"
    );
}

#[test]
fn a_merge_goes_field_by_field_and_null_is_the_default() {
    let mut json = json!({"http": {"a": 1, "b": {"c": 2}}, "limits": {"d": 3}});
    let patch = json!({"http": {"a": null, "b": {"e": 4}}, "upload": {"f": 5}});
    merge(&mut json, patch.as_object().unwrap());
    assert_eq!(
        json,
        json!({"http": {"b": {"c": 2, "e": 4}}, "limits": {"d": 3}, "upload": {"f": 5}})
    );
}

#[test]
fn b98_flags_are_read_by_their_names_and_null_is_as_subscribed() {
    let told = read(&json!({"notify": ["job-error"], "notify_interval_ms": 0})).unwrap();
    let flags = told.onto(&JobSpec::new("x", Profile::Sexton)).unwrap();
    assert_eq!(flags.notify, Some([NotifyFlag::JobError].into()));
    assert_eq!(flags.notify_interval, Duration::ZERO);
    let plain = read(&json!({"notify": null})).unwrap();
    assert_eq!(plain.onto(&flags).unwrap().notify, None);
    let unknown = read(&json!({"notify": ["whatever"]})).unwrap_err();
    assert_eq!(unknown.code, Code::NOTIMPL, "{}", unknown.message);
    for change in [told, plain] {
        let again = serde_json::to_value(&change).unwrap();
        assert_eq!(serde_json::from_value::<JobChange>(again).unwrap(), change);
    }
}
