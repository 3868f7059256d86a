//! A good component that exports nothing a host of ours could call.
