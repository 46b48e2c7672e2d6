//! Where windows and kernels meet the elements of an axis.

use smallvec::SmallVec;

/// The places along one axis at which element `k` of a window or kernel meets an element: outputs
/// `out`, `out + out_step`, ... meet elements `x`, `x + x_step`, ..., `count` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) k: usize,
    pub(super) out: usize,
    pub(super) out_step: usize,
    pub(super) x: usize,
    pub(super) x_step: usize,
    pub(super) count: usize,
}

impl Tap {
    /// The element met at this output.
    pub(super) fn meets(&self, out: usize) -> Option<usize> {
        let behind = out.checked_sub(self.out)?;
        if self.out_step == 1 {
            return (behind < self.count).then(|| self.x + behind * self.x_step);
        }
        let i = behind / self.out_step;
        (behind % self.out_step == 0 && i < self.count).then(|| self.x + i * self.x_step)
    }

    /// Of the outputs from `from` to before `to` that meet an element the first one, its element, and how
    /// many they are.
    #[inline(always)]
    pub(super) fn between(&self, from: usize, to: usize) -> Option<(usize, usize, usize)> {
        let skipped = from.saturating_sub(self.out).div_ceil(self.out_step);
        if skipped >= self.count {
            return None;
        }
        let (out, x) = (
            self.out + skipped * self.out_step,
            self.x + skipped * self.x_step,
        );
        if out >= to {
            return None;
        }
        let count = (self.count - skipped).min((to - 1 - out) / self.out_step + 1);
        Some((out, x, count))
    }

    /// Calls `f` with each output from `from` to before `to` that meets an element, and the element.
    #[inline(always)]
    pub(super) fn each(&self, from: usize, to: usize, mut f: impl FnMut(usize, usize)) {
        let Some((out, x, count)) = self.between(from, to) else {
            return;
        };
        match (self.out_step, self.x_step) {
            // Loops with steps that the compiler knows become vector instructions.
            (1, 1) => (0..count).for_each(|i| f(out + i, x + i)),
            (1, step) => (0..count).for_each(|i| f(out + i, x + i * step)),
            (by, step) => (0..count).for_each(|i| f(out + i * by, x + i * step)),
        }
    }
}

/// One windowed axis; numbers are wide enough that no product of two sizes overflows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) size: usize,
    pub(super) out: usize,
    pub(super) window: usize,
    pub(super) stride: usize,
    pub(super) low: i128,
    pub(super) dilation: usize,
    /// Steps between elements of the array; 1 but for convolutions.
    pub(super) spread: usize,
}

impl Axis {
    /// The taps of each `k` that meets any element, in the order of `k`.
    fn taps(&self) -> Vec<Tap> {
        let mut taps = Vec::new();
        if self.size == 0 || self.out == 0 {
            return taps;
        }
        let wide = |x: usize| x as i128;
        let (stride, dilation, spread) =
            (wide(self.stride), wide(self.dilation), wide(self.spread));
        let end = (wide(self.size) - 1) * spread;
        let mut next = 0;
        // Outputs from the last to the first see rising `k`; one `k` is looked at once.
        for out in (0..self.out).rev() {
            let start = wide(out) * stride - self.low;
            let first = (-start.div_euclid(dilation)).max(next);
            let last = (end - start)
                .div_euclid(dilation)
                .min(wide(self.window) - 1);
            for k in first..=last {
                taps.extend(self.tap(k, stride, spread, k * dilation - self.low));
            }
            next = next.max(last + 1);
        }
        taps
    }

    /// The outputs with 0 <= out * stride + offset <= (size - 1) * spread at multiples of spread.
    fn tap(&self, k: i128, stride: i128, spread: i128, offset: i128) -> Option<Tap> {
        let common = gcd(stride, spread);
        let out_step = spread / common;
        let end = (self.size as i128 - 1) * spread;
        let mut out = (-offset).div_euclid(stride);
        if out * stride + offset < 0 {
            out += 1;
        }
        out = out.max(0);
        // One of so many outputs in a row stands at a multiple, if any does.
        let met = (out..out.saturating_add(out_step))
            .take_while(|out| *out < self.out as i128)
            .find(|out| (out * stride + offset) % spread == 0)?;
        let x = (met * stride + offset) / spread;
        if x * spread > end {
            return None;
        }
        let x_step = stride / common;
        let by_x = (self.size as i128 - 1 - x) / x_step + 1;
        let by_out = (self.out as i128 - 1 - met) / out_step + 1;
        let narrow = |x: i128| usize::try_from(x).ok();
        Some(Tap {
            k: narrow(k)?,
            out: narrow(met)?,
            // With one place there is no step, however long it would be.
            out_step: narrow(out_step).unwrap_or(usize::MAX),
            x: narrow(x)?,
            x_step: narrow(x_step).unwrap_or(usize::MAX),
            count: narrow(by_x.min(by_out))?,
        })
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// The axis of an operation that has none: one element, one place.
pub(super) const SINGLE: Axis = Axis {
    size: 1,
    out: 1,
    window: 1,
    stride: 1,
    low: 0,
    dilation: 1,
    spread: 1,
};

/// All axes of a window or kernel with what they meet; there is at least one.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) axes: Vec<Axis>,
    /// For all axes but the last, and for the last.
    outer: Vec<Vec<Tap>>,
    pub(super) last: Vec<Tap>,
    /// Steps in the array, in the window and in the result for all axes.
    steps: Vec<[usize; 3]>,
}

impl Space {
    pub(super) fn new(mut axes: Vec<Axis>) -> Space {
        if axes.is_empty() {
            axes.push(SINGLE);
        }
        let mut steps = vec![[1; 3]; axes.len()];
        for i in (1..axes.len()).rev() {
            let (axis, [x, k, out]) = (axes[i], steps[i]);
            let times = usize::saturating_mul;
            steps[i - 1] = [
                times(x, axis.size),
                times(k, axis.window),
                times(out, axis.out),
            ];
        }
        let mut outer: Vec<Vec<Tap>> = axes.iter().map(Axis::taps).collect();
        let last = outer.pop().unwrap_or_default();
        Space {
            axes,
            outer,
            last,
            steps,
        }
    }

    /// Elements of the array, of the window and of the result.
    pub(super) fn sizes(&self) -> [usize; 3] {
        let (axis, [x, k, out]) = (&self.axes[0], self.steps[0]);
        let times = usize::saturating_mul;
        [
            times(x, axis.size),
            times(k, axis.window),
            times(out, axis.out),
        ]
    }

    /// The length of the last axis of the result.
    pub(super) fn width(&self) -> usize {
        self.axes[self.axes.len() - 1].out
    }

    /// Whether every place of the result meets just the element at its own place.
    pub(super) fn is_identity(&self) -> bool {
        self.axes.iter().all(|a| {
            a.window == 1 && a.stride == 1 && a.low == 0 && a.spread == 1 && a.size == a.out
        })
    }

    /// For a row along the last axis of the result (by its number), calls `f` for each choice of
    /// outer window positions that meets elements: the position in the window and in the array,
    /// both of the first element along the last axis.
    #[inline(always)]
    pub(super) fn row(&self, row: usize, mut f: impl FnMut(usize, usize)) {
        let width = self.width().max(1);
        each_choice(&self.outer, |taps| {
            let (mut k, mut x) = (0, 0);
            for (i, tap) in taps.iter().enumerate() {
                let out = row * width / self.steps[i][2].max(1) % self.axes[i].out.max(1);
                let Some(met) = tap.meets(out) else { return };
                k += tap.k * self.steps[i][1];
                x += met * self.steps[i][0];
            }
            f(k, x);
        });
    }
}

/// Calls `f` with each choice of one tap an axis, in row-major order, until it fails.
fn each_choice<'a>(axes: &'a [Vec<Tap>], mut f: impl FnMut(&[&'a Tap])) {
    let mut chosen: SmallVec<[&Tap; 4]> = SmallVec::new();
    for taps in axes {
        match taps.first() {
            Some(tap) => chosen.push(tap),
            None => return,
        }
    }
    let mut index: SmallVec<[usize; 4]> = SmallVec::from_elem(0, axes.len());
    loop {
        f(&chosen);
        let mut axis = axes.len();
        loop {
            let Some(next) = axis.checked_sub(1) else {
                return;
            };
            axis = next;
            index[axis] += 1;
            if let Some(tap) = axes[axis].get(index[axis]) {
                chosen[axis] = tap;
                break;
            }
            index[axis] = 0;
            chosen[axis] = &axes[axis][0];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_are_all_places_where_window_and_elements_meet() {
        let mut seen = 0;
        for size in [1, 2, 5] {
            for window in [1, 3, 4] {
                for stride in [1, 2, 3] {
                    for low in [-2_i128, 0, 1, 4] {
                        for dilation in [1, 2, 3] {
                            for spread in [1, 2, 3, 4] {
                                for out in [1, 2, 6] {
                                    let axis = Axis {
                                        size,
                                        out,
                                        window,
                                        stride,
                                        low,
                                        dilation,
                                        spread,
                                    };
                                    seen += check(axis);
                                }
                            }
                        }
                    }
                }
            }
        }
        assert!(seen > 1000, "only {seen} places");
    }

    fn check(axis: Axis) -> usize {
        let mut expected = Vec::new();
        for k in 0..axis.window {
            for out in 0..axis.out {
                let at = (out * axis.stride + k * axis.dilation) as i128 - axis.low;
                let spread = axis.spread as i128;
                if at >= 0 && at % spread == 0 && at / spread < axis.size as i128 {
                    expected.push((k, out, (at / spread) as usize));
                }
            }
        }
        let mut found = Vec::new();
        for tap in axis.taps() {
            tap.each(0, axis.out, |out, x| {
                assert_eq!(tap.meets(out), Some(x));
                found.push((tap.k, out, x));
            });
            let met = (0..axis.out)
                .filter(|out| tap.meets(*out).is_some())
                .count();
            assert_eq!(met, tap.count);
            let mut later = Vec::new();
            tap.each(2, 4, |out, x| later.push((tap.k, out, x)));
            let within: Vec<_> = found
                .iter()
                .copied()
                .filter(|(k, out, _)| *k == tap.k && (2..4).contains(out))
                .collect();
            assert_eq!(later, within);
        }
        assert_eq!(found, expected, "{axis:?}");
        found.len()
    }

    #[test]
    fn absurd_steps_do_not_overflow() {
        let axis = Axis {
            size: 1,
            out: 1,
            window: usize::MAX,
            stride: usize::MAX,
            low: i128::from(i64::MAX),
            dilation: 1,
            spread: 1,
        };
        assert_eq!(axis.taps().len(), 1);
    }
}
