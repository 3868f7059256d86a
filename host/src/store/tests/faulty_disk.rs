//! A disk that fails on purpose, below SQLite: the default VFS with writes and syncs of our own.
//!
//! Only files whose path has [`MARK`] in it are touched, and only those of one test at a time:
//! the VFS is the process's. It adds nothing to the file objects of the real VFS; it swaps the table
//! of their methods for a copy in which two have been replaced.

#![expect(unsafe_code, reason = "SQLite's VFS is an interface of C function pointers")]

use std::ffi::{CStr, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::ffi;

/// Databases below a directory of this name are on the faulty disk.
pub(super) const MARK: &str = "faulty-disk";

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// There is no room: nothing is written.
    Full,
    /// Half of it is written.
    Torn,
    /// Written, and nobody knows whether it will last; a write fails whole.
    Unsynced,
}

struct Plan {
    /// Operations that go well before one that does not; `None` is all.
    sound: Option<u64>,
    /// How many go wrong from then on.
    lasts: u64,
    wrong: Wrong,
    /// Operations so far.
    done: u64,
}

static PLAN: Mutex<Plan> = Mutex::new(Plan {
    sound: None,
    lasts: 0,
    wrong: Wrong::Full,
    done: 0,
});

/// Something in a write-ahead log has not been synced.
static UNSYNCED: AtomicBool = AtomicBool::new(false);

static TURN: Mutex<()> = Mutex::new(());

static REAL: OnceLock<Real> = OnceLock::new();

struct Real {
    vfs: *mut ffi::sqlite3_vfs,
    database: OnceLock<Methods>,
    log: OnceLock<Methods>,
    /// Rollback journals, which only the very first start has.
    journal: OnceLock<Methods>,
}

/// The methods of a kind of file, and ours in their stead. The real VFS has a table for each way of
/// locking, all with the same write and sync.
struct Methods {
    theirs: &'static ffi::sqlite3_io_methods,
    ours: ffi::sqlite3_io_methods,
}

// SAFETY: the VFS of SQLite is used by all threads, and never changed after it was registered.
unsafe impl Send for Real {}
// SAFETY: as above; the methods are set once.
unsafe impl Sync for Real {}

/// The faulty disk, for as long as this lives; it is sound until told otherwise.
pub(super) struct FaultyDisk(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl FaultyDisk {
    pub(super) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        REAL.get_or_init(register);
        let disk = Self(turn);
        disk.mend();
        disk
    }

    /// The operation after `sound` more goes wrong, and those after it, `lasts` in all.
    pub(super) fn fail(&self, sound: u64, lasts: u64, wrong: Wrong) {
        *plan() = Plan {
            sound: Some(sound),
            lasts,
            wrong,
            done: 0,
        };
    }

    pub(super) fn mend(&self) {
        plan().sound = None;
    }

    /// Writes and syncs since the last plan.
    pub(super) fn done(&self) -> u64 {
        plan().done
    }

    /// Whether a power cut could take something of a write-ahead log away.
    pub(super) fn is_unsynced(&self) -> bool {
        UNSYNCED.load(Ordering::SeqCst)
    }
}

fn plan() -> MutexGuard<'static, Plan> {
    PLAN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn register() -> Real {
    // SAFETY: a null name asks for the default VFS, which lives as long as the process, and so does
    // the leaked copy. The real `xOpen` finds what it needs in the copied `pAppData`.
    unsafe {
        let real = ffi::sqlite3_vfs_find(std::ptr::null());
        let mut ours = *real;
        ours.zName = c"faulty".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.xOpen = Some(open);
        assert_eq!(
            ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1),
            ffi::SQLITE_OK
        );
        Real {
            vfs: real,
            database: OnceLock::new(),
            log: OnceLock::new(),
            journal: OnceLock::new(),
        }
    }
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let Some(real) = REAL.get() else {
        return ffi::SQLITE_CANTOPEN;
    };
    // SAFETY: the arguments are SQLite's and go to the real VFS as they are. A file that was opened has
    // a table of methods that is static.
    unsafe {
        let Some(open) = (*real.vfs).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let said = open(vfs, name, file, flags, out);
        let ours = !name.is_null() && CStr::from_ptr(name).to_string_lossy().contains(MARK);
        if said == ffi::SQLITE_OK && ours && !(*file).pMethods.is_null() {
            let is_log = flags & ffi::SQLITE_OPEN_WAL != 0;
            let kind = match flags & ffi::SQLITE_OPEN_MAIN_DB {
                0 if is_log => &real.log,
                0 => &real.journal,
                _ => &real.database,
            };
            let methods = kind.get_or_init(|| {
                let theirs = &*(*file).pMethods;
                let mut ours = *theirs;
                ours.xWrite = Some(if is_log { write_log } else { write });
                ours.xSync = Some(if is_log { sync_log } else { sync });
                Methods { theirs, ours }
            });
            assert!(
                std::ptr::eq((*file).pMethods, methods.theirs),
                "one table for one kind"
            );
            (*file).pMethods = &methods.ours;
        }
        said
    }
}

/// Whether this operation goes wrong.
fn goes_wrong() -> Option<Wrong> {
    let mut plan = plan();
    plan.done += 1;
    let sound = plan.sound?;
    if sound > 0 {
        plan.sound = Some(sound - 1);
        return None;
    }
    if plan.lasts == 0 {
        plan.sound = None;
        return None;
    }
    plan.lasts -= 1;
    Some(plan.wrong)
}

fn theirs() -> Option<&'static ffi::sqlite3_io_methods> {
    Some(REAL.get()?.database.get()?.theirs)
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    let Some(write) = theirs().and_then(|methods| methods.xWrite) else {
        return ffi::SQLITE_IOERR;
    };
    // SAFETY: the arguments are SQLite's; half an amount is within the bytes.
    unsafe {
        match goes_wrong() {
            None => write(file, bytes, amount, offset),
            Some(Wrong::Full) => ffi::SQLITE_FULL,
            Some(Wrong::Torn) => {
                write(file, bytes, amount / 2, offset);
                ffi::SQLITE_IOERR_WRITE
            }
            Some(Wrong::Unsynced) => ffi::SQLITE_IOERR_WRITE,
        }
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let Some(sync) = theirs().and_then(|methods| methods.xSync) else {
        return ffi::SQLITE_IOERR;
    };
    if goes_wrong().is_some() {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    // SAFETY: the arguments are SQLite's.
    unsafe { sync(file, flags) }
}

unsafe extern "C" fn write_log(
    file: *mut ffi::sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    UNSYNCED.store(true, Ordering::SeqCst);
    // SAFETY: the arguments are SQLite's.
    unsafe { write(file, bytes, amount, offset) }
}

unsafe extern "C" fn sync_log(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the arguments are SQLite's.
    let said = unsafe { sync(file, flags) };
    if said == ffi::SQLITE_OK {
        UNSYNCED.store(false, Ordering::SeqCst);
    }
    said
}
