//! Answers `numbers N` with N rows in pages of 100; anything else is no query.

use sexton_sdk::{CallInfo, Page, Provider, Query, QueryFailure, Value};

const PAGE: u64 = 100;

struct Tables;

impl Provider for Tables {
    fn fetch(_: &CallInfo, ask: &Query) -> Result<Page, QueryFailure> {
        let Some(total) = ask
            .text
            .strip_prefix("numbers ")
            .and_then(|text| text.parse::<u64>().ok())
        else {
            return Err(QueryFailure::invalid(
                format!("`{}` is no query", ask.text),
                Some(0),
            ));
        };
        let total = total.min(ask.limit.unwrap_or(u64::MAX));
        let begin = ask
            .cursor
            .as_ref()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let end = total.min(begin + PAGE);
        let row = |number: u64| {
            vec![
                Value::Integer(number.cast_signed()),
                Value::Text(format!("row {number}")),
            ]
        };
        Ok(Page {
            columns: vec!["number".into(), "text".into()],
            rows: (begin..end).map(row).collect(),
            next: (end < total).then(|| end.to_string()),
            total: Some(total),
        })
    }
}

sexton_sdk::export!(Tables: Provider);
