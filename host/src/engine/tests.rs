//! The scheduler on a real store and a simulated clock, with a runner that works by script.

mod after;
mod faults;
mod holds;
mod intents;
mod lanes;
mod runs;
mod scene;
mod slots;
mod turns;
