//! Moods that end badly: what a sandbox has to stop.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sexton_sdk::{Result, log};

/// Does what `mood` says, if it is one of these.
pub(crate) fn act(mood: &str) -> Option<Result> {
    match mood {
        "panic" => panic!("moody panics"),
        "loop" => spin(),
        "sleep" => std::thread::sleep(Duration::from_secs(3_600)),
        "alloc" => allocate(),
        "overflow" => log::info!("came back with {}", dive(1)),
        "overflow-memory" => log::info!("came back with {}", dive_with_luggage(1)),
        "wild" => write_out_of_bounds(),
        "exit0" => std::process::exit(0),
        "exit1" => std::process::exit(1),
        _ => return None,
    }
    Some(Ok(()))
}

/// Never returns and never calls the host.
fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// Allocates, and touches what it got, until someone says no.
fn allocate() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Recurses with nothing but locals until the native stack ends. Rotation keeps the compiler from
/// making it a loop.
fn dive(depth: u32) -> u32 {
    static FLOOR: AtomicU32 = AtomicU32::new(0);
    if FLOOR.load(Ordering::Relaxed) == depth {
        return depth;
    }
    dive(depth.wrapping_add(1)).rotate_left(depth) ^ FLOOR.load(Ordering::Relaxed)
}

/// Recurses with a kilobyte in each frame: the stack in linear memory ends first.
fn dive_with_luggage(depth: u32) -> u32 {
    let luggage = black_box([depth; 256]);
    if luggage.contains(&0) {
        return depth;
    }
    dive_with_luggage(depth.wrapping_add(1)).rotate_left(depth) ^ luggage.iter().fold(0, |sum, one| sum ^ one)
}

/// Writes past the end of its memory.
#[expect(unsafe_code, reason = "the wild pointer is the point")]
fn write_out_of_bounds() {
    // SAFETY: none; the sandbox has to catch it.
    unsafe { core::ptr::write_volatile(black_box(0xFFFF_FFF0_usize) as *mut u8, 1) }
}
