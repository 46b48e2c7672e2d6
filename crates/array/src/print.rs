//! How arrays print: nested brackets like NumPy's, with the middle left out of long ones.

use std::fmt;

use crate::{Array, Shape};

/// Arrays with more elements than this leave out the middle of their axes.
const WHOLE: usize = 1000;
/// How many entries then stay at each end of an axis.
const EDGE: usize = 3;
/// How many values are printed at most, so that even a hundred axes of size 2 end.
const MOST: usize = 4096;

impl fmt::Display for Array {
    /// The values alone: `[[1.0, 2.0], [3.0, 4.0]]`, one line per row, columns aligned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_values(f, self, 0)
    }
}

impl fmt::Debug for Array {
    /// dtype and shape before the values: `f64[2, 2] [[1.0, 2.0], [3.0, 4.0]]`, one line per row.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = if self.shape().is_scalar() {
            format!("{} ", self.dtype())
        } else {
            format!("{}{} ", self.dtype(), self.shape())
        };
        f.write_str(&head)?;
        write_values(f, self, head.len())
    }
}

/// Writes the values; every line after the first starts `indent` further right.
fn write_values(f: &mut fmt::Formatter<'_>, array: &Array, indent: usize) -> fmt::Result {
    let rank = array.rank();
    if array.is_empty() {
        return f.write_str("[]");
    }
    let places = Shown::of(array.shape(), array.len() > WHOLE);
    let width = places
        .clone()
        .filter_map(|place| array.at(place.flat))
        .map(|x| x.to_string().len())
        .max()
        .unwrap_or(0);
    let mut open = 0;
    for place in places {
        // `closed` axes ended after the value before, so this one opens as many.
        if place.closed > 0 {
            f.write_str(&"]".repeat(place.closed))?;
            open -= place.closed;
        }
        if !place.first {
            f.write_str(",")?;
            // One line break for a new row, one more for each further axis, as NumPy does.
            match place.closed {
                0 => f.write_str(" ")?,
                n => write!(f, "{}{}", "\n".repeat(n.min(2)), " ".repeat(indent + open))?,
            }
        }
        if let Some(axis) = place.gap {
            f.write_str("...,")?;
            match rank - 1 - axis {
                0 => f.write_str(" ")?,
                n => write!(f, "{}{}", "\n".repeat(n.min(2)), " ".repeat(indent + open))?,
            }
        }
        f.write_str(&"[".repeat(rank - open))?;
        open = rank;
        if place.cut {
            f.write_str("...")?;
            break;
        }
        if let Some(x) = array.at(place.flat) {
            write!(f, "{:>width$}", x.to_string())?;
        }
    }
    f.write_str(&"]".repeat(open))
}

/// The places that are shown, in row-major order.
#[derive(Clone)]
struct Shown {
    dims: Vec<usize>,
    strides: Vec<usize>,
    index: Vec<usize>,
    flat: usize,
    shorten: bool,
    count: usize,
    done: bool,
}

/// One value to show, and what stands before it.
struct Place {
    /// Where the value is, row-major.
    flat: usize,
    /// It is the first.
    first: bool,
    /// How many axes ended after the value before.
    closed: usize,
    /// The axis along which entries are left out just before.
    gap: Option<usize>,
    /// Too many were shown: stop here.
    cut: bool,
}

impl Shown {
    fn of(shape: &Shape, shorten: bool) -> Shown {
        Shown {
            dims: shape.dims().to_vec(),
            strides: shape.strides(),
            index: vec![0; shape.rank()],
            flat: 0,
            shorten,
            count: 0,
            done: false,
        }
    }
}

impl Iterator for Shown {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        if self.done {
            return None;
        }
        let mut place = Place {
            flat: self.flat,
            first: self.count == 0,
            closed: 0,
            gap: None,
            cut: self.count >= MOST,
        };
        if !place.first {
            // Advance like the wheels of a counter, the last axis fastest.
            let mut moved = false;
            let wheels = self.index.iter_mut().zip(&self.dims).zip(&self.strides);
            for (axis, ((i, &dim), &stride)) in wheels.enumerate().rev() {
                let old = *i;
                *i += 1;
                if self.shorten && *i == EDGE && dim > 2 * EDGE {
                    *i = dim - EDGE;
                    place.gap = Some(axis);
                }
                if *i < dim {
                    self.flat += (*i - old) * stride;
                    moved = true;
                    break;
                }
                self.flat -= old * stride;
                *i = 0;
                place.closed += 1;
            }
            place.flat = self.flat;
            if !moved {
                self.done = true;
                return None;
            }
        }
        self.count += 1;
        self.done = place.cut;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn small_arrays_print_whole() {
        assert_eq!(Array::from(1.5).to_string(), "1.5");
        assert_eq!(format!("{:?}", Array::from(1.5)), "f64 1.5");
        assert_eq!(Array::from([1, 2, 3]).to_string(), "[1, 2, 3]");
        let matrix = Array::from([[1.0, 2.0], [3.0, 40.0]]);
        assert_eq!(matrix.to_string(), "[[ 1.0,  2.0],\n [ 3.0, 40.0]]");
        assert_eq!(
            format!("{matrix:?}"),
            "f64[2, 2] [[ 1.0,  2.0],\n           [ 3.0, 40.0]]"
        );
        let cube = Array::from([[[1], [2]], [[3], [4]]]);
        assert_eq!(cube.to_string(), "[[[1],\n  [2]],\n\n [[3],\n  [4]]]");
    }

    #[test]
    fn empty_arrays_print_as_brackets() {
        let empty = Array::zeros(DType::F32, [2, 0, 3]).unwrap();
        assert_eq!(empty.to_string(), "[]");
        assert_eq!(format!("{empty:?}"), "f32[2, 0, 3] []");
    }

    #[test]
    fn long_arrays_leave_out_the_middle() {
        let long: Vec<i64> = (0..2000).collect();
        assert_eq!(
            Array::vector(long).to_string(),
            "[   0,    1,    2, ..., 1997, 1998, 1999]"
        );
        let wide: Vec<u32> = (0..2000).collect();
        let text = Array::new([1000, 2], wide).unwrap().to_string();
        assert_eq!(
            text,
            "[[   0,    1],\n [   2,    3],\n [   4,    5],\n ...,\n [1994, 1995],\n [1996, 1997],\n [1998, 1999]]"
        );
    }

    #[test]
    fn many_axes_end_too() {
        let deep = Array::zeros(DType::U8, vec![2; 16]).unwrap();
        let text = deep.to_string();
        assert!(text.len() < 100_000, "{} bytes", text.len());
        assert_eq!(text.matches('[').count(), text.matches(']').count());
        let flat = Array::new(vec![1; 5000], [1.0]).unwrap().to_string();
        assert_eq!(flat.len(), 5000 + 3 + 5000);
    }
}
