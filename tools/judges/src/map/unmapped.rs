//! Operators that have no mapping, and why.

/// Beginnings of names, the first that fits counts.
const REASONS: &[(&str, &str)] = &[
    ("unique", "the shape of the result depends on values"),
    ("special.airy", "needs Airy functions"),
    ("igamma", "needs the incomplete gamma function"),
    ("special.zeta", "needs the zeta function"),
    ("bernoulli", RANDOM),
    ("multinomial", RANDOM),
    ("normal", RANDOM),
    ("rand", RANDOM),
    ("uniform", RANDOM),
    ("exponential", RANDOM),
    ("geometric", RANDOM),
    ("log_normal", RANDOM),
    ("cauchy", RANDOM),
    ("nn.functional.gumbel", RANDOM),
    ("polar", COMPLEX),
    ("complex", COMPLEX),
    ("view_as_complex", COMPLEX),
    ("view_as_real", COMPLEX),
    ("imag", COMPLEX),
];

const RANDOM: &str = "the result depends on random numbers of PyTorch's own generator";
const COMPLEX: &str = "needs complex numbers";

/// Why an operator has no mapping.
pub fn reason(op: &str) -> String {
    REASONS
        .iter()
        .find(|(start, _)| op.starts_with(start))
        .map_or_else(
            || "nobody has written it yet".to_owned(),
            |(_, why)| (*why).to_owned(),
        )
}
