//! The program: parse, dispatch, print the error chain, choose the exit code.

fn main() -> std::process::ExitCode {
    pix2pix_engine::cli::main()
}
