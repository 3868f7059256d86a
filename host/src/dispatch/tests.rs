//! Dispatch on a real store and a simulated clock, with handlers that answer by script.

mod calls;
mod command;
mod fail_fast;
mod faults;
mod ladders;
mod policies;
mod scene;
mod scripted;
