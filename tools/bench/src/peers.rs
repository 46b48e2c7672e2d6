//! Other tools, run by the comparison programs beside the workspace.

use std::path::Path;
use std::process::Command;

use crate::error::BenchError;
use crate::options::Options;
use crate::process::Session;
use crate::workloads::Workload;

/// The peers that run.py knows.
pub const NAMES: [&str; 11] = [
    "c",
    "numpy",
    "jax",
    "torch",
    "torchc",
    "jaxeager",
    "enzymejax",
    "enzymecpp",
    "autograd",
    "casadi",
    "tinygrad",
];

/// Runs run.py, which measures everything at once, in turns.
const DRIVER: &str = include_str!("driver.py");

/// Starts a peer on the inputs in a folder.
pub fn start(
    peer: &str,
    workload: &Workload,
    data: &Path,
    options: &Options,
) -> Result<Session, BenchError> {
    let mut command = python(options);
    command.arg("-c").arg(DRIVER).arg(options.peers_dir());
    command.args([workload.name, peer, &options.threads.to_string()]);
    command.env("PEERS_DATA", data);
    Session::start(peer, command)
}

/// Writes the peers' own inputs of a workload into a folder.
pub fn dump(workload: &Workload, into: &Path, options: &Options) -> Result<(), BenchError> {
    let mut command = python(options);
    command.arg(options.peers_dir().join("dump.py"));
    command
        .arg(into)
        .arg(workload.name)
        .env_remove("PEERS_DATA");
    let failed = |message: String| BenchError::process("dump.py", message);
    let output = command.output().map_err(|e| failed(e.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(failed(text.lines().last().unwrap_or_default().to_owned()))
        }
    }
}

/// What every process that is measured has in its environment.
pub fn environment(command: &mut Command, options: &Options) {
    if options.huge_pages {
        command.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
    }
}

fn python(options: &Options) -> Command {
    let mut command = Command::new(&options.python);
    // The peers' folder stays as it is.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    environment(&mut command, options);
    command
}
