//! The `sekisho` program. Everything is in the library, so that tests and fuzzers reach it.

/// The relay allocates many small, short-lived pieces on many threads: the system's allocator is slower
/// at that, and gives less back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    sekisho::cli::main()
}
