//! The command line.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::peers;
use crate::workloads::ALL;

/// Measures derivatives of fixed workloads, checks them, and compares them with other tools.
///
/// Inputs are the comparison programs' own numbers where those are found (../shared/peers beside the
/// workspace), otherwise numbers of the same sizes made by this program. Exit status: 0, 1 (something
/// failed or gave wrong results) or 2 (usage).
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
pub struct Options {
    /// What to run; everything where nothing is named
    #[arg(value_name = "WORKLOAD", value_parser = PossibleValuesParser::new(ALL.iter().map(|w| w.name)))]
    pub workloads: Vec<String>,

    /// Tools to compare with; those that are not installed are left out
    #[arg(long, value_name = "PEER,...", value_delimiter = ',', value_parser = PossibleValuesParser::new(peers::NAMES))]
    pub peers: Vec<String>,

    /// Cores for every process that is measured
    #[arg(long, value_name = "N", default_value = "1")]
    pub threads: NonZeroUsize,

    /// One JSON object a line instead of a table
    #[arg(long)]
    pub json: bool,

    /// The table in Markdown, with fewer columns
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,

    /// Every workload at a second size, too, which is a little off
    #[arg(long)]
    pub odd: bool,

    /// Where WORKLOAD.npz files are, as the comparison programs write them [default: $PEERS_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Where the comparison programs are [default: ../shared/peers beside the workspace]
    #[arg(long, value_name = "DIR")]
    pub peers_dir: Option<PathBuf>,

    /// The Python that runs the comparison programs
    #[arg(long, value_name = "FILE", default_value = "python3")]
    pub python: PathBuf,

    /// How long each process is measured, over all rounds
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    pub seconds: f64,

    /// In how many turns
    #[arg(long, value_name = "N", default_value = "9")]
    pub rounds: NonZeroUsize,

    /// Print the plan of each derivative with the time that each step takes, and compare nothing
    #[arg(long, conflicts_with_all = ["peers", "json", "markdown"])]
    pub steps: bool,

    /// Count the instructions of a call under valgrind and compare them with those that are kept; BLESS=1 keeps
    /// the new ones
    #[arg(long, conflicts_with_all = ["peers", "json", "markdown", "steps"])]
    pub instructions: bool,

    /// Let malloc ask for huge pages in every process (glibc alone)
    #[arg(long)]
    pub huge_pages: bool,
}

impl Options {
    /// Where the comparison programs are, or would be.
    pub fn peers_dir(&self) -> PathBuf {
        match &self.peers_dir {
            Some(folder) => folder.clone(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/peers"),
        }
    }

    /// The user's folder of inputs.
    pub fn data(&self) -> Option<PathBuf> {
        let variable = || std::env::var_os("PEERS_DATA").map(PathBuf::from);
        self.data.clone().or_else(variable)
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds from 0 to 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Options;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
        let o = Options::parse_from(["bench", "W9a", "W1", "--peers", "c,numpy", "--json"]);
        assert_eq!(o.workloads, ["W9a", "W1"]);
        assert_eq!(o.peers, ["c", "numpy"]);
        assert_eq!(o.threads.get(), 1);
        for wrong in ["W99", "--peers=abacus", "--threads=0", "--seconds=-1"] {
            assert!(
                Options::try_parse_from(["bench", wrong]).is_err(),
                "{wrong}"
            );
        }
    }
}
