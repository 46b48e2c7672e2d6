//! Curves in characters.

/// A curve and the number of its colour in a terminal; 0 for none.
pub struct Curve<'a> {
    pub points: &'a [f64],
    pub color: u8,
}

/// Dots of a cell: Braille patterns have two columns of four, and these bits of U+2800 for them.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// Characters of the numbers at the left.
const LABEL: usize = 8;

/// Draws curves over one another in `height` lines of `width` characters, the range of the numbers
/// at the left. Numbers that are not finite leave gaps.
pub fn draw(curves: &[Curve], width: usize, height: usize) -> Vec<String> {
    let cells = width.saturating_sub(LABEL + 1).max(1);
    let (columns, rows) = (cells * 2, height.max(1) * 4);
    let numbers = || {
        curves
            .iter()
            .flat_map(|c| c.points)
            .filter(|x| x.is_finite())
    };
    let low = numbers().copied().fold(f64::INFINITY, f64::min);
    let high = numbers().copied().fold(f64::NEG_INFINITY, f64::max);
    let longest = curves.iter().map(|c| c.points.len()).max().unwrap_or(0);
    let mut grid = vec![(0_u32, 0_u8); cells * height.max(1)];
    let mut dot = |x: usize, y: usize, color: u8| {
        if let Some(cell) = grid.get_mut(y / 4 * cells + x / 2) {
            *cell = (cell.0 | DOTS[y % 4][x % 2], color);
        }
    };
    let place = |k: usize, value: f64| {
        let x = k as f64 / (longest.max(2) - 1) as f64 * (columns - 1) as f64;
        let share = if high > low {
            (high - value) / (high - low)
        } else {
            0.5
        };
        (
            x.round() as usize,
            (share * (rows - 1) as f64).round() as usize,
        )
    };
    for curve in curves {
        let mut before: Option<(usize, usize)> = None;
        for (k, &value) in curve.points.iter().enumerate() {
            if !value.is_finite() {
                before = None;
                continue;
            }
            let (x, y) = place(k, value);
            let (x0, y0) = before.unwrap_or((x, y));
            let steps = x.abs_diff(x0).max(y.abs_diff(y0)).max(1);
            for i in 0..=steps {
                let between = |a: usize, b: usize| {
                    let share = i as f64 / steps as f64;
                    (a as f64 + (b as f64 - a as f64) * share).round() as usize
                };
                dot(between(x0, x), between(y0, y), curve.color);
            }
            before = Some((x, y));
        }
    }
    let label = |row: usize| match row {
        _ if !low.is_finite() => String::new(),
        0 => short(high),
        r if r + 1 == height => short(low),
        _ => String::new(),
    };
    let line = |row: usize| {
        let mut line = format!("{:>LABEL$} ", label(row));
        let mut shown = 0;
        for &(bits, color) in &grid[row * cells..(row + 1) * cells] {
            let color = if bits == 0 { 0 } else { color };
            if color != shown {
                line.push_str(&format!("\x1b[{color}m"));
                shown = color;
            }
            line.push(char::from_u32(0x2800 + bits).unwrap_or(' '));
        }
        if shown != 0 {
            line.push_str("\x1b[0m");
        }
        line
    };
    (0..height).map(line).collect()
}

/// A number in at most [`LABEL`] characters.
fn short(x: f64) -> String {
    let text = match x.abs() {
        0.0 => "0".to_owned(),
        a if (0.001..100_000.0).contains(&a) => format!("{x:.4}"),
        _ => format!("{x:.1e}"),
    };
    text.chars().take(LABEL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_curve_goes_from_the_upper_left_to_the_lower_right() {
        let points = [4.0, 3.0, 2.0, 1.0];
        let curve = Curve {
            points: &points,
            color: 0,
        };
        let lines = draw(&[curve], LABEL + 1 + 2, 1);
        // Four columns of dots, one in each row.
        assert_eq!(lines, ["  4.0000 \u{2811}\u{2884}"]);
        let lines = draw(
            &[Curve {
                points: &points,
                color: 34,
            }],
            30,
            4,
        );
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("  4.0000 \x1b[34m") && lines[3].starts_with("  1.0000 "));
    }

    #[test]
    fn any_numbers_and_sizes_are_drawn() {
        for points in [
            &[][..],
            &[1.0],
            &[f64::NAN, 1.0, f64::INFINITY, 2.0],
            &[3.0; 5],
            &[f64::MAX, f64::MIN],
        ] {
            for (width, height) in [(0, 0), (9, 1), (40, 5)] {
                let lines = draw(&[Curve { points, color: 0 }], width, height);
                assert_eq!(lines.len(), height);
                let cells = width.saturating_sub(LABEL + 1).max(1);
                assert!(lines.iter().all(|l| l.chars().count() == LABEL + 1 + cells));
            }
        }
        assert_eq!(short(-123.456_789), "-123.456");
        assert_eq!(short(1e-9), "1.0e-9");
    }
}
