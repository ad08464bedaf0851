//! The `wgrad` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    wgrad_cli::main()
}
