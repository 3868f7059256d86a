//! What a query is and what went wrong with it, as people read it: in both shapes of its error, with a mark
//! under the place in its text.

use unicode_width::UnicodeWidthStr;

use super::error::CliError;
use super::output::Output;
use super::text::clean;
use crate::api::view::{ExtendedStatus, QuerySpec};

/// Characters of one line of a query that are shown around the mark.
const AROUND: usize = 60;

/// What is asked, of whom, and how often.
pub(super) fn fields(query: &QuerySpec) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("provider", query.provider.to_string()),
        ("query", query.text.clone()),
    ];
    if let Some(every) = query.every {
        let by = match query.by.as_slice() {
            [] => String::new(),
            by => format!(", told apart by {}", by.join(", ")),
        };
        fields.push((
            "asked every",
            format!("{}{by}", humantime::format_duration(every)),
        ));
    }
    if let Some(limit) = query.limit {
        fields.push(("at most", format!("{limit} objects")));
    }
    fields
}

/// The members of the error object that only queries have (W-41, W-45).
pub(super) fn error_fields(status: &ExtendedStatus) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("operation", status.operation.clone()),
        ("provider", status.provider_name.clone()),
    ];
    if let Some(provider) = &status.provider {
        fields.push((
            "its code",
            format!("{} ({})", provider.error_code, provider.severity),
        ));
        let place = if provider.line == 0 {
            String::new()
        } else {
            format!("{}:{}", provider.file, provider.line)
        };
        for (label, text) in [
            ("its cause", &provider.cause_info),
            ("about", &provider.object_info),
            ("its place", &place),
            ("it says", &provider.backend_message),
        ] {
            if !text.is_empty() {
                fields.push((label, text.clone()));
            }
        }
    }
    fields
}

/// The query's text with a mark under the place of the error.
pub(super) fn place(status: &ExtendedStatus, output: &mut Output<'_>) -> Result<(), CliError> {
    let Some(position) = status.position else {
        return Ok(());
    };
    for line in marked(
        &status.parameter_info,
        usize::try_from(position).unwrap_or(usize::MAX),
    ) {
        output.line(line)?;
    }
    Ok(())
}

fn marked(text: &str, position: usize) -> [String; 2] {
    let mut left = position;
    let (mut number, mut line) = (1, "");
    for (index, one) in text.split('\n').enumerate() {
        (number, line) = (index + 1, one);
        let length = one.chars().count();
        if left <= length {
            break;
        }
        left -= length + 1;
    }
    let from = left.saturating_sub(AROUND);
    let before: String = line.chars().skip(from).take(left - from).collect();
    let behind: String = line.chars().skip(left).take(AROUND).collect();
    let head = format!(
        "line {number}: {}{}",
        if from > 0 { "…" } else { "" },
        clean(&before)
    );
    let mark = format!("{}^", " ".repeat(head.width()));
    [format!("{head}{}", clean(&behind)), mark]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_under_the_place_whatever_is_before_it() {
        let [line, mark] = marked("Select * From ?????", 14);
        assert_eq!(line, "line 1: Select * From ?????");
        assert_eq!(mark.find('^'), line.find("?????"));
        let [line, mark] = marked("SELECT 'é日'\nFROM  t\nWHERE x", 18);
        assert_eq!(line, "line 2: FROM  t");
        assert_eq!(mark.find('^'), line.find('t'));
        let long = format!("{}!", "x".repeat(500));
        let [line, mark] = marked(&long, 500);
        assert!(line.ends_with("x!") && line.width() < 100);
        assert_eq!(mark.width(), line.width());
    }
}
