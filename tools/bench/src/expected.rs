//! Reference results, each for exactly the inputs with its fingerprint: the comparison programs' own
//! inputs (`peers`), those that this program makes (`made`), and those at the odd size (`odd`). They
//! were computed by a hand-derived gradient in NumPy or C where there is one, otherwise by JAX.

use crate::check::Digest;

/// The recorded results of a workload for inputs of a fingerprint. W11 and W11h have the same inputs.
pub fn find(workload: &str, fingerprint: &str) -> Option<Digest> {
    records().find_map(|[own, name, _, _, value, norm, probe]| {
        let number = |text: &str| text.parse::<f64>().ok();
        ((own, name) == (fingerprint, workload)).then_some(Digest {
            value: number(value)?,
            norm: number(norm)?,
            probe: number(probe)?,
        })
    })
}

/// Fingerprint, workload, inputs, reference, value, norm of the gradient, probe of the gradient.
fn records() -> impl Iterator<Item = [&'static str; 7]> {
    let lines = include_str!("expected.csv").lines().skip(1);
    lines.filter_map(|line| line.split(',').collect::<Vec<_>>().try_into().ok())
}

#[cfg(test)]
mod tests {
    use super::{find, records};
    use crate::workloads::{ALL, Scale};

    #[test]
    fn records_are_readable_and_do_not_contradict() {
        let all: Vec<[&str; 7]> = records().collect();
        let lines = include_str!("expected.csv").lines().count();
        assert_eq!(all.len() + 1, lines);
        for (i, record) in all.iter().enumerate() {
            // The inputs of W9d are no random numbers: both kinds are the same.
            let agrees = |r: &[&str; 7]| r[..2] != record[..2] || r[4..] == record[4..];
            assert!(all.iter().skip(i + 1).all(agrees), "{record:?}");
            let found = find(record[1], record[0]);
            let norm = record[5].parse::<f64>().unwrap();
            assert_eq!(found.map(|d| d.norm), Some(norm), "{record:?}");
        }
        assert_eq!(find("W1", "0"), None);
    }

    /// Every workload has a reference at every size. Inputs that take long to make are left to the
    /// table's own lines.
    #[test]
    fn inputs_that_the_program_makes_have_a_reference() {
        for workload in ALL {
            for (scale, label) in [(Scale::Usual, "made"), (Scale::Odd, "odd")] {
                let listed = records().find(|r| r[1] == workload.name && r[2] == label);
                let listed = listed.unwrap_or_else(|| panic!("{} {label}", workload.name));
                if ["W1b", "W10"].contains(&workload.name) {
                    continue;
                }
                let fingerprint = workload.inputs(scale).unwrap().fingerprint();
                assert_eq!(
                    listed[0],
                    format!("{fingerprint:016x}"),
                    "{}",
                    workload.name
                );
            }
            assert!(records().any(|r| r[1] == workload.name && r[2] == "peers"));
        }
    }
}
