//! Parse, harden, run, end: nothing is decided here.

use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Every freed piece of memory is wiped: what passed through buffers of TLS, HTTP and JSON does not stay.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    keyferry::main()
}
