//! Which part of a value a type refuses. Serde says what is wrong but not where: so parts are left out
//! until it says something else.

use serde_json::Value;

/// The keys and positions that lead to the innermost part without which `refusal` is another.
pub(super) fn find(value: &Value, refusal: &dyn Fn(&Value) -> Option<String>) -> Vec<String> {
    let Some(first) = refusal(value) else {
        return Vec::new();
    };
    let mut path = Vec::new();
    loop {
        let steps = at(value, &path).map(steps).unwrap_or_default();
        let guilty = steps.into_iter().find(|step| {
            let mut without = value.clone();
            remove(&mut without, &path, step);
            refusal(&without).as_ref() != Some(&first)
        });
        match guilty {
            Some(step) => path.push(step),
            None => return path,
        }
    }
}

fn steps(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(items) => (0..items.len()).map(|index| index.to_string()).collect(),
        _ => Vec::new(),
    }
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

fn remove(value: &mut Value, path: &[String], step: &str) {
    let parent = path.iter().try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.get_mut(step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    });
    match parent {
        Some(Value::Object(fields)) => drop(fields.remove(step)),
        Some(Value::Array(items)) => {
            if let Some(index) = step.parse::<usize>().ok().filter(|index| *index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}
