//! The epoch ticker: what makes a looping guest yield to its neighbours. One thread for the one
//! engine (HW-09), asleep whenever no guest runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// At 1 ms four looping guests leave a neighbour 88 % of its calls; at 10 ms 20 % (HB-23).
const TICK: Duration = Duration::from_millis(1);
/// Ticks without a running guest before the thread parks: an idle host is not woken (P8), a busy
/// one does not park between two calls.
const LINGER: u32 = 20;

#[derive(Debug, Default)]
struct Shared {
    running: AtomicUsize,
    parked: AtomicBool,
    stopped: AtomicBool,
}

/// Ticks while a guest runs.
#[derive(Debug)]
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

/// A guest runs while this lives.
#[derive(Debug)]
pub(super) struct Running(Arc<Shared>);

impl Ticker {
    /// Starts the thread; it ends when this is dropped.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (weak, seen) = (engine.weak(), Arc::clone(&shared));
        let handle = std::thread::Builder::new()
            .name("guest-ticker".to_owned())
            .spawn(move || tick(&weak, &seen))?;
        let thread = handle.thread().clone();
        Ok(Self { shared, thread })
    }

    /// Says that a guest starts to run.
    pub(super) fn running(&self) -> Running {
        // The order matters: the thread first says that it parks and then looks at the count, so
        // one of the two always sees the other.
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(Arc::clone(&self.shared))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

fn tick(engine: &EngineWeak, shared: &Shared) {
    let mut idle = 0;
    while !shared.stopped.load(Ordering::SeqCst) {
        if shared.running.load(Ordering::SeqCst) > 0 {
            idle = 0;
        } else {
            idle += 1;
        }
        if idle > LINGER {
            shared.parked.store(true, Ordering::SeqCst);
            if shared.running.load(Ordering::SeqCst) == 0 && !shared.stopped.load(Ordering::SeqCst) {
                std::thread::park();
            }
            shared.parked.store(false, Ordering::SeqCst);
            continue;
        }
        std::thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}
