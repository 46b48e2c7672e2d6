//! Sizes of memory on the command line.

/// Bytes, written as a whole number alone or with a unit: `4096`, `64KiB`, `1.5GiB`, `200MB`.
pub fn parse(text: &str) -> Result<usize, String> {
    let expected = || format!("expected bytes such as 4096, 64KiB, 16MiB or 1GiB, found `{text}`");
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(end);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return Err(expected()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        let bytes = whole
            .checked_mul(factor)
            .and_then(|n| usize::try_from(n).ok());
        return bytes.ok_or_else(|| format!("`{text}` is more than memory can be"));
    }
    match number.parse::<f64>() {
        Ok(x) if x.is_finite() && factor > 1 => Ok((x * factor as f64) as usize),
        _ => Err(expected()),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_units() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64KiB"), Ok(65_536));
        assert_eq!(parse("1.5 gib"), Ok(3 << 29));
        assert_eq!(parse("2MB"), Ok(2_000_000));
        for wrong in [
            "",
            "much",
            "1.5",
            "-1",
            "3 parsecs",
            "1e3",
            "99999999999TiB",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
