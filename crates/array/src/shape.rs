//! Shapes: sizes per axis, row-major strides, broadcasting, and a walk over all indices.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use crate::ArrayError;

/// The size of an array along each axis, outermost first. Rank 0 (no axes) holds one element.
///
/// ```
/// use cotangent_array::Shape;
///
/// let shape = Shape::from([2, 3, 4]);
/// assert_eq!(shape.rank(), 3);
/// assert_eq!(shape.elements(), 24);
/// assert_eq!(shape.strides(), [12, 4, 1]);
/// assert_eq!(shape.to_string(), "[2, 3, 4]");
/// ```
#[derive(Clone, Eq, Default, PartialOrd, Ord)]
pub struct Shape(Box<[usize]>);

impl Shape {
    /// The number of axes.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The sizes, outermost axis first.
    #[inline]
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// The number of elements, `usize::MAX` if it is larger than that.
    #[inline]
    pub fn elements(&self) -> usize {
        self.checked_elements().unwrap_or(usize::MAX)
    }

    /// The number of elements, `None` if it overflows. A shape with a size of 0 has none, however large the others.
    #[inline]
    pub fn checked_elements(&self) -> Option<usize> {
        if self.0.contains(&0) {
            return Some(0);
        }
        self.0
            .iter()
            .try_fold(1usize, |product, &dim| product.checked_mul(dim))
    }

    /// How many elements apart neighbours along each axis are, in row-major order (saturating).
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1usize; self.0.len()];
        let mut step = 1usize;
        for (stride, &dim) in strides.iter_mut().zip(self.0.iter()).rev() {
            *stride = step;
            step = step.saturating_mul(dim);
        }
        strides
    }

    /// Whether the rank is 0.
    #[inline]
    pub fn is_scalar(&self) -> bool {
        self.0.is_empty()
    }

    /// The shape that `a` and `b` broadcast to by NumPy's rules: aligned at the last axis, missing axes count as 1,
    /// and along each axis the sizes are equal or one of them is 1.
    ///
    /// # Errors
    /// [`ArrayError::NotBroadcastable`] if they do not.
    ///
    /// ```
    /// use cotangent_array::Shape;
    ///
    /// assert_eq!(Shape::broadcast(&[5, 1, 3], &[4, 1])?, [5, 4, 3]);
    /// assert!(Shape::broadcast(&[2], &[3]).is_err());
    /// # Ok::<(), cotangent_array::ArrayError>(())
    /// ```
    pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Shape, ArrayError> {
        let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
        let mut dims = long.to_vec();
        for (x, &y) in dims.iter_mut().rev().zip(short.iter().rev()) {
            match (*x, y) {
                (size, other) if size == other || other == 1 => {}
                (1, _) => *x = y,
                _ => {
                    return Err(ArrayError::NotBroadcastable {
                        a: a.into(),
                        b: b.into(),
                    });
                }
            }
        }
        Ok(Shape(dims.into()))
    }
}

/// A walk over all indices of a shape in row-major order, without allocating per step.
///
/// ```
/// use cotangent_array::Indices;
///
/// let mut indices = Indices::new(&[2, 2]);
/// let mut seen = Vec::new();
/// while let Some(index) = indices.next_index() {
///     seen.push([index[0], index[1]]);
/// }
/// assert_eq!(seen, [[0, 0], [0, 1], [1, 0], [1, 1]]);
/// ```
#[derive(Clone, Debug)]
pub struct Indices {
    dims: Vec<usize>,
    index: Vec<usize>,
    state: State,
}

/// Where an [`Indices`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    Inside,
    After,
}

impl Indices {
    /// Starts before the first index of `shape`. Rank 0 has one index, the empty one.
    pub fn new(shape: &[usize]) -> Indices {
        Indices {
            dims: shape.to_vec(),
            index: vec![0; shape.len()],
            state: if shape.contains(&0) {
                State::After
            } else {
                State::Before
            },
        }
    }

    /// The next index, one number per axis, or `None` after the last.
    ///
    /// This lends the index instead of handing it out, so it cannot be an [`Iterator`].
    pub fn next_index(&mut self) -> Option<&[usize]> {
        match self.state {
            State::Before => {
                self.state = State::Inside;
                return Some(&self.index);
            }
            State::After => return None,
            State::Inside => {}
        }
        for (i, &dim) in self.index.iter_mut().zip(&self.dims).rev() {
            *i += 1;
            if *i < dim {
                return Some(&self.index);
            }
            *i = 0;
        }
        self.state = State::After;
        None
    }
}

impl Deref for Shape {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl AsRef<[usize]> for Shape {
    fn as_ref(&self) -> &[usize] {
        &self.0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(dims: [usize; N]) -> Shape {
        Shape(dims.as_slice().into())
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(dims: &[usize; N]) -> Shape {
        Shape(dims.as_slice().into())
    }
}

impl From<&[usize]> for Shape {
    fn from(dims: &[usize]) -> Shape {
        Shape(dims.into())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(dims: Vec<usize>) -> Shape {
        Shape(dims.into())
    }
}

impl From<&Vec<usize>> for Shape {
    fn from(dims: &Vec<usize>) -> Shape {
        Shape(dims.as_slice().into())
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        shape.clone()
    }
}

impl From<()> for Shape {
    /// Rank 0.
    fn from((): ()) -> Shape {
        Shape::default()
    }
}

impl From<Shape> for Vec<usize> {
    fn from(shape: Shape) -> Vec<usize> {
        shape.0.into_vec()
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(dims: I) -> Shape {
        Shape(dims.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Shape {
    type Item = &'a usize;
    type IntoIter = std::slice::Iter<'a, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// Size by size, and not as blocks of memory: no sizes have an address that is not mapped, and there the
/// comparison of the C library, which masks what is behind the end, takes a hundred times as long.
impl PartialEq<[usize]> for Shape {
    #[inline]
    fn eq(&self, dims: &[usize]) -> bool {
        self.0.len() == dims.len() && self.0.iter().zip(dims).all(|(a, b)| a == b)
    }
}

impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Shape) -> bool {
        *self == *other.0
    }
}

impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq<&[usize]> for Shape {
    fn eq(&self, dims: &&[usize]) -> bool {
        *self == dims[..]
    }
}

impl PartialEq<Vec<usize>> for Shape {
    fn eq(&self, dims: &Vec<usize>) -> bool {
        *self == dims[..]
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, dims: &[usize; N]) -> bool {
        *self == dims[..]
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (axis, dim) in self.0.iter().enumerate() {
            let comma = if axis == 0 { "" } else { ", " };
            write!(f, "{comma}{dim}")?;
        }
        f.write_str("]")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_saturate_and_zero_wins() {
        assert_eq!(Shape::from(()).elements(), 1);
        assert_eq!(Shape::from([3, 0]).elements(), 0);
        let huge = Shape::from([usize::MAX, 2]);
        assert_eq!(
            (huge.checked_elements(), huge.elements()),
            (None, usize::MAX)
        );
        assert_eq!(Shape::from([usize::MAX, 2, 0]).checked_elements(), Some(0));
    }

    #[test]
    fn strides_are_row_major_and_never_overflow() {
        assert_eq!(Shape::from(()).strides(), Vec::<usize>::new());
        assert_eq!(Shape::from([4, 1, 5]).strides(), [5, 5, 1]);
        assert_eq!(
            Shape::from([0, usize::MAX, 7]).strides(),
            [usize::MAX, 7, 1]
        );
    }

    #[test]
    fn broadcast_follows_numpy() {
        type Case = (&'static [usize], &'static [usize], Option<&'static [usize]>);
        let cases: &[Case] = &[
            (&[], &[], Some(&[])),
            (&[], &[3], Some(&[3])),
            (&[2, 3], &[3], Some(&[2, 3])),
            (&[2, 1], &[1, 5], Some(&[2, 5])),
            (&[1], &[0], Some(&[0])),
            (&[0], &[0], Some(&[0])),
            (&[8, 1, 6, 1], &[7, 1, 5], Some(&[8, 7, 6, 5])),
            (&[2], &[0], None),
            (&[2, 3], &[2], None),
            (&[4, 3], &[2, 4, 1, 2], None),
        ];
        for &(a, b, expected) in cases {
            for (x, y) in [(a, b), (b, a)] {
                let found = Shape::broadcast(x, y);
                match (expected, found) {
                    (Some(dims), Ok(shape)) => assert_eq!(shape, dims, "{x:?} with {y:?}"),
                    (None, Err(ArrayError::NotBroadcastable { a, b })) => {
                        assert_eq!((a.dims(), b.dims()), (x, y));
                    }
                    (_, found) => panic!("{x:?} with {y:?}: {found:?}"),
                }
            }
        }
    }

    #[test]
    fn indices_visit_each_element_once_in_order() {
        for dims in [&[][..], &[1], &[2, 3], &[2, 1, 3, 2], &[0], &[3, 0, 2]] {
            let shape = Shape::from(dims);
            let strides = shape.strides();
            let mut indices = Indices::new(&shape);
            let mut count = 0;
            while let Some(index) = indices.next_index() {
                let flat: usize = index.iter().zip(&strides).map(|(i, s)| i * s).sum();
                assert_eq!(flat, count, "{shape}");
                count += 1;
            }
            assert_eq!(count, shape.elements(), "{shape}");
            assert!(indices.next_index().is_none(), "stays finished");
        }
    }
}
