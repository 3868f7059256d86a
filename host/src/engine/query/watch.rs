//! What is new since a query was last asked (W-25).

use std::collections::BTreeSet;

use super::provider::QueryFault;
use crate::job::{Code, ObjectBatch, ObjectChange, Value};
use crate::store::{WatchChange, Watched};

/// As for batches of a query that is asked once.
const BATCH_ROWS: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;

/// A batch of news, and what is remembered with it.
pub(super) struct News {
    pub(super) batch: ObjectBatch,
    pub(super) watch: WatchChange,
    bytes: usize,
}

/// Compares what was found with what was found last.
pub(super) struct Comparison<'a> {
    before: &'a Watched,
    columns: Vec<String>,
    /// Where the columns of the key are; none is all.
    key: Vec<usize>,
    seen: BTreeSet<String>,
    news: Vec<News>,
    run: u32,
}

impl<'a> Comparison<'a> {
    /// # Errors
    /// A column of the key is not among those found.
    pub(super) fn new(
        before: &'a Watched,
        columns: Vec<String>,
        by: &[String],
        run: u32,
    ) -> Result<Self, QueryFault> {
        let place = |name: &String| {
            columns.iter().position(|column| column == name).ok_or_else(|| {
                let why =
                    format!("the watch tells objects apart by `{name}`, and the answer has no such column");
                QueryFault::new(Code::WBEM_INVALID_PARAMETER, why)
            })
        };
        let key = by.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self {
            before,
            columns,
            key,
            seen: BTreeSet::new(),
            news: Vec::new(),
            run,
        })
    }

    /// One object as it is now. Of those that are alike in their key the first counts.
    pub(super) fn now(&mut self, row: Vec<Value>) {
        let text = written(&row);
        let key = if self.key.is_empty() {
            text.clone()
        } else {
            let of_key: Vec<_> = self
                .key
                .iter()
                .filter_map(|index| row.get(*index))
                .cloned()
                .collect();
            written(&of_key)
        };
        if !self.seen.insert(key.clone()) {
            return;
        }
        let change = match self.before.rows.get(&key) {
            None => ObjectChange::Appeared,
            Some(before) if *before == text && self.before.columns == self.columns => return,
            Some(_) => ObjectChange::Changed,
        };
        let columns = self.columns.clone();
        let news = self.piece(change, columns, text.len());
        news.batch.rows.push(row);
        news.watch.rows.push((key, text));
    }

    /// How many objects there are now.
    pub(super) fn count(&self) -> usize {
        self.seen.len()
    }

    /// All news: of those that are gone, too.
    pub(super) fn end(mut self) -> Vec<News> {
        let before = self.before;
        let gone: Vec<_> = before
            .rows
            .iter()
            .filter(|(key, _)| !self.seen.contains(*key))
            .collect();
        for (key, text) in gone {
            // What was kept was made of rows; if it cannot be read, that it is gone is all there is to say.
            let row: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
            let news = self.piece(ObjectChange::Disappeared, before.columns.clone(), text.len());
            news.batch.rows.push(row);
            news.watch.gone.push(key.clone());
        }
        self.news
    }

    /// The batch that takes one more object of a kind.
    fn piece(&mut self, change: ObjectChange, columns: Vec<String>, bytes: usize) -> &mut News {
        let fits = |news: &News| {
            news.batch.change == change
                && news.batch.rows.len() < BATCH_ROWS
                && news.bytes + bytes <= BATCH_BYTES
        };
        let found = self.news.iter().rposition(fits);
        let place = found.unwrap_or_else(|| {
            self.news.push(News {
                batch: ObjectBatch {
                    run: self.run,
                    index: 0,
                    change,
                    columns,
                    rows: Vec::new(),
                },
                watch: WatchChange {
                    columns: self.columns.clone(),
                    ..WatchChange::default()
                },
                bytes: 0,
            });
            self.news.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found or just pushed")]
        let news = &mut self.news[place];
        news.bytes += bytes;
        news
    }
}

fn written(values: &[Value]) -> String {
    // Plain data: writing it cannot fail.
    serde_json::to_string(values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, state: &str) -> Vec<Value> {
        vec![Value::Integer(id), Value::Text(state.to_owned())]
    }

    fn columns() -> Vec<String> {
        vec!["id".to_owned(), "state".to_owned()]
    }

    /// What a run tells, and what is remembered after it.
    fn run(before: &Watched, rows: Vec<Vec<Value>>, by: &[&str]) -> (Vec<(ObjectChange, usize)>, Watched) {
        let by: Vec<String> = by.iter().map(|&name| name.to_owned()).collect();
        let mut comparison = Comparison::new(before, columns(), &by, 1).unwrap();
        rows.into_iter().for_each(|row| comparison.now(row));
        let mut after = before.clone();
        let mut told = Vec::new();
        for news in comparison.end() {
            told.push((news.batch.change, news.batch.rows.len()));
            after.columns = news.watch.columns;
            after.rows.extend(news.watch.rows);
            news.watch
                .gone
                .iter()
                .for_each(|key| drop(after.rows.remove(key)));
        }
        (told, after)
    }

    #[test]
    fn w25_only_what_appeared_changed_or_disappeared_is_told() {
        use ObjectChange::{Appeared, Changed, Disappeared};
        let (told, first) = run(&Watched::default(), vec![row(1, "new"), row(2, "new")], &["id"]);
        assert_eq!(told, [(Appeared, 2)]);
        let (told, same) = run(&first, vec![row(1, "new"), row(2, "new")], &["id"]);
        assert_eq!(told, []);
        let (told, second) = run(&same, vec![row(2, "stuck"), row(3, "new")], &["id"]);
        assert_eq!(told, [(Changed, 1), (Appeared, 1), (Disappeared, 1)]);
        assert_eq!(second.rows.len(), 2);
        // Without a key the whole row is one: another value is another object.
        let (_, whole) = run(&Watched::default(), vec![row(1, "new")], &[]);
        let (told, _) = run(&whole, vec![row(1, "stuck")], &[]);
        assert_eq!(told, [(Appeared, 1), (Disappeared, 1)]);
    }

    #[test]
    fn a_key_that_the_answer_lacks_is_refused_by_name() {
        let before = Watched::default();
        let refused = Comparison::new(&before, columns(), &["nr".to_owned()], 1);
        let Err(fault) = refused else { panic!("taken") };
        assert_eq!(fault.code, Code::WBEM_INVALID_PARAMETER);
        assert!(fault.description.contains("`nr`"));
    }
}
