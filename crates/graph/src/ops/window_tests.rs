//! Tests of the windowed operations.

use cotangent_array::{Array, DType};

use super::*;
use crate::ops::checks::{
    NASTY, apply, check_batch, check_linear, error, fails, infer, nasty_types, numbers, tensor,
};
use crate::ops::tangents::{check_after_error, check_derivatives, random, tangent};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// Attributes of one axis and its size.
#[derive(Clone, Copy, Debug)]
struct Line {
    size: usize,
    window: usize,
    stride: usize,
    padding: (usize, usize),
    dilation: usize,
}

const PLAIN: Line = Line {
    size: 5,
    window: 2,
    stride: 1,
    padding: (0, 0),
    dilation: 1,
};

fn max(lines: &[Line]) -> WindowMax {
    WindowMax {
        window: lines.iter().map(|l| l.window).collect(),
        stride: lines.iter().map(|l| l.stride).collect(),
        padding: lines.iter().map(|l| l.padding).collect(),
        dilation: lines.iter().map(|l| l.dilation).collect(),
    }
}

fn argmax(lines: &[Line]) -> WindowArgMax {
    max(lines).places()
}

fn sum(lines: &[Line]) -> WindowSum {
    let WindowMax {
        window,
        stride,
        padding,
        dilation,
    } = max(lines);
    WindowSum {
        window,
        stride,
        padding,
        dilation,
    }
}

/// The positions that each window of an axis covers.
fn covers(line: Line) -> Vec<Vec<usize>> {
    let padded = line.size + line.padding.0 + line.padding.1;
    let extent = (line.window - 1) * line.dilation + 1;
    (0..=padded - extent)
        .step_by(line.stride)
        .map(|start| {
            let places = (0..line.window).map(|k| start + k * line.dilation);
            let inside = line.padding.0..line.padding.0 + line.size;
            places
                .filter(|p| inside.contains(p))
                .map(|p| p - line.padding.0)
                .collect()
        })
        .collect()
}

/// For an operand of two axes with a leading batch of 2, the elements of every window.
fn elements(lines: [Line; 2], x: &Array) -> Vec<Vec<(usize, f64)>> {
    let mut all = Vec::new();
    for batch in 0..2 {
        for rows in covers(lines[0]) {
            for columns in covers(lines[1]) {
                let mut window = Vec::new();
                for row in &rows {
                    for column in &columns {
                        let value = x.get(&[batch, *row, *column]).unwrap().to_f64();
                        window.push((row * lines[1].size + column, value));
                    }
                }
                all.push(window);
            }
        }
    }
    all
}

struct Lines(u64);

impl Lines {
    fn number(&mut self, below: u64) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below) as usize
    }

    fn line(&mut self) -> Line {
        loop {
            let line = Line {
                size: 1 + self.number(6),
                window: 1 + self.number(3),
                stride: 1 + self.number(4),
                padding: (self.number(5), self.number(5)),
                dilation: 1 + self.number(3),
            };
            if line.size + line.padding.0 + line.padding.1 > (line.window - 1) * line.dilation {
                return line;
            }
        }
    }
}

#[test]
fn values_by_hand() {
    let x = [Array::from([1.0, 5.0, 2.0, 4.0, 3.0])];
    let line = Line { stride: 2, ..PLAIN };
    assert_eq!(apply(sum(&[line]), &x), Array::from([6.0, 6.0]));
    assert_eq!(apply(max(&[line]), &x), Array::from([5.0, 4.0]));
    assert_eq!(apply(argmax(&[line]), &x), Array::from([1_i64, 3]));
    let line = Line {
        padding: (1, 2),
        dilation: 2,
        ..PLAIN
    };
    // Windows of the padded axis - 1 5 2 4 3 - - that take every second place.
    assert_eq!(
        apply(sum(&[line]), &x),
        Array::from([5.0, 3.0, 9.0, 5.0, 4.0, 3.0])
    );
    assert_eq!(
        apply(argmax(&[line]), &x),
        Array::from([1_i64, 2, 1, 4, 3, 4])
    );
    let image = [Array::from([[1.0, 2.0, 9.0], [4.0, 5.0, 6.0]])];
    assert_eq!(
        apply(max(&[PLAIN, PLAIN]), &image),
        Array::from([[5.0, 9.0]])
    );
    assert_eq!(
        apply(argmax(&[PLAIN, PLAIN]), &image),
        Array::from([[4_i64, 2]])
    );
    assert_eq!(
        apply(max(&[]), &image),
        image[0],
        "windows of one element along no axes"
    );
}

#[test]
fn padding_never_wins() {
    let x = [Array::from([-1.0, -2.0])];
    let line = Line {
        padding: (1, 2),
        ..PLAIN
    };
    assert_eq!(
        apply(max(&[line]), &x),
        Array::from([-1.0, -1.0, -2.0, -INF])
    );
    assert_eq!(
        apply(sum(&[line]), &x),
        Array::from([-1.0, -3.0, -2.0, 0.0])
    );
    assert_eq!(
        fails(argmax(&[line]), &x),
        "index 0 is out of range for an axis of length 0"
    );
    let bytes = [Array::vector(vec![7_i32, -9])];
    assert_eq!(
        apply(max(&[line]), &bytes),
        Array::from([7, 7, -9, i32::MIN])
    );
    assert_eq!(
        apply(max(&[line]), &[Array::vector(vec![7_u8, 9])]),
        Array::from([7_u8, 9, 9, 0])
    );
    let low = [Array::from([-INF, -INF])];
    assert_eq!(
        apply(
            argmax(&[Line {
                padding: (1, 0),
                ..PLAIN
            }]),
            &low
        ),
        Array::from([0_i64, 0])
    );
}

#[test]
fn nan_wins_and_the_first_of_ties() {
    let x = [Array::from([3.0, 3.0, NAN, 9.0, NAN])];
    let line = Line { window: 3, ..PLAIN };
    assert_eq!(apply(max(&[line]), &x), Array::from([NAN, NAN, NAN]));
    assert_eq!(apply(argmax(&[line]), &x), Array::from([2_i64, 2, 2]));
    assert_eq!(apply(argmax(&[PLAIN]), &x), Array::from([0_i64, 2, 2, 4]));
}

#[test]
fn values_of_many_attributes() {
    let mut lines = Lines(1);
    for round in 0..200 {
        let axes = [lines.line(), lines.line()];
        let x = numbers([2, axes[0].size, axes[1].size], round);
        let windows = elements(axes, &x);
        let sums: Vec<f64> = windows
            .iter()
            .map(|w| w.iter().fold(0.0, |s, (_, v)| s + v))
            .collect();
        assert_eq!(
            apply(sum(&axes), std::slice::from_ref(&x))
                .to_vec::<f64>()
                .unwrap(),
            sums,
            "{axes:?}"
        );
        let largest: Vec<f64> = windows
            .iter()
            .map(|w| w.iter().fold(-INF, |m, (_, v)| m.max(*v)))
            .collect();
        assert_eq!(
            apply(max(&axes), std::slice::from_ref(&x))
                .to_vec::<f64>()
                .unwrap(),
            largest,
            "{axes:?}"
        );
        if windows.iter().any(Vec::is_empty) {
            fails(argmax(&axes), &[x]);
            continue;
        }
        let first: Vec<i64> = windows
            .iter()
            .zip(&largest)
            .map(|(w, m)| w.iter().find(|(_, v)| v == m).unwrap().0 as i64)
            .collect();
        assert_eq!(
            apply(argmax(&axes), &[x]).to_vec::<i64>().unwrap(),
            first,
            "{axes:?}"
        );
    }
}

#[test]
fn transposes_of_many_attributes() {
    let mut lines = Lines(2);
    let mut all_padding = 0;
    for round in 0..300 {
        let axes: Vec<Line> = (0..1 + round % 2).map(|_| lines.line()).collect();
        let shape: Vec<usize> = [2].into_iter().chain(axes.iter().map(|l| l.size)).collect();
        // Where all windows lie in the padding the cotangent is none at all.
        if axes.iter().any(|l| covers(*l).iter().all(Vec::is_empty)) {
            let mut b = Builder::new("transpose");
            let ct = sum(&axes).infer(&[&tensor(shape.clone())]).unwrap();
            let ct = b.input("ct", ct);
            if sum(&axes).transpose(&mut b, &[Operand::Linear(tensor(shape.clone()))], ct)
                == Some(vec![None])
            {
                all_padding += 1;
                continue;
            }
        }
        check_linear(sum(&axes), vec![numbers(shape, 5)], &[true]);
    }
    assert!(all_padding > 0, "the case was met");
}

#[test]
fn derivatives_of_the_maximum() {
    let mut lines = Lines(3);
    for round in 0..60 {
        let axes: Vec<Line> = (0..round % 3).map(|_| lines.line()).collect();
        // Where a window is empty its value is infinite, and a difference says nothing.
        if axes.iter().any(|l| covers(*l).iter().any(Vec::is_empty)) {
            continue;
        }
        let shape: Vec<usize> = [2].into_iter().chain(axes.iter().map(|l| l.size)).collect();
        check_derivatives(max(&axes), &[random(shape, 100 + round as u64)]);
    }
    let ties = [Array::from([2.0, 2.0, 1.0])];
    let t = [Array::from([10.0, 20.0, 30.0])];
    assert_eq!(tangent(max(&[PLAIN]), &ties, &t), Array::from([10.0, 20.0]));
    let line = Line {
        padding: (3, 0),
        dilation: 2,
        ..PLAIN
    };
    // Windows - - , - 0, - 1 and 0 2.
    assert_eq!(
        tangent(max(&[line]), &ties, &t),
        Array::from([0.0, 10.0, 20.0, 10.0])
    );
}

#[test]
fn empty_windows_are_foreseen() {
    let mut lines = Lines(4);
    for _ in 0..2000 {
        let line = lines.line();
        let missed = covers(line).iter().any(Vec::is_empty);
        let foreseen = max(&[line]).windows().may_miss(&tensor([line.size]));
        assert!(foreseen || !missed, "{line:?}");
        assert!(!foreseen || missed || line.dilation > line.size, "{line:?}");
    }
}

#[test]
fn batches() {
    let mut lines = Lines(5);
    for _ in 0..20 {
        let axes = [lines.line(), lines.line()];
        let x = vec![numbers([3, 2, axes[0].size, axes[1].size], 1)];
        check_batch(sum(&axes), x.clone(), &[true]);
        check_batch(max(&axes), x.clone(), &[true]);
        if !axes.iter().any(|l| covers(*l).iter().any(Vec::is_empty)) {
            check_batch(argmax(&axes), x, &[true]);
        }
    }
}

#[test]
fn defaults_have_one_entry_for_each_axis_of_the_window() {
    use crate::ops::{Attributed, Attributes, Value};
    let window = Value::List(vec![Value::Int(2), Value::Int(3)]);
    let written = Attributes(vec![("window".to_owned(), window)]);
    let x = tensor([4, 5, 6]);
    let op = WindowSum::from_attributes(written, &[&x]).unwrap();
    assert_eq!(op.stride, [1, 1]);
    assert_eq!(op.padding, [(0, 0), (0, 0)]);
    assert_eq!(op.dilation, [1, 1]);
    let names: Vec<_> = op
        .attributes(&[&x])
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["window"], "defaults are left out");
}

#[test]
fn errors_say_what_was_expected() {
    let message = |op: WindowSum| error(op, &[tensor([5])]);
    assert_eq!(
        message(sum(&[PLAIN, PLAIN])),
        "expected a window along at most 1 axes, found [2, 2]"
    );
    assert_eq!(
        message(sum(&[Line { window: 0, ..PLAIN }])),
        "expected window, stride and dilation of at least 1, found 0, 1 and 1 on windowed axis 0"
    );
    assert_eq!(
        message(sum(&[Line {
            window: 4,
            dilation: 2,
            ..PLAIN
        }])),
        "expected a window that fits into the padded operand along windowed axis 0, found 7 over 5"
    );
    assert_eq!(
        message(WindowSum {
            stride: vec![],
            ..sum(&[PLAIN])
        }),
        "expected stride to have one entry for each of 1 windowed axes, found 0"
    );
    assert_eq!(
        error(max(&[PLAIN]), &[TensorType::new(DType::Bool, [5])]),
        "expected a float or an integer dtype, found bool"
    );
}

#[test]
fn nothing_panics() {
    for x in nasty_types() {
        for n in NASTY {
            for m in NASTY {
                let line = Line {
                    size: 0,
                    window: m,
                    stride: n,
                    padding: (n, m),
                    dilation: n,
                };
                infer(sum(&[line]), &[&x]);
                infer(max(&[line, PLAIN]), &[&x]);
                infer(argmax(&[line]), &[&x]);
            }
        }
    }
    for n in NASTY {
        let line = Line {
            size: 0,
            window: n,
            stride: n,
            padding: (n, n),
            dilation: n,
        };
        check_after_error(sum(&[line, PLAIN]));
        check_after_error(max(&[line, PLAIN]));
        check_after_error(argmax(&[line, PLAIN]));
    }
    // Windows far longer than the operand take no more time than the operand.
    let line = Line {
        window: 1 << 40,
        padding: (1 << 40, 0),
        stride: 1 << 40,
        ..PLAIN
    };
    assert_eq!(
        apply(sum(&[line]), &[Array::from([1.0, 2.0])]),
        Array::from([0.0])
    );
}
