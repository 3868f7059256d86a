//! Syncs of directories, shared: whoever has renamed into a directory waits for a sync that began after
//! that, and one sync serves all who wait for it. Everything here blocks.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

/// Directories that somebody waits for.
static SYNCS: LazyLock<Mutex<HashMap<PathBuf, Arc<Turns>>>> = LazyLock::new(Mutex::default);

/// The syncs of one directory, by number.
#[derive(Default)]
struct Turns {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// The last sync that began, and the last that ended; the two differ while one is under way.
    begun: u64,
    ended: u64,
    /// The system's number of the error of syncs that failed.
    failed: HashMap<u64, Option<i32>>,
    waiting: usize,
}

/// Makes durable what was renamed into `directory`.
///
/// # Errors
/// The system's.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    sync_with(directory, |directory| {
        File::open(directory).and_then(|open| open.sync_all())
    })
}

fn sync_with(directory: &Path, sync: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let turns = Arc::clone(lock(&SYNCS).entry(directory.to_path_buf()).or_default());
    let done = turns.wait(directory, sync);
    let mut syncs = lock(&SYNCS);
    drop(turns);
    if syncs
        .get(directory)
        .is_some_and(|known| Arc::strong_count(known) == 1)
    {
        // Nobody else waits.
        syncs.remove(directory);
    }
    done
}

impl Turns {
    fn wait(&self, directory: &Path, sync: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let mut state = lock(&self.state);
        // One that is under way may have looked at the directory before the rename.
        let mine = state.begun + 1;
        state.waiting += 1;
        while state.ended < mine && state.begun != state.ended {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.ended < mine {
            state.begun = mine;
            drop(state);
            let done = sync(directory);
            state = lock(&self.state);
            state.ended = mine;
            if let Err(why) = &done {
                state.failed.insert(mine, why.raw_os_error());
            }
            self.ended.notify_all();
        }
        state.waiting -= 1;
        let failed = state.failed.get(&mine).copied();
        if state.waiting == 0 {
            state.failed.clear();
        }
        match failed {
            None => Ok(()),
            Some(Some(number)) => Err(io::Error::from_raw_os_error(number)),
            Some(None) => Err(io::ErrorKind::Other.into()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn a_sync_that_is_under_way_serves_nobody_who_comes_later_and_the_next_one_all_of_them() {
        let directory = Path::new("/shared");
        let syncs = Arc::new(Mutex::new(0));
        let (begun, has_begun) = channel();
        let (go, may_go) = channel::<()>();
        let count = Arc::clone(&syncs);
        let first = thread::spawn(move || {
            sync_with(directory, |_| {
                *lock(&count) += 1;
                begun.send(()).unwrap();
                may_go.recv().unwrap();
                Ok(())
            })
        });
        has_begun.recv().unwrap();
        let later: Vec<_> = (0..8)
            .map(|_| {
                let count = Arc::clone(&syncs);
                thread::spawn(move || {
                    sync_with(directory, |_| {
                        *lock(&count) += 1;
                        Err(io::Error::from_raw_os_error(libc::EIO))
                    })
                })
            })
            .collect();
        let turns = Arc::clone(lock(&SYNCS).get(directory).unwrap());
        while lock(&turns.state).waiting < 9 {
            thread::yield_now();
        }
        drop(turns);
        assert_eq!(*lock(&syncs), 1, "they wait");
        go.send(()).unwrap();
        first.join().unwrap().unwrap();
        for one in later {
            let failed = one.join().unwrap().unwrap_err();
            assert_eq!(failed.raw_os_error(), Some(libc::EIO), "each is told");
        }
        assert_eq!(*lock(&syncs), 2, "one for all who came later");
        assert!(lock(&SYNCS).get(directory).is_none(), "nothing is kept");
    }
}
